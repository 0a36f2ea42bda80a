"""Noise streams: normal, independent, and the same wherever and however they are asked for."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from nets import images
from scipy import stats

from probatum.engine.noise import image_keys, splitmix64, standard_normal

SHAPE = torch.Size([2, 11, 9])


def draw(keys, samples, shape=SHAPE, dtype=torch.float64):
    return standard_normal(torch.as_tensor(keys), torch.as_tensor(samples), torch.Size(shape), dtype)


@pytest.fixture(scope="module")
def keys():
    return image_keys(torch.randn(40, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64), seed=0)


@pytest.fixture(scope="module")
def many(keys):
    """(40 keys, 25 samples, 1001 pixels): a million numbers."""
    rows = torch.cartesian_prod(torch.arange(40), torch.arange(25))
    return draw(keys[rows[:, 0]], rows[:, 1], (1001,)).reshape(40, 25, 1001)


def test_moments_are_those_of_the_normal_distribution(many):
    # Standard errors of the sample moments of n normal numbers: √(1/n), √(2/n), √(15/n), √(96/n).
    n = many.numel()
    for power, expected, variance in [(1, 0, 1), (2, 1, 2), (3, 0, 15), (4, 3, 96)]:
        assert abs(float(many.pow(power).mean()) - expected) < 4 * math.sqrt(variance / n)


def test_distribution_is_normal_over_all_and_within_each_stream_sample_and_pixel(many):
    assert stats.kstest(many.flatten().numpy(), "norm").pvalue > 0.01
    for part in (many[3].flatten(), many[:, 7].flatten(), many[..., 0].flatten(), many[..., -1].flatten()):
        assert stats.kstest(part.numpy(), "norm").pvalue > 0.01


@pytest.mark.parametrize(
    ("name", "pair"),
    [
        ("keys", lambda m: (m[0], m[1])),
        ("samples", lambda m: (m[:, 0], m[:, 1])),
        ("a sample and the next key's", lambda m: (m[:-1, 1:], m[1:, :-1])),
        ("neighboring pixels", lambda m: (m[..., 1:], m[..., :-1])),
        ("the two numbers made of one radius", lambda m: (m[..., :500], m[..., 501:])),
    ],
)
def test_correlates_neither_in_value_nor_in_magnitude(many, name, pair):
    first, second = (values.flatten() for values in pair(many))
    for a, b in [(first, second), (first.square(), second.square()), (first, second.square())]:
        correlation = float(torch.corrcoef(torch.stack([a, b]))[0, 1])
        assert abs(correlation) < 4 / math.sqrt(len(a)), name


def test_is_bounded_by_what_24_bits_can_reach(many):
    assert float(many.abs().max()) < math.sqrt(2 * 25 * math.log(2))
    assert float(many.abs().max()) > 4.5  # and has the tail that a million numbers should have


def test_float32_sees_the_noise_of_float64(keys):
    samples = torch.arange(40)
    double, single = (draw(keys, samples, dtype=dtype) for dtype in (torch.float64, torch.float32))
    error = (single.double() - double).abs()
    assert float(error.median()) < 1e-6
    # Near the radius zero, −2 log u loses its leading digits: √(2⁻²⁴) is the worst that can come of it.
    assert float(error.max()) < 2.0**-12


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_narrow_types_see_it_rounded(keys, dtype):
    samples = torch.arange(40)
    assert torch.equal(draw(keys, samples, dtype=dtype), draw(keys, samples, dtype=torch.float32).to(dtype))


@given(st.permutations(range(8)), st.integers(1, 8))
@settings(max_examples=10, deadline=None)
def test_a_row_does_not_depend_on_the_other_rows(order, rows):
    keys = image_keys(images(8), seed=2)
    together = draw(keys, torch.arange(8))
    some = torch.tensor(order[:rows])
    assert torch.equal(draw(keys[some], some), together[some])


def test_shapes_of_equal_size_see_the_same_numbers_and_odd_sizes_are_no_exception(keys):
    samples = torch.zeros(40, dtype=torch.int64)
    assert torch.equal(draw(keys, samples, (6, 7)).flatten(1), draw(keys, samples, (42,)))
    for size in (1, 2, 3):
        assert draw(keys, samples, (size,)).shape == (40, size)
    assert draw(keys, samples, ()).shape == (40,)


def test_an_images_key_is_its_content_and_the_seed():
    x = images(50)
    keys = image_keys(x, 0)
    assert len(set(keys.tolist())) == 50
    assert torch.equal(image_keys(x.flip(0), 0), keys.flip(0))
    assert torch.equal(torch.cat([image_keys(x[i : i + 1], 0) for i in range(50)]), keys)
    assert torch.equal(image_keys(torch.cat([x, x]), 0), keys.repeat(2))
    for seed in (1, -1, 2**40, -(2**63), 2**63 - 1):
        assert not set(image_keys(x, seed).tolist()) & set(keys.tolist())


def test_keys_of_float32_and_float64_agree_and_zero_has_no_sign():
    x = images(dtype=torch.float32)
    x[:, 0, :3] = 0.0
    assert torch.equal(image_keys(x.double(), 5), image_keys(x, 5))
    negative = x.clone()
    negative[:, 0, :3] = -0.0
    assert torch.equal(image_keys(negative, 5), image_keys(x, 5))


def test_the_smallest_change_of_an_image_changes_its_key():
    x = images(1, dtype=torch.float32)
    nudged = x.expand(x.numel(), *x.shape[1:]).clone()
    flat = nudged.flatten(1)
    flat[range(len(flat)), range(len(flat))] = torch.nextafter(flat.diagonal(), torch.tensor(torch.inf))
    swapped = x.flip(3)
    keys = torch.cat([image_keys(each, 0) for each in (x, flat.reshape(nudged.shape), swapped)])
    assert len(set(keys.tolist())) == len(keys)


@given(st.integers(-(2**63), 2**63 - 1), st.integers(0, 62))
@settings(max_examples=50, deadline=None)
def test_scramble_is_the_finalizer_of_splitmix64(word, bit):
    def by_python(z):
        z &= 2**64 - 1
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) % 2**64
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) % 2**64
        return z ^ (z >> 31)

    mixed = splitmix64(torch.tensor([word, word ^ (1 << bit)]))
    assert int(mixed[0]) % 2**64 == by_python(word)
    assert mixed[0] != mixed[1]


def test_one_flipped_bit_flips_about_half_of_the_scrambled_bits():
    words = torch.arange(2000) * 7919
    flips = []
    for bit in range(64):
        change = splitmix64(words) ^ splitmix64(words ^ (1 << bit if bit < 63 else -(2**63)))
        flips.append(sum(int(value).bit_count() for value in (change & (2**63 - 1)).tolist()) / len(words))
    assert all(30.5 < flip < 32.5 for flip in flips)  # of 63


def test_neither_uses_nor_changes_the_global_random_state(keys):
    state = torch.get_rng_state()
    draw(keys, torch.arange(40))
    assert torch.equal(torch.get_rng_state(), state)
