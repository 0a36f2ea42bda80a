"""Models that compute the same have the same maps, and known changes of a model change them in a known way."""

import torch
from torch import nn

from probatum.conformance.law import ROUNDING, distance, law, require, targets
from probatum.conformance.networks import (
    ConvNet,
    FunctionalReLU,
    InPlaceReLU,
    ReusedReLU,
    Separated,
    Shifted,
    images,
    rescaled,
    seeded,
)
from probatum.conformance.subject import Subject


def _apart(subject: Subject, model: nn.Module) -> float:
    """How far the maps of a model are from those of `ConvNet`, of which it is another spelling."""
    expected = subject.explain(seeded(ConvNet), images(), targets())
    return distance(subject.explain(model, images(), targets()), expected)


@law("invariance", ROUNDING)
def functional_relu(subject: Subject) -> float:
    """`F.relu` in place of modules changes nothing."""
    return _apart(subject, seeded(FunctionalReLU))


@law("invariance", ROUNDING)
def in_place_relu(subject: Subject) -> float:
    """ReLUs that overwrite their inputs change nothing."""
    return _apart(subject, seeded(InPlaceReLU))


@law("invariance", ROUNDING)
def reused_relu(subject: Subject) -> float:
    """One ReLU module that is called twice changes nothing."""
    return _apart(subject, seeded(ReusedReLU))


@law("invariance", ROUNDING)
def multiplication_by_one(subject: Subject) -> float:
    """A multiplication by one between layers changes nothing."""
    return _apart(subject, seeded(Separated))


@law("invariance", ROUNDING)
def rescaled_layers(subject: Subject) -> float:
    """A layer doubled and the next one halved, which is the same function through ReLUs, changes nothing."""
    return _apart(subject, rescaled(seeded(ConvNet)))


@law("invariance", ROUNDING)
def shift_of_the_logit(subject: Subject) -> float:
    """A constant added to all logits changes nothing."""
    model = seeded(ConvNet)
    with torch.no_grad():
        model.get_parameter("head.bias").add_(5.0)
    return _apart(subject, model)


@law("invariance", ROUNDING)
def scale_of_the_logit(subject: Subject) -> float:
    """Logits doubled leave the maps, double them, or quadruple those of squares."""
    model = seeded(ConvNet)
    with torch.no_grad():
        model.get_parameter("head.weight").mul_(2.0)
        model.get_parameter("head.bias").mul_(2.0)
    expected = subject.explain(seeded(ConvNet), images(), targets())
    found = subject.explain(model, images(), targets())
    return min(distance(found, power * expected) for power in (1, 2, 4))


@law("invariance", ROUNDING)
def shift_of_the_input(subject: Subject) -> float:
    """f(x − 1) at x + 1 has the map of f at x (Kindermans et al. 2017, arXiv:1711.00867).

    A global map has the factor x − x₀ of a fixed baseline x₀ and cannot keep it.
    """
    require(subject.claims.linear != "global", "its maps are global, of a fixed baseline")
    require(not subject.method.stochastic, "its noise depends on the image")
    expected = subject.explain(seeded(ConvNet), images(), targets())
    return distance(subject.explain(seeded(Shifted), images() + 1, targets()), expected)
