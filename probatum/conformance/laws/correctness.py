"""Maps are those that an explainer claims to make, of the model that it is given."""

import torch
from torch import Tensor, nn

from probatum.conformance.law import ROUNDING, NotApplicable, distance, law, require, targets
from probatum.conformance.networks import ConvNet, Linear, Overlapping, ReusedReLU, Separated, images, seeded
from probatum.conformance.subject import Subject


@law("correctness", ROUNDING)
def linear_closed_form(subject: Subject) -> float:
    """Of S(x) = W x + b a local map is W_c and a global one W_c ⊙ x, for the baseline 0."""
    kind = subject.claims.linear
    require(kind is not None, "it claims no closed form of a linear model")
    model, batch, classes = seeded(Linear), images(), targets()
    weights = model.get_parameter("head.weight").detach()[classes].reshape(batch.shape)
    return distance(subject.explain(model, batch, classes), weights * batch if kind == "global" else weights)


def _incompleteness(subject: Subject, model: nn.Module) -> float:
    """Largest |Σ M(x) − (S_c(x) − S_c(0))| over the largest change of the logit, in units of the tolerance claimed."""
    if subject.claims.complete is None:
        raise NotApplicable("it does not claim completeness")
    batch, classes = images(), targets()
    sums = subject.explain(model, batch, classes).flatten(1).sum(1)
    with torch.no_grad():
        change = (model(batch) - model(torch.zeros_like(batch))).gather(1, classes[:, None])[:, 0]
    return distance(sums, change) / subject.claims.complete


@law("correctness", 1.0)
def completeness(subject: Subject) -> float:
    """Σ M(x) = S_c(x) − S_c(0), where layers follow each other directly: the error over the tolerance claimed."""
    return _incompleteness(subject, seeded(ConvNet))


@law("correctness", 1.0)
def completeness_of_separated_layers(subject: Subject) -> float:
    """Σ M(x) = S_c(x) − S_c(0), where a multiplication stands between ReLU and max-pool."""
    return _incompleteness(subject, seeded(Separated))


@law("correctness", 1.0)
def completeness_of_overlapping_windows(subject: Subject) -> float:
    """Σ M(x) = S_c(x) − S_c(0), where the windows of the max-pool overlap."""
    return _incompleteness(subject, seeded(Overlapping))


@law("correctness", 1.0)
def completeness_of_reused_layers(subject: Subject) -> float:
    """Σ M(x) = S_c(x) − S_c(0), where one ReLU module is called twice."""
    return _incompleteness(subject, seeded(ReusedReLU))


@law("correctness", 1e-10)
def float64_replica(subject: Subject) -> float:
    """A second implementation in float64, one image at a time, gives the same maps."""
    replica = subject.claims.replica
    if replica is None:
        raise NotApplicable("there is no second implementation")
    model, batch, classes = seeded(ConvNet), images(), targets()
    expected = [replica(model, image, int(target), 2) for image, target in zip(batch, classes, strict=True)]
    return distance(subject.explain(model, batch, classes, seed=2), torch.stack(expected))


@law("correctness")
def shape_of_maps(subject: Subject) -> float:
    """One map an image, of its height and width, with its channels or one: 0 where that is so, else 1."""
    found = subject.explain(seeded(ConvNet), images(), targets()).shape
    return float(found not in ((3, 3, 8, 8), (3, 1, 8, 8)))


@law("correctness")
def uses_the_model(subject: Subject) -> float:
    """Other weights give other maps: 0 where that is so, else 1."""
    return _equal(*(subject.explain(seeded(ConvNet, seed), images(), targets()) for seed in (0, 1)))


@law("correctness")
def uses_the_target(subject: Subject) -> float:
    """Another target gives another map: 0 where that is so, else 1."""
    return _equal(*(subject.explain(seeded(ConvNet), images(1), torch.tensor([c])) for c in (0, 1)))


def _equal(first: Tensor, second: Tensor) -> float:
    return float(distance(first, second) < 1e-6)


@law("correctness", ROUNDING)
def other_classes(subject: Subject) -> float:
    """The weights of the other logits do not matter: it is the logit of the target that is explained."""
    model, changed = seeded(ConvNet), seeded(ConvNet)
    with torch.no_grad():
        changed.get_parameter("head.weight")[1:] *= -2
        changed.get_parameter("head.bias")[1:] += 1
    classes = torch.zeros(3, dtype=torch.int64)
    return distance(subject.explain(changed, images(), classes), subject.explain(model, images(), classes))


@law("correctness", ROUNDING)
def unread_channel(subject: Subject) -> float:
    """A channel that the model does not read has a map of 0, relative to the largest value of the others."""
    model = seeded(ConvNet)
    with torch.no_grad():
        model.get_parameter("conv1.weight")[:, 2] = 0
    maps = subject.explain(model, images(), targets())
    require(maps.shape[1] == 3, "it gives one map for all channels")
    return float(maps[:, 2].abs().max() / maps[:, :2].abs().max())


@law("correctness")
def finite_on_constant_images(subject: Subject) -> float:
    """Constant images, 0 and 1, have finite maps: the number of values that are not."""
    flat = torch.stack([torch.zeros(3, 8, 8), torch.ones(3, 8, 8)]).double()
    return float((~subject.explain(seeded(ConvNet), flat, targets(2)).isfinite()).sum())
