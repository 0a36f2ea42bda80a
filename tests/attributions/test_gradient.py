"""Gradient and Input × Gradient where the answer is known."""

from functools import partial

import pytest
import torch
from nets import CLASSES, SHAPE, Linear, Perceptron, Power, images, seeded

from probatum.attributions import Gradient, InputXGradient

TARGETS = torch.tensor([0, 3, 1, 2, 1])


@pytest.mark.parametrize("target", range(CLASSES))
def test_the_gradient_of_a_linear_model_is_its_weights(target):
    model = seeded(Linear)
    weights = model.linear.weight[target].detach().reshape(1, *SHAPE).expand(5, -1, -1, -1)
    assert torch.equal(Gradient()(model, images(), target), weights)
    assert torch.equal(InputXGradient()(model, images(), target), images() * weights)


def test_each_image_has_its_own_target():
    model = seeded(Linear)
    assert torch.equal(Gradient()(model, images(), TARGETS).flatten(1), model.linear.weight[TARGETS])


@pytest.mark.parametrize("power", [2, 3, 5])
def test_the_gradient_of_a_power_follows_the_power_rule(power):
    model, x = seeded(lambda: Power(power)), images()
    slope = power * model.coefficients[TARGETS].detach().reshape(x.shape) * x ** (power - 1)
    torch.testing.assert_close(Gradient()(model, x, TARGETS), slope, rtol=1e-14, atol=0)
    torch.testing.assert_close(InputXGradient()(model, x, TARGETS), x * slope, rtol=1e-14, atol=0)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-6)])
def test_input_times_gradient_is_complete_on_a_piecewise_linear_network_without_biases(dtype, tolerance):
    model, x = seeded(Perceptron, dtype=dtype), images(dtype=dtype)
    logits = model(x).detach()[torch.arange(5), TARGETS]
    torch.testing.assert_close(InputXGradient()(model, x, TARGETS).flatten(1).sum(1), logits, rtol=0, atol=tolerance)


def test_the_gradient_is_that_of_finite_differences():
    model, x = seeded(Perceptron), images()
    direction, step = images(seed=9), 1e-6
    after, before = (model(x + sign * step * direction)[torch.arange(5), TARGETS] for sign in (1, -1))
    slope = (Gradient()(model, x, TARGETS) * direction).flatten(1).sum(1)
    torch.testing.assert_close(slope, (after - before).detach() / (2 * step), rtol=1e-8, atol=1e-8)


def test_images_may_have_any_shape():
    for shape in [(7,), (3, 7), (2, 3, 4, 5)]:
        x = images(3, shape)
        model = seeded(partial(Linear, x[0].numel()))
        assert torch.equal(InputXGradient()(model, x, 1).flatten(1), x.flatten(1) * model.linear.weight[1])


def test_one_target_for_all_may_be_an_int_and_indices_of_any_integer_type():
    model = seeded(Linear)
    expected = Gradient()(model, images(), TARGETS)
    for dtype in (torch.int32, torch.int16, torch.uint8):
        assert torch.equal(Gradient()(model, images(), TARGETS.to(dtype)), expected)
    assert torch.equal(Gradient()(model, images(), 2), Gradient()(model, images(), torch.full((5,), 2)))


def test_a_list_of_targets_is_taken():
    listed, tensor = [0, 1, 2, 3, 0], torch.tensor([0, 1, 2, 3, 0])
    assert torch.equal(Gradient()(seeded(Linear), images(), listed), Gradient()(seeded(Linear), images(), tensor))
