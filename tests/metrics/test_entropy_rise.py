"""The rise of the entropy against numpy's histogram and SciPy, slowly and map by map, and cases worked out by hand."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from probatum.errors import InvalidInput
from probatum.metrics import EntropyRise, entropy_rise, get_metric, histogram_entropy


def replica(a: np.ndarray, b: np.ndarray, bins: int) -> float:
    """The literal formula on one pair of maps, with the rule for constant maps."""
    before, after = (stats.entropy(np.histogram(maps.ravel(), bins=bins)[0]) for maps in (a, b))
    return 0.0 if a.min() == a.max() else (after - before) / before


@pytest.mark.parametrize("bins", [2, 7, 100])
@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 17, 23), (5,)])
def test_equals_the_slow_replica(shape, bins):
    rng = np.random.default_rng(0)
    a = rng.standard_normal((6, *shape)) ** 3
    b = rng.random((6, *shape))
    a[1], b[2], a[3], b[3] = 0.25, -1.0, 2.0, 5.0  # constant: the first, the second, both
    expected = [replica(x, y, bins) for x, y in zip(a, b, strict=True)]
    rises = entropy_rise(torch.from_numpy(a), torch.from_numpy(b), bins=bins)
    np.testing.assert_allclose(rises, expected, rtol=1e-12, atol=1e-14)
    assert rises[1] == 0
    assert rises[2] == -1
    assert rises[3] == 0


@settings(max_examples=60, deadline=None)
@given(
    arrays(np.float64, st.integers(1, 40), elements=st.floats(-1e3, 1e3, allow_subnormal=False, width=16)),
    st.integers(2, 30),
)
def test_values_on_the_edges_of_bins_are_counted_as_numpy_does(values, bins):
    # Values of few digits fall on edges again and again.
    expected = stats.entropy(np.histogram(values, bins=bins)[0])
    found = histogram_entropy(torch.from_numpy(values)[None], bins=bins)
    np.testing.assert_allclose(found, [expected], rtol=1e-12, atol=1e-14)


def test_known_entropies():
    maps = torch.stack([torch.zeros(8), torch.arange(8.0), torch.tensor([0.0] * 4 + [1.0] * 4), torch.eye(8)[0]])
    expected = [0, math.log(8), math.log(2), -(7 / 8) * math.log(7 / 8) + math.log(8) / 8]
    np.testing.assert_allclose(histogram_entropy(maps.double(), bins=100), expected, rtol=1e-14, atol=1e-15)
    assert histogram_entropy(torch.arange(8.0)[None], bins=4) == pytest.approx(math.log(4), rel=1e-14)


@pytest.mark.parametrize(("factor", "shift"), [(2.0**-90, 0.0), (2.0**90, 0.0), (-1.0, 0.0), (4.0, 16.0)])
def test_the_scale_and_the_sign_of_a_map_do_not_matter(factor, shift):
    generator = torch.Generator().manual_seed(0)
    maps = torch.randint(-(2**20), 2**20, (3, 1, 9, 9), generator=generator).double() / 2**10
    torch.testing.assert_close(histogram_entropy(maps * factor + shift), histogram_entropy(maps), rtol=1e-12, atol=0)


def test_the_largest_range_does_not_overflow():
    maps = torch.tensor([[-1.7e308, 0.0, 1.7e308, 1.7e308]], dtype=torch.float64)
    assert histogram_entropy(maps) == pytest.approx(1.5 * math.log(2), rel=1e-14)


def test_a_map_of_few_values_rises_to_one_of_many():
    sparse = torch.zeros(1, 1, 20, 20)
    sparse[..., 5, 5] = 1
    noise = torch.rand(1, 1, 20, 20, generator=torch.Generator().manual_seed(0))
    metric = get_metric("entropy-rise")
    assert metric(sparse, noise) > 10
    assert -1 < metric(noise, sparse) < -0.9


def test_too_few_bins_are_refused():
    with pytest.raises(InvalidInput, match="at least 2 bins"):
        EntropyRise(1)
