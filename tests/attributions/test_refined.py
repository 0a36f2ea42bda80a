"""Integrated Gradients to a tolerance and SmoothGrad to a ceiling: what they reach, what they spend, when they stop."""

import numpy as np
import pytest
import torch
from nets import CallCounter, ConvNet, Perceptron, Power, images, seeded
from scipy.stats import spearmanr

from probatum import attribute
from probatum.attributions import Gradient, InputXGradient, IntegratedGradients, SmoothGrad
from probatum.attributions.base import attribute_variants
from probatum.attributions.until_agreed import parts_of, rank_correlation
from probatum.attributions.until_complete import UntilComplete, nested_rule, rule_sizes
from probatum.engine import Variant, prepare
from probatum.errors import EffortWarning, InvalidInput

TARGETS = torch.tensor([0, 3, 1, 2, 1])


@pytest.fixture(scope="module")
def net():
    return seeded(ConvNet).eval().requires_grad_(False)


@pytest.mark.parametrize("points", [1, 3, 7, 15, 31, 63, 127])
def test_the_nested_rule_is_exact_up_to_its_degree_and_no_further(points):
    positions, weights = map(np.array, nested_rule(points))
    for degree in range(points + 1):
        assert weights @ positions**degree == pytest.approx(1 / (degree + 1), rel=1e-13)
    if points < 15:  # beyond, what is left is below rounding
        beyond = points + 1
        assert abs(weights @ (2 * positions - 1) ** beyond - 1 / (beyond + 1)) > 1e-6
    assert (weights > 0).all()
    assert set(np.round(positions, 12)) <= set(np.round(nested_rule(2 * points + 1)[0], 12))


def test_the_change_of_half_precision_logits_does_not_round():
    images, logits = torch.ones(1, 2).bfloat16(), lambda points: torch.where(points[:, 0] > 0, 256, 0.984375).bfloat16()
    change, way = UntilComplete(0.1, 7, torch.zeros_like, local=True).facts(images, logits)
    assert (change.tolist(), way.dtype) == ([255.015625], torch.float32)  # bfloat16 has 255


@pytest.mark.parametrize(
    ("steps", "sizes"), [(1, (1,)), (2, (1,)), (6, (3,)), (7, (7,)), (50, (7, 15, 31)), (127, (7, 15, 31, 63, 127))]
)
def test_rules_grow_up_to_the_most_steps(steps, sizes):
    assert rule_sizes(steps) == sizes


@pytest.mark.parametrize("power", [2, 4, 8])
def test_polynomials_need_the_first_rule_alone(power):
    model, x = seeded(lambda: Power(power)), images()
    found = attribute(model, x, TARGETS, {"ig": IntegratedGradients(100, tolerance=1e-12)})
    exact = model.coefficients[TARGETS].detach().reshape(x.shape) * x**power
    torch.testing.assert_close(found["ig"], exact, rtol=1e-11, atol=1e-13)
    assert found.efforts["ig"].points.tolist() == [7] * 5


@pytest.mark.parametrize("multiply", [True, False])
def test_the_error_that_is_reported_is_reached_and_belongs_to_the_fewest_points(net, multiply):
    tolerance = 0.02
    x, method = images(), IntegratedGradients(511, "mean", multiply_by_inputs=multiply, tolerance=tolerance)
    found = attribute(net, x, TARGETS, {"ig": method})
    effort, maps = found.efforts["ig"], found["ig"]
    assert effort.enough.all()
    assert (effort.figure <= tolerance).all()
    assert len(set(effort.points.tolist())) > 1, "the test needs images that stop at different points"
    # Another way to the same number: the sum against logits, and against a fine midpoint rule.
    start = method.endpoints(x)[0].prepare(x)
    change = (net(x) - net(start)).gather(1, TARGETS[:, None])[:, 0]
    error = method.convergence_delta(net, x, TARGETS, maps).abs() / change.abs()
    torch.testing.assert_close(error, effort.figure, rtol=1e-9, atol=1e-12)
    fine = IntegratedGradients(1000, "mean")(net, x, TARGETS).flatten(1).sum(1)
    whole = (maps if multiply else maps * (x - start)).flatten(1).sum(1)
    assert ((whole - fine).abs() / fine.abs() <= tolerance + 1e-3).all()  # of the fine rule's own error
    image = int(effort.points.argmax())
    one, fewer = slice(image, image + 1), (int(effort.points[image]) - 1) // 2
    with pytest.warns(EffortWarning):  # the rule before was not enough
        attribute(net, x[one], TARGETS[one], {"": IntegratedGradients(fewer, start[one], tolerance=tolerance)})


def test_smooth_networks_are_integrated_exactly_by_few_points():
    x = images()
    torch.manual_seed(0)
    layers = torch.nn.Flatten(), torch.nn.Linear(x[0].numel(), 9), torch.nn.Tanh(), torch.nn.Linear(9, 4)
    model = torch.nn.Sequential(*layers).double()
    found = attribute(model, x, TARGETS, {"ig": IntegratedGradients(255, tolerance=1e-8)})
    exact = IntegratedGradients(200, rule="gauss-legendre")(model, x, TARGETS)
    torch.testing.assert_close(found["ig"], exact, rtol=0, atol=1e-6 * float(exact.abs().max()))
    assert found.efforts["ig"].points.max() <= 127


