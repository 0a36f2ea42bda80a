"""Which points a method looks at: expansions of each image into many points, each with a weight.

A method that averages over points is a chain of expansions: SmoothGrad is (Noise,), Integrated Gradients is
(StraightPath,), their combination is (Noise, StraightPath). A chain is enumerated lazily, so that memory never holds
samples × steps points at once.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int64, Shaped
from torch import Tensor

from probatum.engine.noise import standard_normal, uniform
from probatum.engine.statistics import accumulation_dtype
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
        sample: which noise sample a row belongs to, or which point of a numbered path it is; else 0.
        shares: for what is made of logits alone, the part that each input value gets of the row's logit; else None.
    """

    image: Int64[Tensor, " rows"]
    images: Float[Tensor, "rows *shape"]
    keys: Int64[Tensor, " rows"]
    origins: Float[Tensor, "rows *shape"]
    points: Float[Tensor, "rows *shape"]
    baselines: Float[Tensor, "rows *shape"] | None
    weights: Float[Tensor, " rows"]
    sample: Int64[Tensor, " rows"]
    shares: Float[Tensor, "rows *shape"] | None = None

    def take(self, index: Int64[Tensor, " taken"]) -> "Rows":
        """The rows with these numbers; fields that are one tensor stay one."""
        fields: dict[str, Tensor] = {name: value for name, value in vars(self).items() if value is not None}
        taken = {key: value[index] for key, value in {id(value): value for value in fields.values()}.items()}
        return replace(self, **{name: taken[id(value)] for name, value in fields.items()})

    def to(self, dtype: torch.dtype) -> "Rows":
        """The rows with floating-point fields in another type."""
        if self.points.dtype == dtype:
            return self
        fields: dict[str, Tensor] = {name: value for name, value in vars(self).items() if value is not None}
        return replace(self, **{name: value.to(dtype) for name, value in fields.items() if value.is_floating_point()})


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
        first: number of the first sample; those before are another expansion's.
        of: samples of all expansions together, each of weight 1/of; None is `count`.
    """

    count: int
    fraction: float = 0.15
    absolute: float | None = None
    first: int = 0
    of: int | None = None

    def prepare(self, images: Tensor) -> Tensor:
        """σ of each image, (batch,)."""
        if self.absolute is not None:
            return images.new_full((len(images),), self.absolute)
        flat = images.flatten(1)
        return self.fraction * (flat.amax(1) - flat.amin(1))

    def expand(self, rows: Rows, prepared: Tensor, sample: Tensor) -> Rows:
        """Adds the noise of each row's sample."""
        number = self.first + sample
        noise = standard_normal(rows.keys, number, rows.points.shape[1:], rows.points.dtype)
        noisy = rows.origins + noise * per_row(prepared, noise)
        weights = rows.weights / (self.of or self.count)
        return replace(rows, origins=noisy, points=noisy, weights=weights, sample=number)


@dataclass(frozen=True)
class StraightPath:
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
        return _baselines(self.baseline, images)

    def expand(self, rows: Rows, prepared: Tensor, sample: Tensor) -> Rows:
        """Places each row on the path to its (noisy) origin."""
        alpha, weights = (
            constant(values, rows.weights.dtype, sample.device)[sample] for values in (self.alphas, self.quadrature)
        )
        points = on_path(rows.origins, prepared, alpha)
        return replace(rows, points=points, baselines=prepared, weights=rows.weights * weights)

    def drawn(self, strata: int, first: int = 0) -> "DrawnPath":
        """This path with one drawn point for each noise sample."""
        return DrawnPath(strata, self.baseline, first)


@dataclass(frozen=True)
class NumberedPath:
    """Some points of a straight path, x′ + α (x − x′), of weight one and told apart by their numbers.

    Args:
        alphas: positions on the path.
        baseline: as of `StraightPath`.
        first: the number of the first point.
    """

    alphas: tuple[float, ...]
    baseline: Callable[[Tensor], Tensor] = field()
    first: int = 0

    @property
    def count(self) -> int:
        """The number of points."""
        return len(self.alphas)

    def prepare(self, images: Tensor) -> Tensor:
        """The baseline of each image."""
        return _baselines(self.baseline, images)

    def expand(self, rows: Rows, prepared: Tensor, sample: Tensor) -> Rows:
        """Places each row on the path."""
        alpha = constant(self.alphas, rows.weights.dtype, sample.device)[sample]
        points = on_path(rows.origins, prepared, alpha)
        return replace(rows, points=points, baselines=prepared, sample=self.first + sample)

    def drawn(self, strata: int, first: int = 0) -> "DrawnPath":
        """This path with one drawn point for each noise sample."""
        return DrawnPath(strata, self.baseline, first)


