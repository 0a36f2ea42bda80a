"""Metrics of maps as vectors: Pearson correlation, cosine similarity, Euclidean distance."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from probatum.metrics.inputs import Features, extremes, score, working_precision

# Squares of values from 2^-e to 2^e can be summed without overflow.
SAFE_EXPONENTS = {
    torch.float64: 400,
    torch.float32: 50,
}


def power_of_two_scale(*vectors: Tensor) -> Int[Tensor, " batch"] | None:
    """Exponent e for each row such that vectors · 2^-e can be squared and summed; None if every e is 0."""
    largest = torch.stack([torch.maximum(*(each.abs() for each in extremes(vector))) for vector in vectors]).amax(0)
    exponent = torch.frexp(largest).exponent
    outside = exponent.abs() > SAFE_EXPONENTS[largest.dtype]
    return torch.where(outside, exponent, 0) if bool(outside.any()) else None


def times_power_of_two(
    vectors: Float[Tensor, "batch *size"], exponent: Int[Tensor, " batch"]
) -> Float[Tensor, "batch *size"]:
    """Multiply each row by 2^exponent in two exact steps, neither of which overflows."""
    exponent = exponent.view(-1, *[1] * (vectors.ndim - 1))
    half = exponent // 2
    return torch.ldexp(torch.ldexp(vectors, half), exponent - half)


def lengths(vectors: Float[Tensor, "batch size"]) -> Float[Tensor, " batch"]:
    """Euclidean norms without overflow or underflow; a norm too large for the dtype becomes its largest number."""
    return distances(vectors, torch.zeros_like(vectors))


def distances(a: Float[Tensor, "batch size"], b: Float[Tensor, "batch size"]) -> Float[Tensor, " batch"]:
    """Euclidean distances without overflow or underflow; one too large for the dtype becomes its largest number."""
    exponent = power_of_two_scale(a, b)
    if exponent is None:
        plain: Tensor = torch.linalg.vector_norm(a - b, dim=1)
        return plain
    a, b = (times_power_of_two(each, -exponent) for each in (a, b))
    norms: Tensor = torch.linalg.vector_norm(a - b, dim=1)
    return times_power_of_two(norms, exponent).clamp(max=torch.finfo(norms.dtype).max)


def directions(
    vectors: Float[Tensor, "batch size"], *, centered: bool
) -> tuple[Float[Tensor, "batch size"], Bool[Tensor, " batch"]]:
    """Scale each vector to length 1, after subtracting its mean if `centered`.

    A vector without a direction (constant if centered, otherwise zero) becomes zero; the second result marks these.
    """
    low, high = extremes(vectors)
    largest = torch.maximum(low.abs(), high.abs())
    undefined = low == high if centered else largest == 0
    exponent = power_of_two_scale(vectors)
    if exponent is not None:
        vectors = times_power_of_two(vectors, -exponent)
    if centered:
        vectors = vectors - vectors.mean(dim=1, keepdim=True)
    unit = vectors / torch.linalg.vector_norm(vectors, dim=1, keepdim=True)
    return unit.masked_fill_(undefined[:, None], 0), undefined


def correlate(features_a: Features, features_b: Features) -> Float[Tensor, " batch"]:
    """Inner products of directions, with the rule for undefined correlations.

    A correlation with a constant map (or a cosine with a zero map) is 0/0. It is set to 0.0 if one of the two maps is
    constant (zero), and to 1.0 if both are: identical maps always score 1. Use `is_constant` to count these maps.
    """
    (a, undefined_a), (b, undefined_b) = features_a, features_b
    return (a * b).sum(dim=1).clamp(-1, 1).masked_fill(undefined_a & undefined_b, 1.0)


@dataclass(frozen=True)
class Pearson:
    """Pearson correlation as a `Measure`."""

    images: ClassVar[bool] = False

    def features(self, maps: Tensor) -> Features:
        """Center each map and scale it to length 1."""
        return directions(working_precision(maps).flatten(1), centered=True)

    def similarity(self, features_a: Features, features_b: Features) -> Float[Tensor, " batch"]:
        """Take the inner products."""
        return correlate(features_a, features_b)


@dataclass(frozen=True)
class Cosine:
    """Cosine similarity as a `Measure`."""

    images: ClassVar[bool] = False

    def features(self, maps: Tensor) -> Features:
        """Scale each map to length 1."""
        return directions(working_precision(maps).flatten(1), centered=False)

    def similarity(self, features_a: Features, features_b: Features) -> Float[Tensor, " batch"]:
        """Take the inner products."""
        return correlate(features_a, features_b)


@dataclass(frozen=True)
class Euclidean:
    """Euclidean distance as a `Measure`."""

    images: ClassVar[bool] = False

    def features(self, maps: Tensor) -> Features:
        """Flatten each map."""
        return (working_precision(maps).flatten(1),)

    def similarity(self, features_a: Features, features_b: Features) -> Float[Tensor, " batch"]:
        """Take the norms of the differences."""
        return distances(features_a[0], features_b[0])


def pearson(a: Tensor, b: Tensor) -> Float[Tensor, " batch"]:
    """Pearson correlation of the values of two maps: r = Σ(a−ā)(b−b̄) / √(Σ(a−ā)² Σ(b−b̄)²).

    Equal to `scipy.stats.pearsonr`; see `correlate` for undefined correlations.

    Args:
        a: maps (batch, ...), floating point, finite.
        b: maps of the same shape.

    Returns:
        (batch,) correlations in [−1, 1].

    Raises:
        InvalidInput: maps of different shapes; see also `check_maps`.
    """
    return score(Pearson(), a, b)


def cosine(a: Tensor, b: Tensor) -> Float[Tensor, " batch"]:
    """Cosine of the angle between two maps: Σab / √(Σa² Σb²).

    The text metric of Kokhlikyan et al. (2021, "Investigating sanity checks for saliency maps with image and text
    classification"). Arguments and errors are those of `pearson`.

    Returns:
        (batch,) cosines in [−1, 1].
    """
    return score(Cosine(), a, b)


def euclidean(a: Tensor, b: Tensor) -> Float[Tensor, " batch"]:
    """Euclidean distance between two maps: √Σ(a−b)².

    Used with the cosine by Kokhlikyan et al. (2021). Arguments and errors are those of `pearson`.

    Returns:
        (batch,) distances in the unit of the maps; 0 for identical maps.
    """
    return score(Euclidean(), a, b)
