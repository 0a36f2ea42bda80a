"""Reductions and normalizations of maps, against NumPy and cases worked out by hand."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from probatum.errors import InvalidInput, UnknownName
from probatum.maps import (
    REDUCTIONS,
    Reduction,
    abs_normalized,
    absolute_sum,
    channel_sum,
    diverging,
    get_reduction,
    min_max,
    percentile_clip,
)

ALL = pytest.mark.parametrize("reduction", REDUCTIONS.values(), ids=REDUCTIONS)


def random_maps(batch: int = 4, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    return torch.randn(batch, 3, 17, 22, generator=torch.Generator().manual_seed(0), dtype=torch.float64).to(dtype)


@ALL
def test_statistics_are_of_one_image_alone(reduction: Reduction):
    maps = random_maps()
    maps[1] *= 1e6
    maps[2] = 0
    alone = torch.cat([reduction(maps[i : i + 1]) for i in range(4)])
    torch.testing.assert_close(reduction(maps), alone, rtol=1e-12, atol=1e-14)


@ALL
@pytest.mark.parametrize("scale", [1e-30, 1.0, 1e30])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_values_stay_in_their_range(reduction: Reduction, scale: float, dtype: torch.dtype):
    maps = reduction(random_maps(dtype=dtype) * scale)
    half = dtype == torch.bfloat16 and reduction.name != "identity"  # sums of half precision are kept in float32
    assert maps.dtype == (torch.float32 if half else dtype)
    assert maps.isfinite().all()
    if reduction.value_range:
        low, high = reduction.value_range
        assert maps.min() >= low
        assert maps.max() == high
        if reduction.name != "diverging":
            assert maps.min() == low


@ALL
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_huge_maps_are_reduced_like_small_ones(reduction: Reduction, dtype: torch.dtype):
    maps = random_maps(dtype=dtype)
    maps *= torch.finfo(dtype).max / maps.abs().max() * (1 - torch.finfo(dtype).eps)
    assert maps.isfinite().all()
    reduced = reduction(maps)
    assert reduced.isfinite().all()
    if reduction.value_range or dtype == torch.float16:
        scale = 1.0 if reduction.value_range is None else float(maps.abs().max())
        expected = reduction(maps.double() / scale)
        rounding = 1e-6 if dtype != torch.float64 else 1e-14
        torch.testing.assert_close(reduced.double(), expected, rtol=rounding, atol=rounding)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_sums_beyond_the_type_become_its_largest_number(dtype: torch.dtype):
    top = torch.finfo(dtype).max
    pixels = [[top, top, top], [-top, -top, top], [top, top, -top], [top, -top, 0.0]]
    maps = torch.tensor(pixels, dtype=dtype).T.reshape(1, 3, 1, 4)
    assert channel_sum(maps).flatten().tolist() == [top, -top, top, 0.0]
    assert absolute_sum(maps).flatten().tolist() == [top] * 4


@pytest.mark.parametrize("shape", [(4,), (2, 5), (2, 5, 6), (2, 5, 6, 7)])
@ALL
def test_series_tables_and_volumes(reduction: Reduction, shape: tuple[int, ...]):
    maps = torch.randn(3, *shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    picture = maps[:, None, :, None] if len(shape) == 1 else maps.flatten(2)[..., None]  # (batch, channel, value, 1)
    reduced = reduction(maps)
    torch.testing.assert_close(reduced.flatten(1), reduction(picture).flatten(1), rtol=0, atol=0)
    summed = reduction.name not in ("identity", "min-max") and len(shape) > 1
    assert reduced.shape == (3, *((1, *shape[1:]) if summed else shape))


@ALL
@pytest.mark.parametrize("value", [0.0, 0.3, -2.0])
def test_constant_maps_have_a_defined_result(reduction: Reduction, value: float):
    reduced = reduction(torch.full((2, 3, 8, 8), value, dtype=torch.float64))
    assert (reduced == reduced[0, 0, 0, 0]).all()
    if reduction.name in ("abs-normalized", "min-max") or value == 0:
        assert (reduced == 0).all()


@ALL
def test_refusals(reduction: Reduction):
    maps = random_maps()
    with pytest.raises(InvalidInput, match="floating point"):
        reduction(maps.long())
    with pytest.raises(InvalidInput, match="at least one"):
        reduction(maps[:0])
    maps[2, 0, 0, 0] = float("nan")
    with pytest.raises(InvalidInput, match="map 2"):
        reduction(maps)


@ALL
def test_the_input_is_left_alone(reduction: Reduction):
    maps = random_maps()
    reduction(maps)
    assert torch.equal(maps, random_maps())


def test_channel_sums():
    maps = random_maps()
    torch.testing.assert_close(channel_sum(maps)[:, 0], maps[:, 0] + maps[:, 1] + maps[:, 2])
    torch.testing.assert_close(absolute_sum(maps)[:, 0], maps.abs().sum(1))


def test_abs_normalized_is_the_formula_of_the_notebook():
    maps = random_maps()
    expected = []
    for image in maps.numpy():
        total = np.abs(image).sum(0)
        low, high = total.min(), np.percentile(total, 99)
        expected.append(np.clip((total - low) / (high - low), 0, 1))
    np.testing.assert_allclose(abs_normalized(maps)[:, 0], expected, rtol=0, atol=1e-12)


def test_diverging_divides_by_the_percentile_of_the_magnitude():
    maps = random_maps()
    total = maps.sum(1).numpy()
    expected = [np.clip(image / np.percentile(np.abs(image), 99), -1, 1) for image in total]
    np.testing.assert_allclose(diverging(maps)[:, 0], expected, rtol=0, atol=1e-12)


def test_min_max_is_over_all_channels():
    maps = torch.tensor([0.0, 1.0, 2.0, 4.0]).view(1, 2, 1, 2)
    assert min_max(maps).flatten().tolist() == [0.0, 0.25, 0.5, 1.0]


def test_sparse_maps_survive_the_percentile():
    maps = torch.zeros(1, 1, 20, 20)  # the 99th percentile of 400 pixels, two of which are not zero, is zero
    maps[0, 0, 3, 4], maps[0, 0, 5, 6] = -4.0, 2.0
    assert abs_normalized(maps)[0, 0, 3, 4] == 1
    assert abs_normalized(maps)[0, 0, 5, 6] == 0.5
    assert diverging(maps)[0, 0, 3, 4] == -1
    assert diverging(maps)[0, 0, 5, 6] == 0.5
    assert torch.equal(percentile_clip(maps.abs()), maps.abs())


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 60), st.floats(0, 100), st.integers(0, 1000))
def test_percentile_clip_equals_numpy(size: int, percentile: float, seed: int):
    values = np.random.default_rng(seed).standard_normal((2, size)).round(1)
    clipped = percentile_clip(torch.from_numpy(values), percentile).numpy()
    for row, result in zip(values, clipped, strict=True):
        ceiling = np.percentile(row, percentile)
        expected = np.minimum(row, ceiling) if ceiling > row.min() else row
        np.testing.assert_allclose(result, expected, rtol=0, atol=1e-12)


def test_large_maps():
    maps = torch.rand(1, 1, 4200, 4200, generator=torch.Generator().manual_seed(0))  # beyond torch.quantile's limit
    assert percentile_clip(maps).max().item() == pytest.approx(np.percentile(maps.numpy(), 99), abs=1e-6)


def test_refuses_impossible_percentiles():
    for percentile in (-1.0, 100.5, float("nan")):
        with pytest.raises(InvalidInput, match="percentile"):
            percentile_clip(random_maps(), percentile)


def test_names():
    assert all(get_reduction(name).name == name for name in REDUCTIONS)
    with pytest.raises(UnknownName, match="'abs-normalized'"):
        get_reduction("abs-normalize")
