"""The literal reference beside closed forms, and the gate beside maps that are wrong on purpose."""

import math

import pytest
import torch
from nets import ConvNet, images, seeded
from torch import nn

from probatum import attribute
from probatum.benchmarks.bare import input_gradient, layer_gradient
from probatum.benchmarks.config import QUICK, Subject
from probatum.benchmarks.judging import Judge
from probatum.benchmarks.panels import EIGHT, IG_SG, TEN, build
from probatum.benchmarks.reference import Reference, deviation, recorded_points
from probatum.errors import InvalidInput
from probatum.models import model_spec


class Squares(nn.Module):
    """logit = Σ x³, so that IG is x³ / 3 · 3 and every gradient 3 x²."""

    def forward(self, x):
        return (x**3).flatten(1).sum(1, keepdim=True)


def subject(dtype=torch.float32):
    model = seeded(ConvNet, dtype=dtype).eval().requires_grad_(False)
    x = images(2, dtype=dtype)
    made = Subject(model_spec("basic_cnn"), model, x, model(x).argmax(1))
    vars(made)["layer"] = "conv2"  # as the network's own convolution
    return made


def test_maps_of_a_cubic_in_closed_form():
    x = torch.rand(1, 3, 4, 4, dtype=torch.float64)
    reference = Reference(Squares(), "", x, torch.zeros(1, dtype=torch.int64))
    torch.testing.assert_close(reference.map("gradient"), 3 * x**2, rtol=1e-14, atol=0)
    torch.testing.assert_close(reference.map("input-x-gradient"), 3 * x**3, rtol=1e-14, atol=0)
    # The midpoint rule of n steps gives 1 − 1/(4 n²) of the integral of 3 α².
    torch.testing.assert_close(reference.map("integrated-gradients", steps=4), x**3 * (1 - 1 / 64), rtol=1e-14, atol=0)
    points = torch.stack([x[0] - 0.1, x[0] + 0.3])
    expected = (3 * points**2).mean(0, keepdim=True)
    torch.testing.assert_close(reference.map("smoothgrad", points=points), expected, rtol=1e-14, atol=0)


def test_unknown_maps_have_no_reference():
    reference = Reference(Squares(), "", torch.rand(1, 1, 2, 2), torch.zeros(1, dtype=torch.int64))
    with pytest.raises(InvalidInput, match="no literal reference of 'lime'"):
        reference.map("lime")


def test_deviation_is_relative_and_undefined_for_zero():
    assert deviation(torch.tensor([3.0, 5.0]), torch.tensor([3.0, 4.0])) == 0.2
    assert deviation(torch.ones(2), torch.zeros(2)) is None


def test_all_of_ours_equal_the_reference():
    one = subject(torch.float64)
    judge = Judge(one, QUICK)
    for name in EIGHT:
        methods = build([name], QUICK, one.layer)
        error = judge.error(lambda model, x, t, methods=methods: attribute(model, x, t, methods, chunk=3))
        assert error is not None, name
        assert error < 1e-12, name


def test_a_wrong_map_is_seen_and_ig_sg_is_not_judged():
    one = subject()
    judge = Judge(one, QUICK)
    assert judge.error(lambda model, x, t: {"gradient": 1.1 * input_gradient(model, x, t)}) == pytest.approx(0.1, 1e-4)
    assert judge.error(lambda model, x, t: {IG_SG[0]: x}) is None
    # A SmoothGrad that looks at fewer points than it should is not compared at all.
    assert judge.error(lambda model, x, t: {"smoothgrad": input_gradient(model, x, t)}) is None


def test_maps_that_were_scaled_are_judged_by_their_shape():
    one = subject(torch.float64)
    judge = Judge(one, QUICK)
    for name in ("grad-cam", "grad-cam-plus-plus", "hires-cam", "layer-cam"):
        cam = attribute(one.model, one.images[:1], one.targets[:1], build([name], QUICK, one.layer))[name]
        scaled = (cam - cam.min()) / (cam.max() - cam.min())
        assert judge.error_of_scaled(name, scaled) < 1e-12
        assert judge.error_of_scaled(name, scaled.flip(-1)) > 0.1
        assert judge.error_of_scaled(name, 1 - scaled) == math.inf


def test_points_are_recorded_through_copies_and_the_hook_goes():
    model, x = seeded(ConvNet, dtype=torch.float32), images(1, dtype=torch.float32)
    with recorded_points(model) as points:
        attribute(model, x, 0, build(["smoothgrad"], QUICK, "conv2"), chunk=3)
    assert [len(batch) for batch in points] == [3, 1]
    model(x)
    assert len(points) == 2


def test_passes_without_gradients_are_no_points():
    model, x = seeded(ConvNet, dtype=torch.float32), images(1, dtype=torch.float32)
    with recorded_points(model) as points, torch.no_grad():
        model(x)
    assert points == []


def test_the_floor_of_a_layer_leaves_no_hook():
    model, x = seeded(ConvNet, dtype=torch.float32).requires_grad_(False), images(2, dtype=torch.float32)
    activation, gradient = layer_gradient(model, "conv2", x, torch.tensor([0, 1]))
    assert activation.shape == gradient.shape
    assert not model._modules["conv2"]._forward_hooks


def test_ten_maps_by_both_estimators():
    joint, nested = (build(TEN, QUICK, "conv2", joint=joint) for joint in (True, False))
    assert list(joint) == list(TEN)
    assert joint[IG_SG[0]].samples == QUICK.joint
    assert nested[IG_SG[0]].samples == QUICK.nested
    assert joint["gradient"] == nested["gradient"]
