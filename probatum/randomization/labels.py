"""Label randomization: training labels that are independent of the images."""

from typing import NamedTuple

import torch
from jaxtyping import Int
from torch import Tensor

from probatum.errors import InvalidInput


class RandomizedLabels(NamedTuple):
    """Randomized labels.

    Args:
        labels: (images,), class indices, of the type and on the device of the true ones.
        agreement: share of images, in [0, 1], whose label is the true one by chance.
    """

    labels: Int[Tensor, " images"]
    agreement: float


def permute_labels(labels: Int[Tensor, " images"], seed: int) -> RandomizedLabels:
    """Permute the labels, so that every class keeps its count.

    Source: Adebayo et al. (2018), arXiv 1810.03292, data randomization test.

    Args:
        labels: (images,), the true class indices.
        seed: equal seeds give equal permutations, on every device.
    """
    order = torch.randperm(len(labels), generator=torch.Generator("cpu").manual_seed(seed), device="cpu")
    return _compare(labels[order.to(labels.device)], labels)


def random_labels(labels: Int[Tensor, " images"], classes: int, seed: int) -> RandomizedLabels:
    """Draw every label uniformly from all classes.

    Args:
        labels: (images,), the true class indices.
        classes: number of classes.
        seed: equal seeds give equal labels, on every device.

    Raises:
        InvalidInput: a true label is not in [0, classes).
    """
    if len(labels) and not 0 <= int(labels.min()) <= int(labels.max()) < classes:
        raise InvalidInput(f"labels run from {int(labels.min())} to {int(labels.max())}, outside [0, {classes})")
    drawn = torch.randint(classes, labels.shape, generator=torch.Generator("cpu").manual_seed(seed), device="cpu")
    return _compare(drawn.to(labels), labels)


def _compare(drawn: Tensor, labels: Tensor) -> RandomizedLabels:
    if not len(labels):
        raise InvalidInput("there are no labels to randomize")
    return RandomizedLabels(drawn, float((drawn == labels).double().mean()))
