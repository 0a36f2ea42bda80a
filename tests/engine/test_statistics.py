"""Running statistics against numpy, for any boundaries of the chunks."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from probatum.engine.statistics import SampleMoments, WeightedSum


@st.composite
def streams(draw):
    """Maps of (batch, samples, inner) points, weights of the inner points, and the stops of the chunks."""
    batch, samples, inner = (draw(st.integers(1, top)) for top in (3, 6, 5))
    generator = np.random.default_rng(draw(st.integers(0, 10**6)))
    maps = generator.normal(draw(st.sampled_from([0.0, 1e3])), 1, (batch, samples, inner, 2, 3))
    total = batch * samples * inner
    stops = sorted({*draw(st.lists(st.integers(1, total), max_size=8)), total})
    return maps, generator.uniform(0.1, 1, inner), stops


def feed(accumulator, maps, quadrature, stops):
    """Adds the points chunk by chunk with the weights of the stream: 1/samples times the inner weight."""
    batch, samples, inner = maps.shape[:3]
    rows = torch.from_numpy(maps.reshape(-1, *maps.shape[3:]))
    image = torch.arange(batch).repeat_interleave(samples * inner)
    weights = torch.from_numpy(np.tile(quadrature, batch * samples) / samples)
    start = 0
    for stop in stops:
        accumulator.add(rows[start:stop], image[start:stop], weights[start:stop])
        start = stop
    return accumulator.result().numpy()


@given(streams())
@settings(max_examples=60, deadline=None)
def test_equal_numpy_whatever_the_chunks(stream):
    maps, quadrature, stops = stream
    batch, samples, inner = maps.shape[:3]
    of_samples = np.einsum("bsi...,i->bs...", maps, quadrature)
    scale = np.abs(of_samples).max()
    for accumulator, expected, power in [
        (WeightedSum(batch), of_samples.mean(1), 1),
        (SampleMoments(batch, samples, inner, variance=False), (of_samples**2).mean(1), 2),
        (SampleMoments(batch, samples, inner, variance=True), of_samples.var(1), 2),
    ]:
        found = feed(accumulator, maps, quadrature, stops)
        np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-13 * scale**power)


@given(st.integers(0, 10**6), st.sampled_from([torch.float32, torch.float64]))
@settings(max_examples=20, deadline=None)
def test_variance_is_not_negative_where_the_mean_is_huge(seed, dtype):
    generator = torch.Generator().manual_seed(seed)
    maps = (1e6 + torch.randn(30, 4, generator=generator) * 0.1).to(dtype)
    moments = SampleMoments(1, 30, 1, variance=True)
    moments.add(maps, torch.zeros(30, dtype=torch.int64), torch.full((30,), 1 / 30, dtype=dtype))
    assert (moments.result() >= 0).all()


def test_one_sample_has_no_variance():
    moments = SampleMoments(2, 1, 3, variance=True)
    moments.add(torch.randn(6, 5), torch.arange(2).repeat_interleave(3), torch.full((6,), 1 / 3))
    assert not moments.result().any()


@pytest.mark.parametrize("samples", [2, 5])
def test_a_linear_ramp_of_samples_has_the_known_variance(samples):
    moments = SampleMoments(1, samples, 1, variance=True)
    ramp = torch.arange(samples, dtype=torch.float64)[:, None]
    moments.add(ramp, torch.zeros(samples, dtype=torch.int64), torch.full((samples,), 1 / samples).double())
    torch.testing.assert_close(moments.result(), torch.tensor([[(samples**2 - 1) / 12]], dtype=torch.float64))
