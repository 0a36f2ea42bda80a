"""Perturbations of infidelity and sensitivity-n: x becomes x − I."""

import math
from dataclasses import dataclass
from typing import NamedTuple, Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from probatum.engine.noise import standard_normal
from probatum.errors import InvalidInput
from probatum.metrics.quality.inputs import check_samples, feature_count, feature_shape


class Perturbed(NamedTuple):
    """Perturbed images.

    Args:
        points: x − I.
        change: I.
        removed: the mask m if I = m ⊙ (x − x₀), with the images' number of dimensions and size 1 where its entries
            are equal; None for other I.
    """

    points: Float[Tensor, "rows *shape"]
    change: Float[Tensor, "rows *shape"]
    removed: Bool[Tensor, "rows ..."] | None


@runtime_checkable
class Perturbation(Protocol):
    """Draws perturbed versions of images."""

    @property
    def samples(self) -> int:
        """Number of samples per image."""

    def draw(self, images: Tensor, baselines: Tensor, keys: Tensor, sample: Tensor) -> Perturbed:
        """Perturb each row with the given sample number of its stream."""


@dataclass(frozen=True)
class GaussianNoise:
    """I ~ N(0, σ²), independent for every value of the image.

    Args:
        sigma: in the units of the input; 0.03 in Kokhlikyan et al. 2021, for local maps.
        samples: per image.
    """

    sigma: float = 0.03
    samples: int = 50

    def __post_init__(self) -> None:
        check_samples(self.samples)
        if not 0 < self.sigma < math.inf:
            raise InvalidInput(f"sigma is {self.sigma}; it must be above 0")

    def draw(
        self,
        images: Float[Tensor, "rows *shape"],
        baselines: Float[Tensor, "rows *shape"],
        keys: Int64[Tensor, " rows"],
        sample: Int64[Tensor, " rows"],
    ) -> Perturbed:
        """Subtract noise; the baselines are not used."""
        points = images - self.sigma * standard_normal(keys, sample, images.shape[1:], images.dtype)
        return Perturbed(points, images - points, None)  # the change after rounding


@dataclass(frozen=True)
class Removal:
    """I = x − x₀: the whole image is replaced by its baseline, in a single sample."""

    @property
    def samples(self) -> int:
        """One."""
        return 1

    def draw(
        self,
        images: Float[Tensor, "rows *shape"],
        baselines: Float[Tensor, "rows *shape"],
        keys: Int64[Tensor, " rows"],
        sample: Int64[Tensor, " rows"],
    ) -> Perturbed:
        """Replace every image by its baseline."""
        everywhere = torch.ones(len(images), *[1] * (images.ndim - 1), dtype=torch.bool, device=images.device)
        return Perturbed(baselines, images - baselines, everywhere)


@dataclass(frozen=True)
class SubsetRemoval:
    """I = m ⊙ (x − x₀) for a uniformly random subset m of the features.

    Args:
        size: number of features in a subset, from 1 to all but one.
        samples: subsets per image.
        feature_dim: dimension whose entries form one feature: 1 for the channels of images, −1 for the embedding of
            tokens; None if every value is a feature of its own.
    """

    size: int
    samples: int = 50
    feature_dim: int | None = 1

    def __post_init__(self) -> None:
        check_samples(self.samples)

    def draw(
        self,
        images: Float[Tensor, "rows *shape"],
        baselines: Float[Tensor, "rows *shape"],
        keys: Int64[Tensor, " rows"],
        sample: Int64[Tensor, " rows"],
    ) -> Perturbed:
        """Replace the features with the smallest random numbers."""
        count = feature_count(images, self.feature_dim)
        if not 1 <= self.size < count:
            raise InvalidInput(f"a subset of {self.size} out of {count} features; choose a size from 1 to {count - 1}")
        order = standard_normal(keys, sample, torch.Size([count]), torch.float32).argsort(dim=1, stable=True)
        flat = torch.zeros(len(images), count, dtype=torch.bool, device=images.device)
        removed = flat.scatter_(1, order[:, : self.size], True)
        removed = removed.reshape(len(images), *feature_shape(images, self.feature_dim))
        points = torch.where(removed, baselines, images)
        return Perturbed(points, torch.where(removed, images - baselines, 0), removed)
