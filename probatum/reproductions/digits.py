"""Digits, the small networks that learn them, and the comparison of what two networks show."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from probatum.data import DATASETS, ImageSet, Preprocessing, load_dataset
from probatum.maps import get_reduction
from probatum.metrics import Metric, is_constant
from probatum.models import TrainingConfig, TrainingReport
from probatum.reproductions.base import Context
from probatum.reproductions.setting import Setting
from probatum.runs.cache import train_once

MNIST = DATASETS["mnist"].title
"""What claims on trained digits are about."""


@dataclass(frozen=True, eq=False)
class Digits:
    """Images for training and for testing.

    Args:
        name: a key of `DATASETS`.
        train: images, on the CPU.
        test: images, on the CPU.
    """

    name: str
    train: ImageSet
    test: ImageSet

    @property
    def title(self) -> str:
        """The data set as figures call it."""
        return DATASETS[self.name].title


def digits_setting(title: str, smaller: Mapping[str, str] | None = None) -> Setting:
    """What replaced MNIST.

    Args:
        title: of the digits.
        smaller: see `Setting`.
    """
    if title == MNIST:
        return Setting(smaller=smaller or {})
    lacks = {MNIST: f"{title} were used: give MNIST/ in the folder of --data-dir"}
    return Setting((f"{title} instead of MNIST",), lacks, smaller or {})


def load_digits(
    context: Context, train: int | None, test: int | None, preprocessing: Preprocessing | None = None
) -> Digits:
    """MNIST from the data folder, or else rendered digits.

    Args:
        context: of the experiment.
        train: images for training; None is all.
        test: images for testing; None is all.
        preprocessing: None is that of the data set.
    """
    name = "digits" if context.data_folder("MNIST") is None else "mnist"
    return Digits(
        name,
        *(_images(context, name, split, count, preprocessing) for split, count in (("train", train), ("test", test))),
    )


def _images(
    context: Context, name: str, split: str, count: int | None, preprocessing: Preprocessing | None
) -> ImageSet:
    config = context.config
    return load_dataset(name, split, count, config.data_dir, config.seed, preprocessing=preprocessing)


def labels_of(data: ImageSet) -> Int64[Tensor, " image"]:
    """The labels of a set that has them."""
    assert data.labels is not None, f"{data.name} has no labels"
    return data.labels


def trained(
    context: Context,
    model: nn.Module,
    digits: Digits,
    config: TrainingConfig,
    what: str,
    labels: Int64[Tensor, " some"] | None = None,
) -> TrainingReport:
    """Train a network in place, or load the weights of an equal training that was done before.

    Args:
        context: of the experiment.
        model: on the context's device.
        digits: that it learns.
        config: with the seed.
        what: is trained, for the progress.
        labels: of the first training images, which alone are used; None is all with their own.
    """
    known = labels_of(digits.train) if labels is None else labels
    return train_once(
        model,
        digits.train.images[: len(known)],
        known,
        digits.test.images,
        labels_of(digits.test),
        config,
        what=what,
        progress=context.progress,
    )


def similarity(
    one: Mapping[str, Tensor], other: Mapping[str, Tensor], metrics: Mapping[str, Metric]
) -> Float[np.ndarray, "method metric image"]:
    """The scores of one network's maps and those of another, by each method of the other; NaN where one is constant."""
    return np.stack([_scores(one[name], maps, metrics) for name, maps in other.items()])


def _scores(one: Tensor, other: Tensor, metrics: Mapping[str, Metric]) -> Float[np.ndarray, "metric image"]:
    constant = is_constant(one) | is_constant(other)
    rows = []
    for metric in metrics.values():
        reduce = get_reduction(metric.reduction)
        rows.append(metric(reduce(one), reduce(other)).masked_fill(constant, torch.nan))
    return torch.stack(rows).cpu().double().numpy()
