"""SmoothGrad, SmoothGrad² and VarGrad where the answer is known, given the noise."""

import pytest
import torch
from attributions.unchecked import unchecked
from nets import SHAPE, ConvNet, Linear, Power, images, seeded

from probatum.attributions import METHODS, Gradient, InputXGradient, IntegratedGradients, SmoothGrad, Zero
from probatum.engine.noise import image_keys, standard_normal
from probatum.errors import InvalidInput

TARGETS = torch.tensor([0, 3, 1, 2, 1])
SAMPLES = 6


def noise(x: torch.Tensor, seed: int = 0, samples: int = SAMPLES) -> torch.Tensor:
    """ε of every sample, (samples, batch, ...)."""
    keys = image_keys(x, seed)
    draws = [standard_normal(keys, torch.full_like(keys, k), x.shape[1:], x.dtype) for k in range(samples)]
    return torch.stack(draws)


def sigma(x: torch.Tensor, fraction: float = 0.15) -> torch.Tensor:
    """σ of each image, (batch, 1, 1, 1)."""
    flat = x.flatten(1)
    return fraction * (flat.max(1).values - flat.min(1).values).reshape(-1, 1, 1, 1)


def test_of_a_linear_model_is_its_weights_and_has_no_variance():
    model, x = seeded(Linear), images()
    weights = model.linear.weight[TARGETS].detach().reshape(x.shape)
    smooth = SmoothGrad(samples=SAMPLES)(model, x, TARGETS)
    torch.testing.assert_close(smooth, weights, rtol=1e-15, atol=1e-16)  # six sixths round to one
    square = SmoothGrad(samples=SAMPLES, statistic="square")(model, x, TARGETS)
    torch.testing.assert_close(square, weights.square(), rtol=1e-14, atol=0)
    for dtype in (torch.float64, torch.float32):
        variance = SmoothGrad(samples=50, statistic="variance")(model.to(dtype), x.to(dtype), TARGETS)
        assert not variance.any()


def test_variance_of_almost_equal_gradients_is_not_negative():
    model, x = seeded(lambda: Power(2), dtype=torch.float32), 1000 + images(dtype=torch.float32)
    mean, square, variance = (
        SmoothGrad(samples=20, noise_fraction=1e-3, statistic=statistic)(model, x, 0)
        for statistic in ("mean", "square", "variance")
    )
    assert (square - mean.square() < 0).any(), "the usual shortcut E[m²] − E[m]² would do"
    assert (variance > 0).all()


def test_of_a_square_is_twice_the_mean_noisy_image():
    model, x = seeded(lambda: Power(2)), images()
    a = model.coefficients[TARGETS].detach().reshape(x.shape)
    epsilon = noise(x, seed=8)
    expected = 2 * a * (x + sigma(x) * epsilon.mean(0))
    torch.testing.assert_close(SmoothGrad(samples=SAMPLES)(model, x, TARGETS, seed=8), expected, rtol=1e-12, atol=1e-13)
    spread = SmoothGrad(samples=SAMPLES, statistic="variance")(model, x, TARGETS, seed=8)
    expected = (2 * a * sigma(x)).square() * epsilon.var(0, correction=0)
    torch.testing.assert_close(spread, expected, rtol=1e-12, atol=1e-15)


def test_the_multiplier_of_input_times_gradient_is_the_noisy_image():
    model, x = seeded(Linear), images()
    weights = model.linear.weight[TARGETS].detach().reshape(x.shape)
    maps = SmoothGrad(InputXGradient(), samples=SAMPLES)(model, x, TARGETS)
    torch.testing.assert_close(maps, weights * (x + sigma(x) * noise(x).mean(0)), rtol=1e-12, atol=1e-15)


def test_of_integrated_gradients_starts_each_path_at_the_baseline_of_the_clean_image():
    model, x = seeded(Linear), images()
    weights = model.linear.weight[TARGETS].detach().reshape(x.shape)
    inner = IntegratedGradients(steps=3, baseline="mean")
    expected = weights * (x + sigma(x) * noise(x).mean(0) - x.mean((2, 3), keepdim=True))
    torch.testing.assert_close(SmoothGrad(inner, samples=SAMPLES)(model, x, TARGETS), expected, rtol=1e-12, atol=1e-14)


