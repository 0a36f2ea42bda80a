"""Chains of expansions: their order, their weights, and the points that methods really visit."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from nets import SHAPE, images
from torch import nn

from probatum.attributions import Gradient, IntegratedGradients, Mean, SmoothGrad, Zero
from probatum.engine import Noise, StraightPath
from probatum.engine.noise import image_keys, standard_normal
from probatum.engine.sampling import PointStream

BATCH = 3
NOISE = Noise(4, fraction=0.2)
PATH = StraightPath((0.1, 0.5, 0.75), (0.2, 0.5, 0.3), Mean())
CHAINS = {
    "image": (),
    "noise": (NOISE,),
    "path": (PATH,),
    "noise of path": (NOISE, PATH),
    "path of noise": (PATH, NOISE),
}


def stream(chain):
    x = images(BATCH)
    return PointStream.of(x, image_keys(x, 0), chain)


def nested_loop():
    """The points, origins, baselines and weights of (Noise, StraightPath), written out."""
    x = images(BATCH)
    for i, (image, key) in enumerate(zip(x, image_keys(x, 0), strict=True)):
        baseline = image.mean((1, 2), keepdim=True).expand_as(image)
        for k in range(NOISE.count):
            epsilon = standard_normal(key[None], torch.tensor([k]), image.shape, torch.float64)[0]
            noisy = image + 0.2 * (image.max() - image.min()) * epsilon
            for alpha, weight in zip(PATH.alphas, PATH.quadrature, strict=True):
                yield i, baseline + alpha * (noisy - baseline), noisy, baseline, weight / NOISE.count


def test_a_chain_is_a_nested_loop_with_the_last_expansion_fastest():
    rows = stream((NOISE, PATH)).rows(0, 10**6)
    image, points, origins, baselines, weights = zip(*nested_loop(), strict=True)
    assert rows.image.tolist() == list(image)
    for found, expected in [(rows.points, points), (rows.origins, origins), (rows.baselines, baselines)]:
        torch.testing.assert_close(found, torch.stack(expected), rtol=1e-14, atol=1e-15)
    torch.testing.assert_close(rows.weights, torch.tensor(weights, dtype=torch.float64), rtol=1e-14, atol=0)


@given(st.sampled_from(sorted(CHAINS)), st.integers(0, 35), st.integers(1, 40))
@settings(max_examples=40, deadline=None)
def test_any_part_of_a_stream_is_that_part_of_the_whole(name, start, length):
    points = stream(CHAINS[name])
    start = min(start, len(points) - 1)
    part, whole = points.rows(start, start + length), points.rows(0, len(points))
    assert len(part.image) == min(length, len(points) - start)
    for field in ("image", "images", "keys", "origins", "points", "weights", "baselines", "sample"):
        if getattr(whole, field) is not None:
            assert torch.equal(getattr(part, field), getattr(whole, field)[start : start + length])


@pytest.mark.parametrize("name", CHAINS)
def test_weights_of_an_image_sum_to_one(name):
    points = stream(CHAINS[name])
    rows = points.rows(0, len(points))
    assert len(points) == BATCH * points.per_image == BATCH * math.prod(e.count for e in CHAINS[name])
    sums = torch.zeros(BATCH, dtype=torch.float64).index_add_(0, rows.image, rows.weights)
    torch.testing.assert_close(sums, torch.ones(BATCH, dtype=torch.float64), rtol=1e-14, atol=0)


class Logger(nn.Module):
    """A linear model that keeps the points whose gradients are taken; the list is shared by all copies."""

    def __init__(self) -> None:
        super().__init__()
        log: list[torch.Tensor] = []
        self.log = log
        self.register_forward_pre_hook(
            lambda module, inputs: log.append(inputs[0].detach().clone()) if torch.is_grad_enabled() else None
        )

    def forward(self, x):
        return x.flatten(1)[:, :3] * 1

    def points(self, images: torch.Tensor) -> torch.Tensor:
        """The points of each image, (batch, points, ...)."""
        return torch.cat(self.log).reshape(len(images), -1, *images.shape[1:])


def visited(method, x, **options):
    model = Logger()
    method(model, x, 0, precision="float64", **{"chunk": 64} | options)  # without a budget, no row is measured
    return model.points(x)


@pytest.mark.parametrize("fraction", [0.1, 0.15, 0.2])
def test_smoothgrad_looks_around_each_image_at_the_asked_fraction_of_its_own_range(fraction):
    x = images(4)
    away = visited(SmoothGrad(samples=200, noise_fraction=fraction), x) - x[:, None]
    ratio = away.flatten(1).std(1) / (x.flatten(1).max(1).values - x.flatten(1).min(1).values)
    numbers = 200 * math.prod(SHAPE)
    torch.testing.assert_close(ratio, torch.full_like(ratio, fraction), rtol=4 / math.sqrt(2 * numbers), atol=0)
    assert away.mean((1, 2, 3, 4)).abs().max() < 4 * away.std() * 2 / math.sqrt(numbers)
    assert len({round(float(a), 12) for a in away[:, :, 0, 0, 0].flatten()}) == 800  # no noise is used twice


def test_an_absolute_deviation_is_the_same_for_all_images():
    x = images(4)
    away = visited(SmoothGrad(samples=200, noise_std=0.3), x) - x[:, None]
    torch.testing.assert_close(
        away.flatten(1).std(1), torch.full((4,), 0.3).double(), rtol=4 / math.sqrt(400 * math.prod(SHAPE)), atol=0
    )


def test_the_gradient_looks_at_the_image():
    assert torch.equal(visited(Gradient(), images())[:, 0], images())


@pytest.mark.parametrize(
    ("rule", "alphas"),
    [
        ("midpoint", [1 / 8, 3 / 8, 5 / 8, 7 / 8]),
        ("trapezoid", [0, 1 / 3, 2 / 3, 1]),
        ("right", [1 / 4, 2 / 4, 3 / 4, 1]),
        ("gauss-legendre", [0.069431844202974, 0.330009478207572, 0.669990521792428, 0.930568155797026]),
    ],
)
@pytest.mark.parametrize("baseline", [Zero(), Mean()], ids=["zero", "mean"])
def test_integrated_gradients_walks_straight_from_the_baseline(rule, alphas, baseline):
    x = images()
    start = baseline(x)
    points = visited(IntegratedGradients(4, baseline, rule), x)
    for k, alpha in enumerate(alphas):
        torch.testing.assert_close(points[:, k], start + alpha * (x - start), rtol=1e-13, atol=1e-13)


def test_a_path_to_a_noisy_image_keeps_its_noise_all_the_way():
    x = images()
    points = visited(SmoothGrad(IntegratedGradients(3, rule="right"), samples=2), x, seed=4, chunk=4)
    keys = image_keys(x, 4)
    sigma = 0.15 * (x.flatten(1).max(1).values - x.flatten(1).min(1).values).reshape(-1, 1, 1, 1)
    for k in range(2):
        noisy = x + sigma * standard_normal(keys, torch.full_like(keys, k), x.shape[1:], x.dtype)
        for step in range(3):
            torch.testing.assert_close(points[:, 3 * k + step], (step + 1) / 3 * noisy, rtol=1e-13, atol=1e-13)


def test_equal_chains_are_equal_and_others_are_not():
    assert (Noise(3), StraightPath((1.0,), (1.0,), Zero())) == (Noise(3), StraightPath((1.0,), (1.0,), Zero()))
    assert Noise(3) != Noise(3, absolute=0.1)
    assert StraightPath((1.0,), (1.0,), Zero()) != StraightPath((1.0,), (1.0,), Mean())
