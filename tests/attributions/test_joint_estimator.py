"""The joint estimator of SmoothGrad of a path: one drawn point of the path for each noisy image."""

import math

import pytest
import torch
from attributions.unchecked import unchecked
from nets import ConvNet, Power, images, seeded
from scipy import stats
from torch import nn

from probatum.attributions import Gradient, IntegratedGradients, SmoothGrad
from probatum.engine.noise import image_keys, standard_normal, uniform
from probatum.errors import InvalidInput

SMALL = (1, 2, 3)
SEEDS = 300


class Points(nn.Module):
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


@pytest.mark.parametrize("multiply_by_inputs", [True, False])
def test_its_expectation_is_that_of_the_noisy_path_integral(multiply_by_inputs):
    # S(x) = Σ a x³ from a baseline of zero: the path integral at x is a x³, or a x² without the factor x, so that with
    # noise of deviation σ the expectation is a (x³ + 3 x σ²), or a (x² + σ²).
    model, x, sigma = seeded(lambda: Power(3, inputs=6)), images(2, SMALL), 0.4
    a = model.coefficients[1].detach().reshape(1, *SMALL)
    expected = a * (x**3 + 3 * x * sigma**2) if multiply_by_inputs else a * (x**2 + sigma**2)
    inner = IntegratedGradients(multiply_by_inputs=multiply_by_inputs)
    method = SmoothGrad(inner, samples=5, noise_std=sigma, estimator="joint")
    maps = torch.stack([method(model, x, 1, seed=seed, chunk=10) for seed in range(SEEDS)])
    z = (maps.mean(0) - expected) / (maps.std(0) / math.sqrt(SEEDS))
    assert z.abs().max() < 4  # twelve numbers: 1 in 1300 by chance, and the seeds are fixed
    assert (maps.std(0) > 0).all()


def test_without_noise_it_has_no_error_of_a_rule_but_the_jitters():
    # The mean of a x² over K jittered strata differs from the integral by O(K^-3/2), whatever the inner rule.
    model, x = seeded(lambda: Power(3)), images()
    exact = model.coefficients[1].detach().reshape(1, *x.shape[1:]) * x**3
    errors = []
    for samples in (8, 128):
        coarse, fine = (
            SmoothGrad(IntegratedGradients(steps, rule=rule), samples, noise_std=0.0, estimator="joint")(model, x, 1)
            for steps, rule in ((1, "right"), (50, "midpoint"))
        )
        assert torch.equal(coarse, fine)
        errors.append(float((fine - exact).norm() / exact.norm()))
    assert errors[1] < errors[0] / 16
    assert errors[1] < 128**-1.5


def test_each_sample_has_a_stratum_of_its_own_and_noise_of_its_own():
    x, model = images(40, SMALL), Points()
    method = SmoothGrad(IntegratedGradients(), samples=25, noise_std=0.3, estimator="joint")
    method(model, x, 0, chunk=16, precision="float64")
    points = torch.cat(model.log).reshape(40, 25, *SMALL)
    keys = image_keys(x, 0)
    for k in range(25):
        sample = torch.full_like(keys, k)
        alpha = (points[:, k] / (x + 0.3 * standard_normal(keys, sample, x.shape[1:], x.dtype))).flatten(1)
        torch.testing.assert_close(alpha, alpha[:, :1].expand_as(alpha), rtol=1e-12, atol=0)
        torch.testing.assert_close(alpha[:, 0], (k + uniform(keys, sample, x.dtype)) / 25, rtol=1e-12, atol=0)


def test_jitters_are_uniform_and_tell_nothing_of_the_noise():
    keys = image_keys(images(200, SMALL), 0)
    grid = torch.cartesian_prod(torch.arange(200), torch.arange(50))
    jitter = uniform(keys[grid[:, 0]], grid[:, 1], torch.float64)
    noise = standard_normal(keys[grid[:, 0]], grid[:, 1], torch.Size([7]), torch.float64)
    assert stats.kstest(jitter.numpy(), "uniform").pvalue > 0.01
    assert 0 < float(jitter.min()) < float(jitter.max()) < 1
    for values in (noise, noise.square(), noise.roll(1, 0)):
        table = torch.corrcoef(torch.cat([jitter[:, None], values], dim=1).T)
        assert table[0, 1:].abs().max() < 4 / math.sqrt(len(jitter))


def test_it_comes_near_the_nested_estimator_with_a_fraction_of_the_gradients():
    model, x = seeded(ConvNet), images(3)
    exact = SmoothGrad(IntegratedGradients(25), samples=400)(model, x, 0, seed=9)

    def error(method):
        runs = [(method(model, x, 0, seed=seed) - exact).flatten(1).norm(dim=1) for seed in range(4)]
        return torch.stack(runs).square().mean().sqrt()

    nested = error(SmoothGrad(IntegratedGradients(25), samples=10))  # 250 gradients
    joint = error(SmoothGrad(IntegratedGradients(25), samples=20, estimator="joint"))  # 20
    assert joint < 1.5 * nested


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"estimator": "other"}, "choose from nested, joint"),
        ({"estimator": "joint", "statistic": "variance"}, "take 'nested' for the variance"),
        ({"estimator": "joint", "statistic": "square"}, "take 'nested' for the square"),
    ],
)
def test_what_makes_no_sense_is_refused(options, message):
    with unchecked(), pytest.raises(InvalidInput, match=message):
        SmoothGrad(IntegratedGradients(), **options)


def test_a_method_without_a_path_is_refused():
    with pytest.raises(InvalidInput, match="Gradient integrates along no path; the joint estimator needs one"):
        SmoothGrad(Gradient(), estimator="joint")(seeded(ConvNet), images(), 0)
