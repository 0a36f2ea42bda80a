"""How infidelity and sensitivity-n disturb an image: x becomes x − I."""

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
    """Disturbed images.

    Args:
        points: x − I.
        change: I.
        removed: where I = m ⊙ (x − x₀), the mask m, of the images' number of dimensions and size 1 where its entries
            are equal; None for other I.
    """

    points: Float[Tensor, "rows *shape"]
    change: Float[Tensor, "rows *shape"]
    removed: Bool[Tensor, "rows ..."] | None


@runtime_checkable
class Perturbation(Protocol):
    """Draws disturbed versions of images."""

    @property
    def samples(self) -> int:
        """How many of each image."""

    def draw(self, images: Tensor, baselines: Tensor, keys: Tensor, sample: Tensor) -> Perturbed:
        """Disturb each row by the sample of that number from its stream."""


@dataclass(frozen=True)
class GaussianNoise:
    """I ~ N(0, σ²), independent for every number of the image.

    Args:
        sigma: in the units of the input; 0.03 in Kokhlikyan et al. 2021, for local maps.
        samples: of each image.
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
        """Subtract noise; the baselines play no part."""
        points = images - self.sigma * standard_normal(keys, sample, images.shape[1:], images.dtype)
        return Perturbed(points, images - points, None)  # what was subtracted, rounding included


@dataclass(frozen=True)
class Removal:
    """I = x − x₀, so that the whole image gives way to its baseline; there is but one sample of that."""

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
        """Replace all."""
        everywhere = torch.ones(len(images), *[1] * (images.ndim - 1), dtype=torch.bool, device=images.device)
        return Perturbed(baselines, images - baselines, everywhere)


@dataclass(frozen=True)
class SubsetRemoval:
    """I = m ⊙ (x − x₀) for a uniformly random subset m of the features.

    Args:
        size: features in a subset, at least 1 and fewer than there are.
        samples: subsets of each image.
        feature_dim: dimension of the batch whose entries are one feature: 1 for the channels of images, −1 for the
            embedding of tokens; None where every number is a feature.
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
        """Replace the features of the smallest random numbers."""
        count = feature_count(images, self.feature_dim)
        if not 1 <= self.size < count:
            raise InvalidInput(f"a subset of {self.size} out of {count} features; choose 1 to {count - 1}")
        order = standard_normal(keys, sample, torch.Size([count]), torch.float32).argsort(dim=1, stable=True)
        flat = torch.zeros(len(images), count, dtype=torch.bool, device=images.device)
        removed = flat.scatter_(1, order[:, : self.size], True)
        removed = removed.reshape(len(images), *feature_shape(images, self.feature_dim))
        points = torch.where(removed, baselines, images)
        return Perturbed(points, torch.where(removed, images - baselines, 0), removed)
