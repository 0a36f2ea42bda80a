"""Laws that hold for every metric of the table."""

from dataclasses import replace

import pytest
import torch

from probatum.errors import InvalidInput, UnknownName
from probatum.maps import REDUCTIONS
from probatum.metrics import METRICS, HOGCorrelation, Metric, get_metric, is_constant, pearson, spearman
from probatum.metrics import inputs as metric_inputs

ALL = pytest.mark.parametrize("metric", METRICS.values(), ids=METRICS)
SIMILARITIES = pytest.mark.parametrize(
    "metric", [metric for metric in METRICS.values() if metric.perfect == 1], ids=lambda metric: metric.name
)
CORRELATIONS = pytest.mark.parametrize(
    "metric",
    [metric for metric in METRICS.values() if metric.perfect == 1 and not metric.name.startswith("ssim")],
    ids=lambda metric: metric.name,
)
ON_ANY_SHAPE = pytest.mark.parametrize(
    "metric", [metric for metric in METRICS.values() if not metric.measure.images], ids=lambda metric: metric.name
)

SYMMETRIC = pytest.mark.parametrize(
    "metric", [metric for metric in METRICS.values() if metric.kind != "rise"], ids=lambda metric: metric.name
)


def random_maps(seed: int, batch: int = 4, channel: int = 1, side: int = 53, dtype: torch.dtype = torch.float64):
    """Smooth-ish maps in [-1, 1] with a share of exact zeros."""
    generator = torch.Generator().manual_seed(seed)
    maps = torch.rand(batch, channel, side, side + 4, generator=generator, dtype=torch.float64) * 2 - 1
    return torch.where(maps.abs() < 0.2, 0.0, maps).to(dtype)


def related_maps(seed: int, **options):
    """Two batches of maps that have something in common."""
    a = random_maps(seed, **options)
    return a, (4 * a + random_maps(seed + 1000, **options)) / 5


@ALL
@pytest.mark.parametrize("channel", [1, 3])
def test_a_score_depends_on_its_own_pair_alone(metric: Metric, channel: int):
    chunk = metric_inputs.CHUNK_VALUES["cpu"] // (channel * 53 * 57)
    a, b = related_maps(0, batch=chunk + 2, channel=channel)
    b[2] *= 1e-3
    a[3] *= 1e3
    together = metric(a, b)
    assert together.shape == (chunk + 2,)
    some = [0, 2, 3, chunk - 1, chunk, chunk + 1]
    alone = torch.cat([metric(a[i : i + 1], b[i : i + 1]) for i in some])
    torch.testing.assert_close(together[some], alone, rtol=1e-12, atol=1e-12)


@SYMMETRIC
def test_symmetry(metric: Metric):
    a, b = related_maps(1)
    torch.testing.assert_close(metric(a, b), metric(b, a), rtol=0, atol=1e-14)


@ALL
@pytest.mark.parametrize("scale", [1e-30, 1.0, 1e30])
def test_identical_maps_are_perfect(metric: Metric, scale: float):
    a = random_maps(2, channel=3) * scale
    torch.testing.assert_close(metric(a, a.clone()), torch.full((4,), metric.perfect).double(), rtol=0, atol=1e-12)


@SIMILARITIES
def test_unrelated_maps_score_about_zero(metric: Metric):
    # Between HOGs of noise, about 576 independent values, the standard deviation is 0.04.
    a, b = random_maps(3, side=128), random_maps(4, side=128)
    assert metric(a, b).abs().max() < (0.25 if "hog" in metric.name else 0.05)


@SIMILARITIES
def test_related_maps_score_between(metric: Metric):
    a, b = related_maps(5, side=128)
    scores = metric(a, b)
    assert (scores > 0.2).all()
    assert (scores < 0.99).all()


@ALL
def test_prepared_maps_score_as_plain_ones(metric: Metric):
    a, b = related_maps(6, channel=3, side=160)  # several chunks
    reference = metric.prepare(a)
    assert all(len(part) == len(a) for part in reference)
    assert torch.equal(metric.compare(reference, metric.prepare(b)), metric(a, b))
    assert torch.equal(metric.compare_maps(reference, b), metric(a, b))
    both = metric.compare_with_all([reference, metric.prepare(b)], b)
    assert torch.equal(torch.stack(both), torch.stack([metric(a, b), metric(b, b)]))
    assert torch.equal(metric.compare(reference, reference), metric(a, a))


@ALL
def test_features_can_be_cut_by_image(metric: Metric):
    a, b = related_maps(7)
    features_a, features_b = metric.prepare(a), metric.prepare(b)
    part = metric.compare(tuple(f[1:3] for f in features_a), tuple(f[1:3] for f in features_b))
    torch.testing.assert_close(part, metric(a, b)[1:3], rtol=0, atol=1e-14)


@CORRELATIONS
@pytest.mark.parametrize("value", [0.0, 0.1, -3e20])
def test_rule_for_constant_maps(metric: Metric, value: float):
    if metric.name == "cosine":  # undefined for zero maps only
        value = 0.0
    a, b = related_maps(8, batch=3)
    a[0], b[0] = value, value
    a[1] = value
    expected = torch.tensor([1.0, 0.0]).double()
    assert torch.equal(metric(a, b)[:2], expected)
    assert torch.equal(metric(b, a)[:2], expected)
    assert metric(a, b)[2] > 0.2


