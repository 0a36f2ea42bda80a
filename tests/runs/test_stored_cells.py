"""Checks and scores called from Python that store their parts, and what tells one computation from another."""

import threading
from dataclasses import dataclass
from functools import partial

import numpy as np
import pytest
import torch
from nets import ConvNet, seeded
from torch import nn

from probatum.attributions import Gradient, IntegratedGradients, SmoothGrad
from probatum.experiments import sanity, sanity_check
from probatum.experiments.quality import quality_scores
from probatum.metrics import get_metric
from probatum.randomization import Randomizer, Reset, automatic_stages
from probatum.runs.cells import CellStore
from probatum.runs.fingerprint import fingerprint

COUNT = sanity.IMAGES_AT_ONCE + 2  # of the images of a check: two blocks
IMAGES = torch.linspace(-1, 1, COUNT * 2 * 8 * 8, dtype=torch.float64).reshape(COUNT, 2, 8, 8)


def randomizer(net, seed=0):
    return Randomizer(net, automatic_stages(net, IMAGES), Reset(), seed=seed)


def check(net, cells=None, **changes):
    options = {"methods": {"gradient": Gradient(), "sg": SmoothGrad(samples=2)}, "metrics": ("pearson",)}
    options |= {"trials": 2, "keep_maps": 1}
    return sanity_check(net, IMAGES, **options | changes, cells=cells)


def scores(net, cells=None, **changes):
    options = {"methods": {"gradient": Gradient()}, "randomizer": randomizer(net), "trials": 2}
    return quality_scores(net, IMAGES[:3], **options | changes, cells=cells)


@pytest.fixture
def net():
    return seeded(ConvNet)


@pytest.fixture
def saved(monkeypatch):
    """The cells that are stored."""
    save, seen = CellStore.save, []

    def noted(store, cell, arrays):
        seen.append(store.path(cell))
        save(store, cell, arrays)

    monkeypatch.setattr(CellStore, "save", noted)
    return seen


@pytest.mark.parametrize(("compute", "cells"), [(check, 6), (scores, 9)], ids=["check", "scores"])
def test_an_interrupted_call_continues_and_ends_as_one_that_was_not(compute, cells, net, saved, tmp_path, monkeypatch):
    whole = compute(net)
    assert saved == []
    with monkeypatch.context() as patch:
        save = CellStore.save

        def stop(store, cell, arrays):
            if len(saved) == 4:
                raise KeyboardInterrupt
            save(store, cell, arrays)

        patch.setattr(CellStore, "save", stop)
        with pytest.raises(KeyboardInterrupt):
            compute(net, tmp_path / "cells")
    assert len(saved) == len(list((tmp_path / "cells").iterdir())) == 4
    again = compute(net, tmp_path / "cells")
    assert len(saved) == len(set(saved)) == cells
    np.testing.assert_array_equal(again.scores, whole.scores)
    assert again.targets == whole.targets
    compute(net, tmp_path / "cells")
    assert len(saved) == cells
    saved[0].write_bytes(b"torn")
    np.testing.assert_array_equal(compute(net, tmp_path / "cells").scores, whole.scores)
    assert len(saved) == cells + 1


def test_kept_maps_come_back_from_the_store(net, tmp_path):
    whole = check(net)
    for _ in range(2):
        stored = check(net, tmp_path)
        for image, maps in whole.maps.items():
            for name, values in maps.items():
                np.testing.assert_array_equal(stored.maps[image][name], values)


@pytest.mark.parametrize(
    "changes",
    [
        {"seed": 1},
        {"trials": 3},
        {"keep_maps": 2},
        {"metrics": ("spearman",)},
        {"methods": {"gradient": Gradient(), "sg": SmoothGrad(samples=3)}},
        {"precision": "float32"},
        {"on_nan": "record"},
        {"memory_budget": "1 GiB"},
        {"targets": torch.arange(COUNT) % 3},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_another_check_takes_no_stored_part(changes, net, saved, tmp_path):
    check(net, tmp_path)
    before = len(saved)
    expected = check(net, **changes)
    np.testing.assert_array_equal(check(net, tmp_path, **changes).scores, expected.scores)
    assert len(set(saved[before:]) - set(saved[:before])) == len(saved) - before > 0


def test_another_network_or_randomization_takes_no_stored_part(net, saved, tmp_path):
    check(net, tmp_path)
    before = len(saved)
    with torch.no_grad():
        other = seeded(ConvNet)
        next(other.parameters()).mul_(1.001)
    check(other, tmp_path)
    check(net, tmp_path, randomizer=randomizer(net, seed=1))
    assert len(saved) == len(set(saved)) == 3 * before


class Scaled(nn.Module):
    """A network whose function is not in its weights, its layers or their text."""

    def __init__(self, scale, activation=nn.ReLU):
        super().__init__()
        self.scale = scale
        self.net = nn.Sequential(nn.Flatten(), nn.Linear(128, 8), activation(), nn.Linear(8, 3)).double()

    def forward(self, x):
        return self.net(x * self.scale)


@pytest.mark.parametrize("compute", [check, partial(scores, randomizer=None)], ids=["check", "scores"])
@pytest.mark.parametrize("other", [{"scale": 2.0}, {"activation": nn.Softplus}], ids=["scale", "activation"])
def test_another_function_of_the_same_weights_takes_no_stored_part(compute, other, net, tmp_path):
    first, second = (seeded(lambda options=options: Scaled(**{"scale": 1.0} | options)) for options in ({}, other))
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))
    compute(first, tmp_path)
    np.testing.assert_array_equal(compute(second, tmp_path).scores, compute(second).scores)


