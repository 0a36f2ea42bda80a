"""The floor: a forward pass and an input gradient of the bare model, for each gradient that a method takes."""

import itertools
import time

import pytest
import torch
from attributions.unchecked import unchecked
from torch import nn

from probatum.attributions import (
    Gradient,
    GuidedBackprop,
    InputXGradient,
    IntegratedGradients,
    SmoothGrad,
    attribute,
)
from probatum.benchmarks.bare import Passes, bare_passes, count_passes
from probatum.benchmarks.guard import LIMIT, Guard, floor_ratio
from probatum.benchmarks.timing import Stopwatch
from probatum.engine import prepare


def net(width):
    torch.manual_seed(0)
    blocks = [layer for _ in range(3) for layer in (nn.Conv2d(width, width, 3, padding=1), nn.ReLU())]
    layers = (nn.Conv2d(3, width, 3, stride=4), nn.ReLU(), *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten())
    return nn.Sequential(*layers, nn.Linear(width, 4)).eval().requires_grad_(False)


@pytest.mark.parametrize(
    ("method", "batch"),
    [
        (Gradient(), 12),
        (InputXGradient(), 12),
        (GuidedBackprop(), 12),
        (SmoothGrad(samples=8), 3),
        (IntegratedGradients(steps=8), 3),
    ],
    ids=lambda value: type(value).__name__,
)
def test_no_method_leaves_its_floor(method, batch):
    images = torch.randn(batch, 3, 64, 64)
    with unchecked():  # checks of types are no part of a method's time
        found = floor_ratio(method, net(96), images, torch.zeros(batch, dtype=torch.int64))
    assert found <= LIMIT, f"{method.title} takes {found:.2f} times as long as the bare model"


def guard_of(*costs):
    """A guard whose clock moves on by what each work costs, and works of these costs: numbers, or one per call."""
    clock = {"now": 0.0}

    def work(cost):
        values = itertools.cycle(cost if isinstance(cost, list) else [cost])

        def call():
            clock["now"] += next(values)

        return call

    return Guard(stopwatch=Stopwatch(clock=lambda: clock["now"], least=0.1)), *map(work, costs)


def test_the_guard_finds_a_method_that_is_slower_than_its_limit():
    guard, method, bare = guard_of(1.3, 1.0)
    assert guard.ratio(method, bare) == pytest.approx(1.3)
    guard, method, bare = guard_of(1.2, 1.0)
    assert guard.ratio(method, bare) == pytest.approx(1.2)


def test_the_guard_forgives_a_window_that_was_disturbed():
    guard, method, bare = guard_of([1.0, 1.0, 1.0, 9.0, 1.0, 9.0, 1.0], 1.0)
    assert guard.ratio(method, bare) == pytest.approx(1.0)


def test_the_guard_measures_again_before_it_believes_a_large_ratio():
    disturbed = [1.0] * 2 + [5.0] * 5 + [1.0] * 10  # warming up, one measurement, two more
    guard, method, bare = guard_of(disturbed, 1.0)
    assert guard.ratio(method, bare) == pytest.approx(1.0)


def test_a_method_that_waits_in_the_processor_leaves_its_floor(monkeypatch):
    images, targets = torch.randn(2, 3, 16, 16), torch.zeros(2, dtype=torch.int64)

    def slowed(*arguments, **keywords):
        until = time.process_time() + 0.02
        while time.process_time() < until:
            pass
        return attribute(*arguments, **keywords)

    monkeypatch.setattr("probatum.benchmarks.guard.attribute", slowed)
    assert floor_ratio(Gradient(), net(8), images, targets, Guard(tries=1, rounds=3)) > LIMIT


def test_passes_are_counted_without_the_row_that_is_measured():
    model, images = net(2), torch.randn(3, 3, 8, 8)

    def call(model, method=None):
        prepared = prepare(model)
        return lambda: attribute(prepared, images, 0, [method])

    counted = count_passes(model, lambda model: call(model, SmoothGrad(samples=5)))
    assert counted == Passes(gradients=15, forwards=0, rows=counted.rows)
    assert 1 <= counted.rows <= 15
    assert not model._forward_pre_hooks


def test_the_bare_model_makes_as_many_passes():
    model, seen = net(2), []
    model.register_forward_pre_hook(lambda module, inputs: seen.append((len(inputs[0]), torch.is_grad_enabled())))
    bare_passes(model, torch.randn(2, 3, 8, 8), torch.tensor([0, 1]), Passes(gradients=7, forwards=5, rows=4))()
    assert seen == [(4, True), (3, True), (4, False), (1, False)]