def test_no_gradient_is_computed_twice_and_images_leave_one_by_one(net):
    counter = CallCounter(net)
    method = IntegratedGradients(1023, tolerance=0.02)
    prepared = prepare(counter)
    attribute(prepared, images(), TARGETS, {"": Gradient()}, chunk=1000)  # what is probed once
    counter.calls.clear()
    efforts = attribute(prepared, images(), TARGETS, {"": method}, chunk=1000).efforts[""]
    ends = [5, 5]  # the logits at images and baselines
    rows = [int((efforts.points >= size).sum()) * (size - size // 2 if size > 7 else 7) for size in rule_sizes(1023)]
    assert counter.calls == ends + [row for row in rows if row]
    assert sum(rows) == efforts.points.sum()


def test_where_the_most_points_do_not_suffice_a_warning_names_the_images(net):
    with pytest.warns(EffortWarning, match=r"most points, 7, on 5 of 5 images.* image 0, .* give more steps"):
        found = attribute(net, images(), TARGETS, {"ig": IntegratedGradients(8, tolerance=1e-9)})
    assert not found.efforts["ig"].enough.any()
    torch.testing.assert_close(found["ig"], IntegratedGradients(7, tolerance=9.0)(net, images(), TARGETS))


def test_an_image_without_a_way_to_go_is_complete(net):
    found = attribute(net, torch.zeros_like(images()), 0, {"flat": IntegratedGradients(7, "zero", tolerance=0.1)})
    assert found.efforts["flat"].enough.all()
    assert found.efforts["flat"].figure.tolist() == [0] * 5


@pytest.mark.parametrize(
    ("samples", "stops"), [(1, [1]), (25, [10, 20, 25]), (130, [10, 20, 30, 40, 50, 62, 76, 94, 116, 130])]
)
def test_looks_come_after_ever_more_samples(samples, stops):
    assert [part.stop for part in parts_of(samples)] == stops


def test_a_ceiling_is_the_agreement_of_two_runs(net):
    method = SmoothGrad(samples=400, ceiling=0.9)
    first, second = (attribute(net, images(), TARGETS, {"sg": method}, seed=seed) for seed in (0, 1))
    assert first.efforts["sg"].enough.all()
    between = [
        spearmanr(a.abs().flatten(), b.abs().flatten()).statistic
        for a, b in zip(first["sg"], second["sg"], strict=True)
    ]
    assert np.mean(between) == pytest.approx(0.9, abs=0.04)  # five pairs of maps of a hundred values
    fixed = SmoothGrad(samples=int(first.efforts["sg"].points[2]))(net, images()[2:3], 1)
    torch.testing.assert_close(first["sg"][2:3], fixed)


def test_methods_at_the_same_points_share_them_and_versions_go_on_alone(net):
    other = seeded(ConvNet, 1).eval()
    methods = {
        "ig": IntegratedGradients(63, tolerance=0.05),
        "local": IntegratedGradients(63, tolerance=0.05, multiply_by_inputs=False),
        "sg": SmoothGrad(samples=40, ceiling=0.8),
        "ixg": SmoothGrad(InputXGradient(), samples=40, ceiling=0.8),
    }
    views = [Variant(prepare(model), TARGETS) for model in (net, other)]
    ticks = []
    together = attribute_variants(views, images(), methods, progress=lambda done, total: ticks.append((done, total)))
    assert ticks[-1] == (2 * 5 * (63 + 40), 2 * 5 * (63 + 40))
    for view, found in zip(views, together, strict=True):
        for name, method in methods.items():
            (alone,) = attribute_variants([view], images(), {name: method})
            torch.testing.assert_close(found[name], alone[name], rtol=1e-12, atol=1e-14)
            assert torch.equal(found.efforts[name].points, alone.efforts[name].points)


def test_rank_correlation_equals_scipy_and_is_defined_for_constants():
    generator = torch.Generator().manual_seed(0)
    a, b = (torch.randint(0, 9, (4, 50), generator=generator).double() for _ in range(2))
    expected = [spearmanr(x, y).statistic for x, y in zip(a, b, strict=True)]
    np.testing.assert_allclose(rank_correlation(a, b), expected, atol=1e-13)
    flat = torch.ones(1, 50)
    assert rank_correlation(flat, flat).item() == 1
    assert rank_correlation(flat, a[:1].float()).item() == 0


@pytest.mark.parametrize(
    ("make", "word"),
    [
        (lambda: IntegratedGradients(tolerance=0.0), "tolerance"),
        (lambda: IntegratedGradients(tolerance=float("nan")), "tolerance"),
        (lambda: SmoothGrad(ceiling=1.0), "ceiling"),
        (lambda: SmoothGrad(ceiling=0.9, statistic="variance"), "ceiling"),
        (lambda: SmoothGrad(IntegratedGradients(tolerance=0.1))(seeded(Perceptron), images()), "joint"),
    ],
)
def test_what_makes_no_sense_is_refused(make, word):
    with pytest.raises(InvalidInput, match=word):
        make()
