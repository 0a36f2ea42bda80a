"""Integrated Gradients: its quadrature, its completeness, its local variant."""

import math

import numpy as np
import pytest
import torch
from attributions.unchecked import unchecked
from nets import ConvNet, Linear, Perceptron, Power, images, seeded

from probatum.attributions import Black, Blurred, Gradient, IntegratedGradients
from probatum.attributions.baselines import as_baseline
from probatum.attributions.integrated_gradients import quadrature
from probatum.errors import InvalidInput

TARGETS = torch.tensor([0, 3, 1, 2, 1])
RULES = ["midpoint", "trapezoid", "gauss-legendre", "right"]
BASELINES = ["zero", "mean", "blurred", Black(-1.5)]


def rules_and_steps(*steps):
    return [(rule, n) for rule in RULES for n in steps if n > 1 or rule != "trapezoid"]


def steep(power: int) -> tuple[torch.nn.Module, torch.Tensor, torch.Tensor]:
    """S = Σ a_j x_j^p, images, and the exact attributions a x^p from a zero baseline."""
    model, x = seeded(lambda: Power(power)), images()
    return model, x, model.coefficients[TARGETS].detach().reshape(x.shape) * x**power


@pytest.mark.parametrize(("rule", "steps"), rules_and_steps(1, 2, 3, 10, 50, 101))
def test_weights_sum_to_one_at_places_on_the_path(rule, steps):
    alphas, weights = quadrature(rule, steps)
    assert len(alphas) == len(weights) == steps
    assert math.fsum(weights) == pytest.approx(1, abs=1e-14)
    assert list(alphas) == sorted(set(alphas))
    assert 0 <= alphas[0] <= alphas[-1] <= 1
    if rule != "right":
        assert np.allclose(np.add(alphas, alphas[::-1]), 1, rtol=0, atol=1e-15)


def test_two_trapezoid_steps_are_the_two_ends():
    assert quadrature("trapezoid", 2) == ((0.0, 1.0), (0.5, 0.5))


@pytest.mark.parametrize("baseline", BASELINES, ids=str)
@pytest.mark.parametrize(("rule", "steps"), rules_and_steps(1, 2, 7))
def test_is_exact_on_a_linear_model_for_every_rule_and_number_of_steps(rule, steps, baseline):
    model, x = seeded(Linear), images()
    method = IntegratedGradients(steps, baseline, rule)
    way = x - as_baseline(baseline)(x)
    weights = model.linear.weight[TARGETS].detach().reshape(x.shape)
    maps = method(model, x, TARGETS)
    torch.testing.assert_close(maps, way * weights, rtol=1e-14, atol=1e-16)
    assert method.convergence_delta(model, x, TARGETS, maps).abs().max() < 1e-12


@pytest.mark.parametrize("steps", [2, 3, 10, 50])
@pytest.mark.parametrize(
    ("rule", "factor"),
    [
        ("midpoint", lambda n: 1 - 1 / (4 * n**2)),
        ("trapezoid", lambda n: 1 + 1 / (2 * (n - 1) ** 2)),
        ("right", lambda n: (n + 1) * (2 * n + 1) / (2 * n**2)),
        ("gauss-legendre", lambda n: 1),
    ],
)
def test_the_error_on_a_cubic_is_that_of_the_rule(rule, factor, steps):
    model, x, exact = steep(3)
    method = IntegratedGradients(steps, rule=rule)
    maps = method(model, x, TARGETS)
    torch.testing.assert_close(maps, factor(steps) * exact, rtol=1e-12, atol=1e-14)
    delta = (factor(steps) - 1) * exact.flatten(1).sum(1)
    torch.testing.assert_close(method.convergence_delta(model, x, TARGETS, maps), delta, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("steps", [1, 2, 3, 4])
def test_gauss_legendre_is_exact_for_integrands_of_degree_2n_minus_1_and_no_further(steps):
    model, x, exact = steep(2 * steps)  # its gradient along the path has degree 2n − 1
    maps = IntegratedGradients(steps, rule="gauss-legendre")(model, x, TARGETS)
    torch.testing.assert_close(maps, exact, rtol=1e-12, atol=1e-12)
    model, x, exact = steep(2 * steps + 1)
    maps = IntegratedGradients(steps, rule="gauss-legendre")(model, x, TARGETS)
    missing = math.factorial(steps) ** 4 / math.factorial(2 * steps) ** 2  # the rule's error term on α^2n, times 2n + 1
    torch.testing.assert_close(maps, (1 - missing) * exact, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("baseline", BASELINES, ids=str)
def test_of_a_square_is_the_difference_of_squares(baseline):
    model, x = seeded(lambda: Power(2)), images()
    start = as_baseline(baseline)(x)
    a = model.coefficients[TARGETS].detach().reshape(x.shape)
    maps = IntegratedGradients(4, baseline)(model, x, TARGETS)
    torch.testing.assert_close(maps, a * (x**2 - start**2), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("rule", RULES)
def test_local_times_the_way_is_global(rule):
    model, x = seeded(ConvNet), images()
    whole = IntegratedGradients(6, "mean", rule)
    local = IntegratedGradients(6, "mean", rule, multiply_by_inputs=False)
    maps, factors = whole(model, x, TARGETS), local(model, x, TARGETS)
    torch.testing.assert_close(factors * (x - x.mean((2, 3), keepdim=True)), maps, rtol=1e-12, atol=1e-16)
    deltas = [m.convergence_delta(model, x, TARGETS, m_maps) for m, m_maps in [(whole, maps), (local, factors)]]
    torch.testing.assert_close(*deltas, rtol=1e-12, atol=1e-14)


def test_one_right_hand_step_is_the_gradient_at_the_image():
    model, x = seeded(ConvNet), images()
    maps = IntegratedGradients(1, rule="right", multiply_by_inputs=False)(model, x, TARGETS)
    torch.testing.assert_close(maps, Gradient()(model, x, TARGETS), rtol=1e-14, atol=1e-18)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-6)])
