"""An image's map does not depend on the other images of the call."""

import torch

from probatum.conformance.law import ROUNDING, distance, law, targets
from probatum.conformance.networks import ConvNet, images, seeded
from probatum.conformance.subject import Subject


@law("independence", ROUNDING)
def batch_independence(subject: Subject) -> float:
    """An image alone has the map that it has in a batch: M(x₁, …, xₙ)ᵢ = M(xᵢ)."""
    model, batch, classes = seeded(ConvNet), images(), targets()
    together = subject.explain(model, batch, classes)
    alone = [subject.explain(model, batch[i : i + 1], classes[i : i + 1]) for i in range(3)]
    return distance(together, torch.cat(alone))


@law("independence", ROUNDING)
def order_equivariance(subject: Subject) -> float:
    """Images in another order have the same maps in that order: M(Px) = P M(x)."""
    model, batch, classes = seeded(ConvNet), images(), targets()
    order = torch.tensor([2, 0, 1])
    return distance(subject.explain(model, batch[order], classes[order]), subject.explain(model, batch, classes)[order])


@law("independence", ROUNDING)
def neighbor_independence(subject: Subject) -> float:
    """Other neighbors, a hundred times as large, change nothing: M(x₁, y)₁ = M(x₁, z)₁."""
    model, batch, classes = seeded(ConvNet), images(), targets()
    others = torch.cat([batch[:1], 100 * images(2, seed=5)])
    return distance(subject.explain(model, others, classes)[:1], subject.explain(model, batch, classes)[:1])


@law("independence", ROUNDING)
def equal_images(subject: Subject) -> float:
    """Equal images of one batch have equal maps: M(x, x)₁ = M(x, x)₂."""
    maps = subject.explain(seeded(ConvNet), images(1).repeat(2, 1, 1, 1), torch.tensor([2, 2]))
    return distance(maps[:1], maps[1:])


@law("independence", ROUNDING)
def target_independence(subject: Subject) -> float:
    """The target of a neighbor changes nothing."""
    model, batch = seeded(ConvNet), images()
    first, second = torch.tensor([1, 0, 2]), torch.tensor([1, 3, 3])
    return distance(subject.explain(model, batch, first)[:1], subject.explain(model, batch, second)[:1])