def test_mean_of_squares_is_square_of_mean_plus_variance():
    model, x = seeded(ConvNet), images()
    mean, square, variance = (
        SmoothGrad(samples=SAMPLES, statistic=statistic)(model, x, TARGETS)
        for statistic in ("mean", "square", "variance")
    )
    torch.testing.assert_close(square, mean.square() + variance, rtol=1e-12, atol=1e-18)


@pytest.mark.parametrize("inner", [Gradient(), InputXGradient(), IntegratedGradients(steps=4)])
def test_one_sample_without_noise_is_the_method_itself(inner):
    model, x = seeded(ConvNet), images()
    smooth = SmoothGrad(inner, samples=1, noise_fraction=0.0)(model, x, TARGETS)
    torch.testing.assert_close(smooth, inner(model, x, TARGETS), rtol=1e-14, atol=1e-18)


def test_the_noise_of_a_constant_image_is_zero_because_its_range_is():
    model = seeded(ConvNet)
    x = torch.full((1, *SHAPE), 0.7, dtype=torch.float64)
    torch.testing.assert_close(SmoothGrad(samples=4)(model, x, 0), Gradient()(model, x, 0), rtol=1e-14, atol=1e-18)


def test_an_absolute_deviation_replaces_the_fraction():
    model, x = seeded(lambda: Power(2)), images()
    a = model.coefficients[TARGETS].detach().reshape(x.shape)
    maps = SmoothGrad(samples=SAMPLES, noise_fraction=99.0, noise_std=0.25)(model, x, TARGETS)
    torch.testing.assert_close(maps, 2 * a * (x + 0.25 * noise(x).mean(0)), rtol=1e-12, atol=1e-13)


def test_more_samples_begin_with_the_same_noise():
    model, x = seeded(lambda: Power(2)), images()
    a = model.coefficients[TARGETS].detach().reshape(x.shape)
    epsilon = noise(x, samples=9)
    for samples in (2, 9):
        maps = SmoothGrad(samples=samples)(model, x, TARGETS)
        torch.testing.assert_close(maps, 2 * a * (x + sigma(x) * epsilon[:samples].mean(0)), rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_narrow_models_see_the_same_noise(dtype):
    model, x = seeded(lambda: Power(2), dtype=dtype), images(2, dtype=dtype)
    wide = SmoothGrad(samples=SAMPLES)(model, x, 1, precision="float32")
    narrow = SmoothGrad(samples=SAMPLES)(model, x, 1)
    assert narrow.dtype == torch.float32
    resolution = torch.finfo(dtype).eps
    torch.testing.assert_close(narrow.float(), wide, rtol=8 * resolution, atol=8 * resolution * float(wide.abs().max()))


def test_defaults_are_those_of_the_papers():
    assert (SmoothGrad().samples, SmoothGrad().noise_fraction, SmoothGrad().statistic) == (50, 0.15, "mean")
    assert IntegratedGradients().steps == 50
    assert IntegratedGradients().baseline == "zero"
    assert METHODS["integrated-gradients-sg"].make() == SmoothGrad(IntegratedGradients(), samples=25)
    assert METHODS["vargrad"].make().statistic == "variance"
    assert METHODS["smoothgrad-squared"].make().statistic == "square"
    assert [name for name, entry in METHODS.items() if entry.control] == ["edge-detector"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": SmoothGrad()}, "SmoothGrad of SmoothGrad"),
        ({"samples": 0}, "at least 1"),
        ({"noise_fraction": -0.1}, "at least 0"),
        ({"noise_std": -0.1}, "at least 0"),
        ({"statistic": "median"}, "choose from mean, square, variance"),
    ],
)
def test_what_makes_no_sense_is_refused(options, message):
    with unchecked(), pytest.raises(InvalidInput, match=message):
        SmoothGrad(**options)


def test_equal_hyperparameters_make_equal_methods():
    assert SmoothGrad(IntegratedGradients(baseline=Zero())) == SmoothGrad(IntegratedGradients(baseline=Zero()))
    assert SmoothGrad(samples=3) != SmoothGrad(samples=4)