def test_values_are_told_apart_by_what_they_hold():
    assert fingerprint(torch.ones(2)) != fingerprint(torch.zeros(2))
    assert fingerprint(np.ones(2)) == fingerprint(np.ones(2)) != fingerprint(np.ones(2, dtype=np.float32))
    assert fingerprint(IntegratedGradients(steps=3)) != fingerprint(IntegratedGradients(steps=4))
    assert fingerprint(IntegratedGradients(baseline=torch.ones(1, 2, 8, 8))) != fingerprint(
        IntegratedGradients(baseline=torch.zeros(1, 2, 8, 8))
    )
    assert fingerprint(get_metric("ssim")) == fingerprint(get_metric("ssim")) != fingerprint(get_metric("spearman"))
    assert fingerprint({"a": (1, [None, True])}) == {"a": [1, [None, True]]}
    assert fingerprint(sanity_check) == fingerprint(sanity_check) != fingerprint(quality_scores)
    assert fingerprint(partial(sanity_check, 1)) != fingerprint(partial(sanity_check, 2))


@dataclass(frozen=True)
class Own(Gradient):
    """A method from outside of the package."""

    number: int = 1


FACTOR = 2


def scaling(factor):
    return lambda x: x * factor


def doubled(x):
    return x * FACTOR


def local_class(factor):
    class Local(Gradient):
        def scaled(self, x):
            return x * factor

    return Local


def test_functions_and_classes_of_ones_own_are_known_by_what_they_compute(monkeypatch):
    assert fingerprint(Own()) == fingerprint(Own()) != fingerprint(Own(2))
    assert fingerprint(scaling(2)) == fingerprint(scaling(2)) != fingerprint(scaling(3))
    assert fingerprint(lambda x: x + 1) != fingerprint(lambda x: x + 2)
    assert fingerprint(lambda x: torch.sin(x)) != fingerprint(lambda x: torch.cos(x))
    assert fingerprint(local_class(2)) == fingerprint(local_class(2)) != fingerprint(local_class(3))
    before = fingerprint(doubled)
    monkeypatch.setitem(globals(), "FACTOR", 3)
    assert fingerprint(doubled) != before


@pytest.mark.parametrize("value", [object(), threading.Lock(), torch.Generator()], ids=["object", "lock", "generator"])
def test_what_has_no_content_to_go_by_is_another_value_each_time(value):
    assert fingerprint(value) != fingerprint(value)
    assert fingerprint(scaling(value)) != fingerprint(scaling(value))


def hooked(net, register, factor):
    getattr(net.get_submodule("1"), register)(lambda module, *values: None if factor == 1 else values[-1])
    return net


@pytest.mark.parametrize(
    "register", ["register_forward_pre_hook", "register_forward_hook", "register_full_backward_hook"]
)
def test_hooks_and_replaced_functions_belong_to_a_model(register):
    def net():
        return nn.Sequential(nn.Flatten(), nn.Linear(8, 3), nn.ReLU())

    plain, one, other = seeded(net), hooked(seeded(net), register, 1), hooked(seeded(net), register, 2)
    assert fingerprint(one) == fingerprint(hooked(seeded(net), register, 1))
    assert len({str(fingerprint(each)) for each in (plain, one, other)}) == 3
    plain[2].forward = torch.sin
    assert fingerprint(plain) != fingerprint(seeded(net))


class Limited(nn.Module):
    """Cuts logits above a limit, which none of the images reaches."""

    def __init__(self, limit):
        super().__init__()
        self.limit = limit
        self.net = nn.Sequential(nn.Flatten(), nn.Linear(128, 3)).double()

    def forward(self, x):
        y = self.net(x)
        return torch.where(y.abs() > self.limit, y.sign() * self.limit, y)


def test_a_model_with_the_same_logits_and_another_backward_pass_takes_no_stored_part(net, saved, tmp_path):
    first = seeded(lambda: Limited(1e9))
    # The largest logit is cut to its own value, which is a constant then.
    second = seeded(lambda: Limited(float(first(IMAGES).detach().abs().max()) * (1 - 1e-16)))
    check(first, tmp_path)
    count = len(saved)
    np.testing.assert_array_equal(check(second, tmp_path).scores, check(second).scores)
    assert len(saved) == 2 * count
    check(seeded(lambda: Limited(1e9)), tmp_path)
    assert len(saved) == 2 * count