@dataclass(frozen=True)
class DrawnPath:
    """One point of the straight path for each noise sample k, at α_k = (k + u_k) / strata with u_k ~ U(0, 1).

    Each α_k is uniform on a stratum of its own, so that for any f and independent noise ε_k
    E[1/K Σ_k f(ε_k, α_k)] = ∫₀¹ E[f(ε, α)] dα: the expectation of the noisy path integral, without an error of
    quadrature. The samples of the noise are alike, so that no permutation of the strata is needed.

    Args:
        strata: K, the noise samples of the expansion that comes before in the chain.
        baseline: as of `StraightPath`.
        first: the number of the first of these samples.
    """

    strata: int
    baseline: Callable[[Tensor], Tensor] = field()
    first: int = 0

    @property
    def count(self) -> int:
        """One."""
        return 1

    def prepare(self, images: Tensor) -> Tensor:
        """The baseline of each image."""
        return _baselines(self.baseline, images)

    def expand(self, rows: Rows, prepared: Tensor, sample: Tensor) -> Rows:
        """Places each row on the path to its noisy origin."""
        jitter = uniform(rows.keys, rows.sample, rows.weights.dtype)
        points = on_path(rows.origins, prepared, (rows.sample - self.first + jitter) / self.strata)
        return replace(rows, points=points, baselines=prepared)


def accepted_baselines(baselines: Tensor, images: Tensor) -> Tensor:
    """Brings baselines to the images' type, without a graph that they may come with.

    Raises:
        InvalidInput: there is not one for each image or one for all, or they do not fit the images or are not finite.
    """
    if baselines.shape[1:] != images.shape[1:] or len(baselines) not in (1, len(images)):
        raise InvalidInput(f"the baselines have shape {tuple(baselines.shape)}, the images {tuple(images.shape)}")
    if not bool(torch.isfinite(baselines).all()):
        raise InvalidInput("the baseline has NaN or infinite values")
    return baselines.as_subclass(Tensor).detach().to(images)


def _baselines(baseline: Callable[[Tensor], Tensor], images: Tensor) -> Tensor:
    return accepted_baselines(baseline(images), images).expand_as(images)


def on_path(origins: Tensor, baselines: Tensor, alpha: Tensor) -> Tensor:
    """x′ + α (x − x′) for each row, in the type of the images whatever the type of α."""
    return (baselines + per_row(alpha, origins) * (origins - baselines)).to(origins.dtype)


@lru_cache(maxsize=64)
def constant(values: tuple[float | tuple[float, ...], ...], dtype: torch.dtype, device: torch.device) -> Tensor:
    """Numbers on a device; kept there, because each copy from the host would make the stream of chunks wait."""
    return torch.tensor(values, dtype=dtype, device=device)


@dataclass(frozen=True)
class PointStream:
    """All points of a batch of images under a chain of expansions, image by image, the last expansion fastest.

    Args:
        images: (batch, ...).
        keys: the noise stream of each image.
        chain: the expansions, outermost first.
        prepared: what each expansion prepared for the batch.
        chosen: numbers of the images whose points are asked for; None is all of them.
    """

    images: Float[Tensor, "batch *shape"]
    keys: Int64[Tensor, " batch"]
    chain: tuple[Expansion, ...]
    prepared: tuple[Tensor, ...]
    chosen: Int64[Tensor, " chosen"] | None = None

    @classmethod
    def of(cls, images: Tensor, keys: Tensor, chain: tuple[Expansion, ...]) -> "PointStream":
        """Prepares a chain for a batch of images."""
        return cls(images, keys, chain, tuple(expansion.prepare(images) for expansion in chain))

    @property
    def per_image(self) -> int:
        """Points of one image."""
        return math.prod(expansion.count for expansion in self.chain)

    def __len__(self) -> int:
        return len(self.images if self.chosen is None else self.chosen) * self.per_image

    def of_images(self, chosen: Int64[Tensor, " chosen"]) -> "PointStream":
        """The points of some of the images, which keep their numbers."""
        return replace(self, chosen=chosen)

    def rows(self, start: int, stop: int) -> Rows:
        """Makes the points with numbers start, ..., stop − 1; what several of them share is made once."""
        stop, inner = min(stop, len(self)), self.per_image
        first, last = start // inner, (stop - 1) // inner
        if self.chosen is None:
            image = torch.arange(first, last + 1, device=self.images.device)
            images, keys = self.images[first : last + 1], self.keys[first : last + 1]
        else:
            image = self.chosen[first : last + 1]
            images, keys = self.images[image], self.keys[image]
        weights = images.new_ones(len(image), dtype=accumulation_dtype(images.dtype))
        rows = Rows(image, images, keys, images, images, None, weights, torch.zeros_like(image))
        for expansion, prepared in zip(self.chain, self.prepared, strict=True):
            inner //= expansion.count
            parent, first, last = first, start // inner, (stop - 1) // inner
            number = torch.arange(first, last + 1, device=self.images.device)
            rows = rows.take(number // expansion.count - parent)
            rows = expansion.expand(rows, prepared[rows.image], number % expansion.count)
        return rows


def per_row(values: Shaped[Tensor, " rows"], like: Float[Tensor, "rows *shape"]) -> Tensor:
    """Shapes one value a row so that it multiplies rows of any shape: (rows,) -> (rows, 1, ..., 1)."""
    return values.reshape(-1, *[1] * (like.ndim - 1))