@pytest.mark.parametrize("rule", RULES)
def test_from_zero_is_complete_on_a_piecewise_linear_network_without_biases(rule, dtype, tolerance):
    # Such a network is linear on the ray from zero, except at zero itself, where trapezoid has a point of no slope.
    model, x = seeded(Perceptron, dtype=dtype), images(dtype=dtype)
    method = IntegratedGradients(5, rule=rule)
    maps = method(model, x, TARGETS)
    delta = method.convergence_delta(model, x, TARGETS, maps)
    missing = model(x).detach()[torch.arange(5), TARGETS] / 8 if rule == "trapezoid" else torch.zeros_like(delta)
    torch.testing.assert_close(delta, -missing, rtol=0, atol=tolerance)


def test_more_steps_come_closer_to_completeness_on_a_convolutional_network():
    model, x = seeded(ConvNet), images()
    deltas = []
    for steps in (10, 100, 1000):
        method = IntegratedGradients(steps)
        deltas.append(float(method.convergence_delta(model, x, TARGETS, method(model, x, TARGETS)).abs().max()))
    assert deltas[0] > deltas[1] > deltas[2]
    # Each ReLU and max-pool that switches on the way is a jump of the integrand, so the error falls as 1/steps only.
    assert deltas[2] < 1e-4


def test_delta_reports_what_is_missing():
    model, x = seeded(Linear), images()
    method = IntegratedGradients(3)
    maps = method(model, x, TARGETS)
    maps[2, 0, 0, 0] += 0.25
    torch.testing.assert_close(
        method.convergence_delta(model, x, TARGETS, maps, memory_budget="1 MiB"),
        torch.tensor([0, 0, 0.25, 0, 0], dtype=torch.float64),
        rtol=0,
        atol=1e-12,
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"steps": 0}, "steps of .* at least 1"),
        ({"steps": 1, "rule": "trapezoid"}, "at least 2"),
        ({"rule": "simpson"}, "choose from midpoint, trapezoid, gauss-legendre, right"),
    ],
)
def test_impossible_quadratures_are_refused_when_the_method_is_made(options, message):
    with unchecked(), pytest.raises(InvalidInput, match=message):
        IntegratedGradients(**options)


def test_a_blurred_baseline_is_not_the_zero_baseline():
    model, x = seeded(ConvNet), images()
    blurred, zero = (IntegratedGradients(3, b)(model, x, TARGETS) for b in (Blurred(2.0), "zero"))
    assert not torch.allclose(blurred, zero)


@pytest.mark.parametrize("targets", [None, 2])
def test_the_delta_takes_targets_as_attribute_does(targets):
    net, x = seeded(ConvNet, dtype=torch.float32), images(dtype=torch.float32)
    method = IntegratedGradients(steps=200)
    maps = method(net, x, targets, precision="float64")
    delta = method.convergence_delta(net, x, targets, maps, precision="float64")
    assert delta.dtype == torch.float64
    assert delta.abs().max() < 0.01 * maps.flatten(1).sum(1).abs().max()
