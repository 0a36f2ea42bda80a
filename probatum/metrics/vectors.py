"""Metrics that see a map as one vector: Pearson correlation, cosine similarity, Euclidean distance."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from probatum.metrics.inputs import Features, extremes, score, working_precision

SAFE_EXPONENT = 400  # values from 2^-400 to 2^400 have squares that float64 can hold and add up


def directions(
    vectors: Float[Tensor, "batch size"], *, centred: bool
) -> tuple[Float[Tensor, "batch size"], Bool[Tensor, " batch"]]:
    """Scale each vector to length 1, after subtracting its mean if `centred`, and tell which have no direction.

    A vector without a direction (constant if centred, else zero) becomes zero.
    """
    low, high = extremes(vectors)
    largest = torch.maximum(low.abs(), high.abs())
    undefined = low == high if centred else largest == 0
    exponent = torch.frexp(largest).exponent
    if (exponent.abs() > SAFE_EXPONENT).any():  # a power of two in two steps: it changes no digit and cannot overflow
        half = exponent[:, None] // 2
        vectors = torch.ldexp(torch.ldexp(vectors, -half), half - exponent[:, None])
    if centred:
        vectors = vectors - vectors.mean(dim=1, keepdim=True)
    unit = vectors / torch.linalg.vector_norm(vectors, dim=1, keepdim=True)
    return unit.masked_fill_(undefined[:, None], 0), undefined


def correlate(features_a: Features, features_b: Features) -> Float[Tensor, " batch"]:
    """Inner products of directions, with the rule for undefined correlations.

    A correlation (or cosine) with a constant (or zero) map is 0/0. It is set to 0.0 if one of the two maps is such, and
    to 1.0 if both are, so that a map that did not change always scores 1. `is_constant` lets callers count these maps.
    """
    (a, undefined_a), (b, undefined_b) = features_a, features_b
    return (a * b).sum(dim=1).clamp(-1, 1).masked_fill(undefined_a & undefined_b, 1.0)


@dataclass(frozen=True)
class Pearson:
    """Pearson correlation in two halves."""

    images: ClassVar[bool] = False

    def features(self, maps: Tensor) -> Features:
        """Centre each map and scale it to length 1."""
        return directions(working_precision(maps).flatten(1), centred=True)

    def similarity(self, features_a: Features, features_b: Features) -> Float[Tensor, " batch"]:
        """Take the inner products."""
        return correlate(features_a, features_b)


@dataclass(frozen=True)
class Cosine:
    """Cosine similarity in two halves."""

    images: ClassVar[bool] = False

    def features(self, maps: Tensor) -> Features:
        """Scale each map to length 1."""
        return directions(working_precision(maps).flatten(1), centred=False)

    def similarity(self, features_a: Features, features_b: Features) -> Float[Tensor, " batch"]:
        """Take the inner products."""
        return correlate(features_a, features_b)


@dataclass(frozen=True)
class Euclidean:
    """Euclidean distance in two halves."""

    images: ClassVar[bool] = False

    def features(self, maps: Tensor) -> Features:
        """Flatten each map."""
        return (working_precision(maps).flatten(1),)

    def similarity(self, features_a: Features, features_b: Features) -> Float[Tensor, " batch"]:
        """Take the lengths of the differences."""
        distances: Tensor = torch.linalg.vector_norm(features_a[0] - features_b[0], dim=1)
        return distances


def pearson(a: Tensor, b: Tensor) -> Float[Tensor, " batch"]:
    """Pearson correlation of the values of two maps: r = Σ(a−ā)(b−b̄) / √(Σ(a−ā)² Σ(b−b̄)²).

    Equal to `scipy.stats.pearsonr`; `correlate` states what an undefined correlation is set to.

    Args:
        a: maps (batch, ...), floating point, finite.
        b: maps of the same shape.

    Returns:
        (batch,) correlations in [−1, 1].

    Raises:
        InvalidInput: for maps of different shapes, and as `check_maps` says.
    """
    return score(Pearson(), a, b)


def cosine(a: Tensor, b: Tensor) -> Float[Tensor, " batch"]:
    """Cosine of the angle between two maps: Σab / √(Σa² Σb²).

    The text metric of Kokhlikyan et al. (2021, "Investigating sanity checks for saliency maps with image and text
    classification"). Arguments and errors as for `pearson`.

    Returns:
        (batch,) cosines in [−1, 1].
    """
    return score(Cosine(), a, b)


def euclidean(a: Tensor, b: Tensor) -> Float[Tensor, " batch"]:
    """Euclidean distance between two maps: √Σ(a−b)².

    Used beside the cosine by Kokhlikyan et al. (2021). Arguments and errors as for `pearson`.

    Returns:
        (batch,) distances in the unit of the maps; 0 for identical maps.
    """
    return score(Euclidean(), a, b)
