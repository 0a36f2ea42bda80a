"""Which points a method looks at: expansions of each image into many points, each with a weight.

A method that averages over points is a chain of expansions: SmoothGrad is (Noise,), Integrated Gradients is (Path,),
their combination is (Noise, Path). A chain is enumerated lazily, so that samples × steps never stand in memory at once.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from probatum.engine.noise import standard_normal
from probatum.errors import InvalidInput


@dataclass(frozen=True)
class Rows:
    """Some points of some images; each field's first axis is the row.

    Args:
        image: which image of the batch a row belongs to.
        images: the images as given.
        keys: the noise stream of each row's image.
        origins: what the point explains: the image, or a noisy version of it.
        points: where the model is evaluated.
        baselines: where the path to the origin begins; None without a path.
        weights: of each point in the sum within one outermost sample.
    """

    image: Int64[Tensor, " rows"]
    images: Float[Tensor, "rows *shape"]
    keys: Int64[Tensor, " rows"]
    origins: Float[Tensor, "rows *shape"]
    points: Float[Tensor, "rows *shape"]
    baselines: Float[Tensor, "rows *shape"] | None
    weights: Float[Tensor, " rows"]


@runtime_checkable
class Expansion(Protocol):
    """Turns each row into `count` rows, of which a chunk may ask for any. Equal expansions share their evaluations."""

    @property
    def count(self) -> int:
        """How many points it makes of one."""

    def prepare(self, images: Tensor) -> Tensor:
        """Computes once for the whole batch what `expand` needs: (batch, ...)."""

    def expand(self, rows: Rows, prepared: Tensor, sample: Tensor) -> Rows:
        """Moves each row to its sample: `prepared` is already indexed by the row's image, `sample` counts from 0."""


@dataclass(frozen=True)
class Noise:
    """Gaussian noise around the image: x + σ ε with ε ~ N(0, 1), each sample of weight 1/count.

    Args:
        count: noise samples.
        fraction: σ as a fraction of each image's own range max x − min x.
        absolute: σ in the units of the input, instead of the fraction.
    """

    count: int
    fraction: float = 0.15
    absolute: float | None = None

    def prepare(self, images: Tensor) -> Tensor:
        """σ of each image, (batch,)."""
        if self.absolute is not None:
            return images.new_full((len(images),), self.absolute)
        flat = images.flatten(1)
        return self.fraction * (flat.amax(1) - flat.amin(1))

    def expand(self, rows: Rows, prepared: Tensor, sample: Tensor) -> Rows:
        """Adds the noise of each row's sample; rows of one sample share it, so it is drawn once for them."""
        pairs, inverse = torch.unique_consecutive(torch.stack([rows.image, sample]), dim=1, return_inverse=True)
        first = torch.zeros(pairs.shape[1], dtype=torch.long, device=sample.device)
        first = first.scatter_(0, inverse, torch.arange(len(inverse), device=sample.device))
        noise = standard_normal(rows.keys[first], sample[first], rows.points.shape[1:], rows.points.dtype)[inverse]
        noisy = rows.origins + noise * per_row(prepared, noise)
        return replace(rows, origins=noisy, points=noisy, weights=rows.weights / self.count)


@dataclass(frozen=True)
class Path:
    """The straight path from a baseline: x′ + α (x − x′) at fixed α, each of its own quadrature weight.

    Args:
        alphas: positions on the path, 0 at the baseline and 1 at the image.
        quadrature: their weights, which sum to one.
        baseline: makes x′ from the batch of images, (batch, ...) -> (batch, ...). Paths are equal where this is equal.
    """

    alphas: tuple[float, ...]
    quadrature: tuple[float, ...]
    baseline: Callable[[Tensor], Tensor] = field()

    @property
    def count(self) -> int:
        """The number of steps."""
        return len(self.alphas)

    def prepare(self, images: Tensor) -> Tensor:
        """The baseline of each image."""
        baselines = self.baseline(images)
        if baselines.shape != images.shape:
            raise InvalidInput(f"the baselines have shape {tuple(baselines.shape)}, the images {tuple(images.shape)}")
        return baselines.to(images)

    def expand(self, rows: Rows, prepared: Tensor, sample: Tensor) -> Rows:
        """Places each row on the path to its (noisy) origin."""
        alpha = per_row(rows.points.new_tensor(self.alphas)[sample], rows.points)
        weights = rows.weights * rows.weights.new_tensor(self.quadrature)[sample]
        points = prepared + alpha * (rows.origins - prepared)
        return replace(rows, points=points, baselines=prepared, weights=weights)


@dataclass(frozen=True)
class PointStream:
    """All points of a batch of images under a chain of expansions, image by image, the last expansion fastest.

    Args:
        images: (batch, ...).
        keys: the noise stream of each image.
        chain: the expansions, outermost first.
        prepared: what each expansion prepared for the batch.
    """

    images: Float[Tensor, "batch *shape"]
    keys: Int64[Tensor, " batch"]
    chain: tuple[Expansion, ...]
    prepared: tuple[Tensor, ...]

    @classmethod
    def of(cls, images: Tensor, keys: Tensor, chain: tuple[Expansion, ...]) -> "PointStream":
        """Prepares a chain for a batch of images."""
        return cls(images, keys, chain, tuple(expansion.prepare(images) for expansion in chain))

    @property
    def per_image(self) -> int:
        """Points of one image."""
        return math.prod(expansion.count for expansion in self.chain)

    def __len__(self) -> int:
        return len(self.images) * self.per_image

    def rows(self, start: int, stop: int) -> Rows:
        """Makes the points with numbers start, ..., stop − 1."""
        number = torch.arange(start, min(stop, len(self)), device=self.images.device)
        image = number // self.per_image
        images = self.images[image]
        weights = torch.ones(len(number), dtype=self.images.dtype, device=self.images.device)
        rows = Rows(image, images, self.keys[image], images, images, None, weights)
        remaining = self.per_image
        for expansion, prepared in zip(self.chain, self.prepared, strict=True):
            remaining //= expansion.count
            rows = expansion.expand(rows, prepared[image], number // remaining % expansion.count)
        return rows


def per_row(values: Float[Tensor, " rows"], like: Float[Tensor, "rows *shape"]) -> Tensor:
    """Shapes one value a row so that it multiplies rows of any shape: (rows,) -> (rows, 1, ..., 1)."""
    return values.reshape(-1, *[1] * (like.ndim - 1))