@pytest.mark.parametrize("name", [name for name in METRICS if name.startswith("ssim")])
def test_ssim_of_constant_maps_is_defined(name: str):
    a, b = torch.zeros(2, 1, 20, 20), torch.zeros(2, 1, 20, 20)
    b[1] = 1.0
    scores = get_metric(name)(a, b)
    assert scores[0] == 1
    assert 0 < scores[1] < 0.01


def test_is_constant():
    maps = random_maps(9, batch=3, channel=2)
    maps[1] = 0.1
    maps[2, 0], maps[2, 1] = 1.0, 2.0
    assert is_constant(maps).tolist() == [False, True, False]
    assert is_constant(torch.ones(2, 1)).tolist() == [True, True]


@ALL
@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_refuses_values_that_are_not_finite(metric: Metric, bad: float):
    a, b = related_maps(10)
    b[2, 0, 5, 7] = bad
    b[3] = bad
    with pytest.raises(InvalidInput, match="map 2 of the batch"):
        metric(a, b)
    with pytest.raises(InvalidInput, match="map 2 of the batch"):
        metric.prepare(b)


@ALL
@pytest.mark.parametrize("dtype", [torch.int64, torch.uint8, torch.bool, torch.complex64])
def test_refuses_other_dtypes(metric: Metric, dtype: torch.dtype):
    maps = torch.ones(2, 1, 64, 64, dtype=dtype)
    with pytest.raises(InvalidInput, match="floating point"):
        metric(maps, maps)


@ALL
def test_refuses_other_shapes(metric: Metric):
    maps = random_maps(11)
    for other in (maps[:2], maps[:, :, :-1], maps.flatten(1)):
        with pytest.raises(InvalidInput):
            metric(maps, other)
    with pytest.raises(InvalidInput, match="do not match"):
        metric.compare(metric.prepare(maps), metric.prepare(maps[:2]))
    with pytest.raises(InvalidInput, match="cannot be compared"):
        metric.compare_maps(metric.prepare(maps), maps[:2])
    for empty in (maps[:0], maps[:, :0], maps[0, 0, 0]):
        with pytest.raises(InvalidInput):
            metric(empty, empty)
    if metric.measure.images:
        with pytest.raises(InvalidInput, match="channel, height, width"):
            metric(maps[:, 0], maps[:, 0])


@ALL
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_precision_of_the_input_is_that_of_the_score(metric: Metric, dtype: torch.dtype):
    a, b = related_maps(12, dtype=dtype)
    # The maps round, the computation does not: the same rounded maps in float64 give the same score.
    torch.testing.assert_close(metric(a, b), metric(a.double(), b.double()), rtol=1e-12, atol=1e-12)


@ALL
def test_leaves_its_inputs_alone(metric: Metric):
    a, b = (maps.requires_grad_() for maps in related_maps(13))
    copies = a.detach().clone(), b.detach().clone()
    assert not metric(a, b).requires_grad
    assert torch.equal(a, copies[0])
    assert torch.equal(b, copies[1])


@ALL
def test_memory_layout_does_not_matter(metric: Metric):
    a, b = related_maps(14, channel=3)
    scores = metric(a.contiguous(memory_format=torch.channels_last), b.transpose(2, 3).contiguous().transpose(2, 3))
    torch.testing.assert_close(scores, metric(a, b), rtol=0, atol=1e-14)


@ON_ANY_SHAPE
def test_maps_of_any_shape(metric: Metric):
    a, b = related_maps(15)
    torch.testing.assert_close(metric(a.flatten(1), b.flatten(1)), metric(a, b), rtol=0, atol=1e-14)
    one_token = metric(torch.ones(1, 1), torch.ones(1, 1))
    assert one_token.item() == metric.perfect


@ALL
@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_devices_agree(metric: Metric, dtype: torch.dtype):
    a, b = related_maps(16, channel=3, dtype=dtype)
    a[0] = 0
    torch.testing.assert_close(metric(a.cuda(), b.cuda()).cpu(), metric(a, b), rtol=1e-12, atol=1e-12)


@ALL
def test_the_table_is_complete(metric: Metric):
    assert metric is get_metric(metric.name)
    assert metric.reduction in REDUCTIONS
    assert metric.title
    assert metric.source
    assert (metric.kind == "similarity") == (metric.perfect == 1)


def test_unknown_names_get_a_hint():
    with pytest.raises(UnknownName, match="'spearman'"):
        get_metric("spearmann")


def test_another_setting_is_another_measure():
    digits_a, digits_b = related_maps(17, side=28)
    metric = get_metric("hog-pearson")
    with pytest.raises(InvalidInput, match="smaller cell_size"):
        metric(digits_a, digits_b)
    small_cells = replace(metric, measure=HOGCorrelation(cell_size=4))
    assert (small_cells(digits_a, digits_b) > 0.2).all()


def test_absolute_ranks():
    a, b = related_maps(18)
    assert torch.equal(spearman(a, b, absolute=True), spearman(a.abs(), b.abs()))
    assert torch.equal(spearman(a, -a, absolute=True), spearman(a.abs(), a.abs()))
    torch.testing.assert_close(pearson(a, -a), torch.full((4,), -1.0).double(), rtol=0, atol=1e-12)
