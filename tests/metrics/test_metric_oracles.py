"""Metrics against SciPy and scikit-image, slow literal replicas, and cases worked out by hand."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats
from skimage.feature import hog as skimage_hog
from skimage.metrics import structural_similarity

from probatum.engine.ranks import average_ranks
from probatum.errors import InvalidInput
from probatum.metrics import (
    SSIM,
    SSIM_PRESETS,
    cosine,
    euclidean,
    get_metric,
    hog,
    hog_pearson,
    hog_spearman,
    pearson,
    spearman,
    ssim,
)
from probatum.metrics.effects import region_share, unit_maps

SCALES = [1e-30, 1.0, 1e30]


def pair(height: int, width: int, channel: int = 1, batch: int = 2, seed: int = 0, dtype=np.float64):
    """Maps in [-1, 1]: noise on a slope, in one map with a flat corner."""
    rng = np.random.default_rng(seed)
    slope = np.linspace(-0.5, 0.5, width)
    a = np.clip(slope + 0.3 * rng.standard_normal((batch, channel, height, width)), -1, 1)
    b = np.clip(0.7 * a + 0.3 * rng.standard_normal(a.shape), -1, 1)
    a[0, :, : height // 2, : width // 2] = 0.25
    return a.astype(dtype), b.astype(dtype)


def on_tensors(metric, a: np.ndarray, b: np.ndarray, **options) -> np.ndarray:
    return metric(torch.from_numpy(a), torch.from_numpy(b), **options).numpy()


# --- SSIM


@pytest.mark.parametrize("size", [(7, 7), (17, 23), (64, 31)])
@pytest.mark.parametrize("channel", [1, 3])
@pytest.mark.parametrize("sample_covariance", [True, False])
@pytest.mark.parametrize("window_size", [None, 3, 5])
def test_uniform_ssim_equals_scikit_image(size, channel, sample_covariance, window_size):
    a, b = pair(*size, channel)
    scores = on_tensors(ssim, a, b, data_range=2.0, sample_covariance=sample_covariance, window_size=window_size)
    expected = [
        structural_similarity(
            x, y, data_range=2.0, channel_axis=0, use_sample_covariance=sample_covariance, win_size=window_size
        )
        for x, y in zip(a, b, strict=True)
    ]
    np.testing.assert_allclose(scores, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("sigma", "window_size"), [(1.5, None), (0.8, None), (2.3, None), (1.5, 7), (1.5, 15), (6.0, 3)]
)
@pytest.mark.parametrize("sample_covariance", [True, False])
def test_gaussian_ssim_equals_scikit_image(sigma, window_size, sample_covariance):
    a, b = pair(19, 26, channel=2)
    options = {"sigma": sigma, "data_range": 1.3}
    scores = on_tensors(
        ssim, a, b, gaussian=True, window_size=window_size, sample_covariance=sample_covariance, **options
    )
    expected = [
        structural_similarity(
            x,
            y,
            channel_axis=0,
            gaussian_weights=True,
            win_size=window_size,
            use_sample_covariance=sample_covariance,
            **options,
        )
        for x, y in zip(a, b, strict=True)
    ]
    np.testing.assert_allclose(scores, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("gaussian", [True, False])
def test_ssim_at_extreme_scales_equals_scikit_image(scale, gaussian):
    a, b = (maps * scale for maps in pair(21, 33))
    a[1], b[0] = 0.5 * scale, -0.25 * scale  # constant maps
    scores = on_tensors(ssim, a, b, gaussian=gaussian, data_range=2 * scale)
    expected = [
        structural_similarity(x[0], y[0], gaussian_weights=gaussian, data_range=2 * scale)
        for x, y in zip(a, b, strict=True)
    ]
    np.testing.assert_allclose(scores, expected, rtol=0, atol=1e-12)


def test_ssim_of_float32_maps():
    a, b = pair(64, 64, dtype=np.float32)
    scores = on_tensors(ssim, a, b, data_range=2.0)
    expected = [
        structural_similarity(x[0].astype(float), y[0].astype(float), data_range=2.0) for x, y in zip(a, b, strict=True)
    ]
    np.testing.assert_allclose(scores, expected, rtol=0, atol=1e-12)


def literal_ssim(a: np.ndarray, b: np.ndarray, weights: np.ndarray, data_range: float, ddof_factor: float) -> float:
    """SSIM of two (height, width) maps, window by window."""
    size = len(weights)
    c1, c2 = (0.01 * data_range) ** 2, (0.03 * data_range) ** 2
    values = []
    for top in range(a.shape[0] - size + 1):
        for left in range(a.shape[1] - size + 1):
            x, y = (m[top : top + size, left : left + size] for m in (a, b))
            mx, my = (weights * x).sum(), (weights * y).sum()
            vx, vy = (weights * (x - mx) ** 2).sum(), (weights * (y - my) ** 2).sum()
            vxy = (weights * (x - mx) * (y - my)).sum()
            vx, vy, vxy = (v * ddof_factor for v in (vx, vy, vxy))
            values.append((2 * mx * my + c1) * (2 * vxy + c2) / ((mx**2 + my**2 + c1) * (vx + vy + c2)))
    return float(np.mean(values))


def test_ssim_equals_its_definition():
    a, b = pair(13, 16)
    uniform = np.full((7, 7), 1 / 49)
    profile = np.exp(-0.5 * (np.arange(-5, 6) / 1.5) ** 2)
    gaussian = np.outer(profile, profile) / profile.sum() ** 2
    for i in range(2):
        one = a[i : i + 1], b[i : i + 1]
        assert on_tensors(ssim, *one, data_range=2.0)[0] == pytest.approx(
            literal_ssim(a[i, 0], b[i, 0], uniform, 2.0, 49 / 48), abs=1e-12
        )
        assert on_tensors(ssim, *one, data_range=2.0, gaussian=True, sample_covariance=False)[0] == pytest.approx(
            literal_ssim(a[i, 0], b[i, 0], gaussian, 2.0, 1.0), abs=1e-12
        )


def test_ssim_presets_are_the_papers_calls():
    a, b = pair(40, 37, channel=3)
    calls = {
        "adebayo-notebook": {"gaussian_weights": True, "data_range": 2.0},
        "adebayo-issue": {"win_size": 5, "data_range": 2.0},
        "wienecke": {"data_range": 2.0},
    }
    assert calls.keys() == SSIM_PRESETS.keys()
    for name, options in calls.items():
        expected = [structural_similarity(x, y, channel_axis=0, **options) for x, y in zip(a, b, strict=True)]
        np.testing.assert_allclose(on_tensors(get_metric(f"ssim-{name}"), a, b), expected, rtol=0, atol=1e-12)
    assert get_metric("ssim").measure == get_metric("ssim-adebayo-notebook").measure


@pytest.mark.parametrize(
    "options",
    [
        {"data_range": 0.0},
        {"data_range": float("nan")},
        {"data_range": -1.0},
        {"data_range": 1.0, "sigma": 0.0},
        {"data_range": 1.0, "sigma": 0.1, "gaussian": True},
        {"data_range": 1.0, "window_size": 6},
        {"data_range": 1.0, "window_size": 1},
        {"data_range": 1.0, "k1": 0.0},
    ],
)
def test_ssim_refuses_impossible_settings(options):
    with pytest.raises(InvalidInput, match="SSIM"):
        SSIM(**options)


def test_maps_smaller_than_the_window():
    small = torch.rand(1, 1, 9, 6)
    with pytest.raises(InvalidInput, match="window_size of at most 5"):
        ssim(small, small, data_range=1.0)
    with pytest.raises(InvalidInput, match="smaller sigma"):
        ssim(small, small, data_range=1.0, gaussian=True)
    with pytest.raises(InvalidInput, match="use larger maps"):
        ssim(small[..., :2], small[..., :2], data_range=1.0)
    assert ssim(small, small, data_range=1.0, window_size=5).item() == 1
    assert ssim(small, small, data_range=1.0, gaussian=True, window_size=5, sigma=0.5).item() == 1


# --- Correlations and distances


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_correlations_equal_scipy(scale, dtype):
    a, b = (maps * dtype(scale) for maps in pair(15, 21, channel=3, batch=3, dtype=dtype))
    b[1] = np.round(b[1] / scale * 4) * dtype(scale)  # many ties, also of 0 with -0
    flat = list(zip(a.reshape(3, -1).astype(float) / scale, b.reshape(3, -1).astype(float) / scale, strict=True))
    expected = [stats.pearsonr(x, y).statistic for x, y in flat]
    np.testing.assert_allclose(on_tensors(pearson, a, b), expected, rtol=0, atol=1e-12)
    expected = [stats.spearmanr(x, y).statistic for x, y in flat]
    np.testing.assert_allclose(on_tensors(spearman, a, b), expected, rtol=0, atol=1e-12)
    expected = [stats.spearmanr(np.abs(x), np.abs(y)).statistic for x, y in flat]
    np.testing.assert_allclose(on_tensors(spearman, a, b, absolute=True), expected, rtol=0, atol=1e-12)
    expected = [x @ y / np.linalg.norm(x) / np.linalg.norm(y) for x, y in flat]
    np.testing.assert_allclose(on_tensors(cosine, a, b), expected, rtol=0, atol=1e-12)
    expected = [np.linalg.norm(x - y) * scale for x, y in flat]
    np.testing.assert_allclose(on_tensors(euclidean, a, b), expected, rtol=1e-7 if dtype == np.float32 else 1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_spearman_of_large_tied_maps(dtype):
    # 80 % zeros at 299x299: sums of tied ranks reach 2.6e9, beyond 32-bit integers.
    a, b = pair(299, 299, dtype=dtype, batch=1)
    a[np.random.default_rng(1).random(a.shape) < 0.8] = 0
    expected = stats.spearmanr(a.ravel(), b.ravel()).statistic
    assert on_tensors(spearman, a, b)[0] == pytest.approx(expected, abs=1e-12)
    np.testing.assert_array_equal(average_ranks(torch.from_numpy(a).flatten(1))[0], stats.rankdata(a))


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
def test_average_ranks_by_hand(dtype):
    values = torch.tensor([[3.0, -0.0, 0.0, -5.0, 3.0, 3.0], [1.0, 1.0, 1.0, 1.0, 1.0, 1.0]], dtype=dtype)
    expected = torch.tensor([[5.0, 2.5, 2.5, 1.0, 5.0, 5.0], [3.5] * 6], dtype=torch.float64)
    assert torch.equal(average_ranks(values), expected)


def test_pearson_sees_a_faint_signal_on_a_large_offset():
    signal = torch.randn(1, 500, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    # 1e8 + x keeps eight digits of x, hence the tolerance.
    torch.testing.assert_close(pearson(1e8 + signal, signal), torch.ones(1).double(), rtol=0, atol=1e-12)


@pytest.mark.parametrize("scale", [1e-310, 1e-200, 1e200, 1e307])
def test_correlations_do_not_overflow(scale):
    a, b = (torch.from_numpy(maps) for maps in pair(9, 9))
    tolerance = 1e-8 if scale < 1e-300 else 1e-12  # subnormal numbers have few digits
    for metric in (pearson, cosine, spearman):
        torch.testing.assert_close(metric(a * scale, b), metric(a, b), rtol=0, atol=tolerance)


@pytest.mark.parametrize("scale", [1e-310, 1e-200, 1e200, 1e300])
def test_distances_do_not_overflow(scale):
    a, b = (torch.from_numpy(maps) for maps in pair(9, 9))
    tolerance = 1e-8 if scale < 1e-300 else 1e-12  # subnormal numbers have few digits
    torch.testing.assert_close(euclidean(a * scale, b * scale) / scale, euclidean(a, b), rtol=tolerance, atol=0)
    torch.testing.assert_close(unit_maps(a * scale), unit_maps(a), rtol=tolerance, atol=tolerance)
    regions = torch.ones(len(a), *a.shape[2:], dtype=torch.bool).tril()
    torch.testing.assert_close(region_share(a * scale, regions), region_share(a, regions), rtol=tolerance, atol=0)


def test_a_distance_beyond_float64_is_its_largest_number():
    top = torch.finfo(torch.float64).max
    ends = torch.full((1, 2), top, dtype=torch.float64)
    assert euclidean(ends, -ends).tolist() == [top]


def test_hog_of_huge_maps_is_that_of_large_ones():
    maps = torch.from_numpy(pair(40, 40)[0])
    maps = maps / maps.abs().amax()
    torch.testing.assert_close(hog(maps * 1.7e308, cell_size=8), hog(maps * 1e30, cell_size=8), rtol=0, atol=1e-12)


def test_ssim_refuses_maps_whose_squares_overflow():
    maps = torch.from_numpy(pair(20, 20)[0])
    with pytest.raises(InvalidInput, match="data_range"):
        ssim(maps * 1e200, maps, data_range=2.0)


def test_distances_by_hand():
    a, b = torch.tensor([[3.0, 0.0], [1.0, 1.0]]), torch.tensor([[0.0, 4.0], [1.0, 0.0]])
    torch.testing.assert_close(euclidean(a, b), torch.tensor([5.0, 1.0]).double())
    torch.testing.assert_close(cosine(a, b), torch.tensor([0.0, math.sqrt(0.5)]).double())


# --- HOG


@pytest.mark.parametrize(("orientations", "cell_size", "block_size"), [(9, 16, 3), (9, 8, 1), (8, 5, 2), (6, 7, 3)])
@pytest.mark.parametrize("channel", [1, 3])
@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_hog_equals_scikit_image(orientations, cell_size, block_size, channel, scale):
    a, _ = pair(53, 67, channel)
    a *= scale
    features = hog(torch.from_numpy(a), orientations=orientations, cell_size=cell_size, block_size=block_size).numpy()
    expected = [
        skimage_hog(x, orientations, (cell_size, cell_size), (block_size, block_size), channel_axis=0) for x in a
    ]
    # scikit-image adds up its histograms in float32
    np.testing.assert_allclose(features, expected, rtol=0, atol=1e-6)


def literal_hog(image: np.ndarray, orientations: int, cell: int, block: int) -> np.ndarray:
    """HOG of one (height, width) map, pixel by pixel."""
    height, width = image.shape
    cells = np.zeros((height // cell, width // cell, orientations))
    for y in range(height // cell * cell):
        for x in range(width // cell * cell):
            dy = image[y + 1, x] - image[y - 1, x] if 0 < y < height - 1 else 0.0
            dx = image[y, x + 1] - image[y, x - 1] if 0 < x < width - 1 else 0.0
            angle = math.degrees(math.atan2(dy, dx)) % 180
            orientation = min(int(angle * orientations / 180), orientations - 1)
            cells[y // cell, x // cell, orientation] += math.hypot(dy, dx) / cell**2
    features = []
    for row in range(cells.shape[0] - block + 1):
        for column in range(cells.shape[1] - block + 1):
            v = cells[row : row + block, column : column + block].ravel()
            v = np.minimum(v / math.sqrt((v**2).sum() + 1e-10), 0.2)
            features.append(v / math.sqrt((v**2).sum() + 1e-10))
    return np.concatenate(features)


def test_hog_equals_its_definition():
    a, _ = pair(26, 33)
    features = hog(torch.from_numpy(a), orientations=9, cell_size=6, block_size=2).numpy()
    np.testing.assert_allclose(features, [literal_hog(x[0], 9, 6, 2) for x in a], rtol=0, atol=1e-12)


def test_hog_keeps_gradients_just_below_zero_degrees():
    # atan2(-1e-30, 1) is so small that modulo 180 it rounds to 180: scikit-image puts it in no bin.
    ramp = torch.arange(8.0, dtype=torch.float64).repeat(8, 1) - torch.arange(8.0)[:, None].double() * 1e-30
    assert hog(ramp[None, None], cell_size=8, block_size=1).sum() > 0


def test_hog_correlations_equal_scipy():
    a, b = pair(80, 96, channel=3)
    features = [[skimage_hog(x, pixels_per_cell=(16, 16), channel_axis=0) for x in maps] for maps in (a, b)]
    pairs = list(zip(*features, strict=True))
    # HOGs differ by float32 rounding, see above
    expected = [stats.pearsonr(x, y).statistic for x, y in pairs]
    np.testing.assert_allclose(on_tensors(hog_pearson, a, b), expected, rtol=0, atol=1e-6)
    expected = [stats.spearmanr(x, y).statistic for x, y in pairs]
    np.testing.assert_allclose(on_tensors(hog_spearman, a, b), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("options", [{"orientations": 0}, {"cell_size": 0}, {"block_size": 0}, {"cell_size": 21}])
def test_hog_refuses_impossible_settings(options):
    maps = torch.rand(1, 1, 60, 60)
    with pytest.raises(InvalidInput, match="HOG"):
        hog_pearson(maps, maps, **options)


# --- Properties

finite = st.floats(-1e6, 1e6, allow_nan=False, width=32)
two_maps = arrays(np.float64, (2, 1, 12), elements=finite)


@settings(max_examples=60, deadline=None)
@given(two_maps)
def test_scores_are_bounded_and_defined(maps):
    a, b = torch.from_numpy(maps)
    for metric in (pearson, spearman, cosine):
        assert -1 <= metric(a, b).item() <= 1
        assert metric(a, a).item() == pytest.approx(1, abs=1e-12)
    assert euclidean(a, b).item() >= 0


@settings(max_examples=60, deadline=None)
@given(arrays(np.float64, (2, 1, 12), elements=st.integers(-20, 20).map(float)))
def test_spearman_sees_the_order_alone(maps):
    a, b = torch.from_numpy(maps)
    for monotone in (lambda x: 3 * x - 7, lambda x: x**3, torch.exp, torch.atan):
        assert torch.equal(spearman(monotone(a), b), spearman(a, b))
    if a.min() < a.max() and b.min() < b.max():
        torch.testing.assert_close(spearman(-a, b), -spearman(a, b), rtol=0, atol=1e-14)


@settings(max_examples=60, deadline=None)
@given(arrays(np.float64, (2, 1, 12), elements=st.integers(-50, 50).map(float)), st.floats(0.01, 100), st.floats(-9, 9))
def test_pearson_ignores_scale_and_shift(maps, scale, shift):
    a, b = torch.from_numpy(maps)
    torch.testing.assert_close(pearson(a * scale + shift, b), pearson(a, b), rtol=0, atol=1e-9)
