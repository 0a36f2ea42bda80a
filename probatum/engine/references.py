"""Baselines that rows are compared with: one for each image, or each or any of a distribution of them."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from probatum.engine.arguments import require_count
from probatum.engine.noise import splitmix64, standard_normal, uniform
from probatum.engine.sampling import Rows, accepted_baselines, on_path, per_row
from probatum.errors import InvalidInput

# What a number is drawn for; each has a stream of its own, also beside SmoothGrad's noise.
_BASELINE, _CHOICE, _POSITION, _NOISE = 1, 2, 3, 4


@dataclass(frozen=True)
class Reference:
    """One baseline for each image; the point stays where it is.

    Args:
        baseline: makes it from the batch of images, (batch, ...) -> (batch, ...). Equal ones share evaluations.
    """

    baseline: Callable[[Tensor], Tensor]

    @property
    def count(self) -> int:
        """One."""
        return 1

    def prepare(self, images: Tensor) -> Tensor:
        """The baseline of each image."""
        return accepted_baselines(self.baseline(images), images)

    def expand(self, rows: Rows, prepared: Tensor, sample: Tensor) -> Rows:
        """Sets the baselines."""
        return replace(rows, points=rows.origins, baselines=prepared)


@runtime_checkable
class Distribution(Protocol):
    """Some baselines of each image, made only when they are wanted."""

    @property
    def count(self) -> int:
        """How many baselines an image has."""

    def prepare(self, images: Tensor) -> Tensor:
        """Computes once for the whole batch what `draw` needs: (batch, ...)."""

    def draw(self, rows: Rows, prepared: Tensor, number: Tensor) -> Tensor:
        """The baseline with this number of each row's image: (rows, ...)."""


@dataclass(frozen=True)
class NoisyBaselines:
    """Gaussian noise around a baseline: x′_k = x′ + σ ε_k with ε_k ~ N(0, 1), σ a fraction of the image's range.

    An image's ε_k depend on its content, k and the seed alone.

    Args:
        center: makes x′ from the batch of images, (batch, ...) -> (batch, ...).
        count: baselines of each image.
        fraction: σ as a fraction of max x − min x.
    """

    center: Callable[[Tensor], Tensor]
    count: int = 10
    fraction: float = 0.2

    def __post_init__(self) -> None:
        require_count("count of noisy baselines", self.count)
        if not (math.isfinite(self.fraction) and self.fraction >= 0):
            raise InvalidInput(
                f"noisy baselines need a count of at least 1 and a fraction of at least 0, got {self.count} and "
                f"{self.fraction}"
            )

    def prepare(self, images: Tensor) -> Tensor:
        """The center of each image's baselines."""
        return accepted_baselines(self.center(images), images)

    def draw(self, rows: Rows, prepared: Tensor, number: Tensor) -> Tensor:
        """Adds the noise of each row's baseline."""
        noise = standard_normal(_stream(rows.keys, _BASELINE), number, rows.points.shape[1:], rows.points.dtype)
        return prepared + per_row(self.fraction * _range(rows.images), noise) * noise


@dataclass(frozen=True, eq=False)
class GivenBaselines:
    """Baselines that the caller has: the same for all images, or some for each.

    Args:
        tensor: (1, count, ...) or (batch, count, ...). Two that look at the same memory are equal.
    """

    tensor: Tensor

    @property
    def count(self) -> int:
        """How many baselines an image has."""
        return self.tensor.shape[1]

    def prepare(self, images: Tensor) -> Tensor:
        """Which row of the tensor an image has."""
        accepted_baselines(self.tensor, images[:, None].expand(-1, max(self.count, 1), *images.shape[1:]))
        number = torch.arange(len(images), device=images.device)
        return number if len(self.tensor) > 1 else torch.zeros_like(number)

    def draw(self, rows: Rows, prepared: Tensor, number: Tensor) -> Tensor:
        """Picks one baseline a row."""
        return self.tensor[prepared, number]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, GivenBaselines) and self._memory == other._memory

    def __hash__(self) -> int:
        return hash(self._memory)

    @property
    def _memory(self) -> tuple[object, ...]:
        tensor = self.tensor
        return tensor.data_ptr(), tensor.dtype, tensor.device, tensor.shape, tensor.stride()


@dataclass(frozen=True)
class EachBaseline:
    """Every baseline of a distribution, each of weight 1/count; the point stays where it is."""

    distribution: Distribution

    @property
    def count(self) -> int:
        """How many there are."""
        return self.distribution.count

    def prepare(self, images: Tensor) -> Tensor:
        """Prepared by the distribution."""
        return self.distribution.prepare(images)

    def expand(self, rows: Rows, prepared: Tensor, sample: Tensor) -> Rows:
        """Sets the baseline with each row's number."""
        baselines = self.distribution.draw(rows, prepared, sample)
        return replace(rows, points=rows.origins, baselines=baselines, weights=rows.weights / self.count)


@dataclass(frozen=True)
class RandomPath:
    """Random points of the paths from random baselines: x′ + α (x̃ − x′), x̃ = x + σ ε, α ~ U(0, 1), weight 1/count.

    Args:
        count: points drawn.
        distribution: x′ is any of its baselines, each as likely.
        noise_fraction: σ as a fraction of the image's range.
    """

    count: int
    distribution: Distribution
    noise_fraction: float = 0.0

    def prepare(self, images: Tensor) -> Tensor:
        """Prepared by the distribution."""
        return self.distribution.prepare(images)

    def expand(self, rows: Rows, prepared: Tensor, sample: Tensor) -> Rows:
        """Draws baseline, noise and position of each row, anew for each noisy image of an outer expansion."""
        draw = rows.sample * self.count + sample
        number = uniform(_stream(rows.keys, _CHOICE), draw, torch.float64) * self.distribution.count
        baselines = self.distribution.draw(rows, prepared, number.long())
        origins = rows.origins
        if self.noise_fraction > 0:
            noise = standard_normal(_stream(rows.keys, _NOISE), draw, origins.shape[1:], origins.dtype)
            origins = origins + per_row(self.noise_fraction * _range(rows.images), noise) * noise
        alpha = uniform(_stream(rows.keys, _POSITION), draw, rows.weights.dtype)
        points = on_path(origins, baselines, alpha)
        return replace(rows, origins=origins, points=points, baselines=baselines, weights=rows.weights / self.count)


def _stream(keys: Int64[Tensor, " rows"], purpose: int) -> Int64[Tensor, " rows"]:
    return splitmix64(keys + purpose)


def _range(images: Float[Tensor, "rows *shape"]) -> Float[Tensor, " rows"]:
    flat = images.flatten(1)
    return flat.amax(1) - flat.amin(1)
