"""Spearman's rank correlation, with average ranks for ties."""

from dataclasses import dataclass
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor

from probatum.engine.ranks import average_ranks
from probatum.metrics.inputs import Features, score
from probatum.metrics.vectors import correlate, directions


def rank_directions(vectors: Float[Tensor, "batch size"]) -> Features:
    """Unit vectors whose inner product is Spearman's correlation."""
    return directions(average_ranks(vectors) - (vectors.shape[1] + 1) / 2, centered=False)


@dataclass(frozen=True)
class Spearman:
    """Spearman's rank correlation as a `Measure`.

    Args:
        absolute: rank the absolute values.
    """

    images: ClassVar[bool] = False
    absolute: bool = False

    def features(self, maps: Tensor) -> Features:
        """Rank the values of each map."""
        vectors = maps.flatten(1)
        return rank_directions(vectors.abs() if self.absolute else vectors)

    def similarity(self, features_a: Features, features_b: Features) -> Float[Tensor, " batch"]:
        """Correlate the ranks."""
        return correlate(features_a, features_b)


def spearman(a: Tensor, b: Tensor, *, absolute: bool = False) -> Float[Tensor, " batch"]:
    """Spearman's rank correlation of two maps: Pearson's correlation of their average ranks.

    Equal to `scipy.stats.spearmanr`; see `correlate` for undefined correlations.

    Args:
        a: maps (batch, ...), floating point, finite.
        b: maps of the same shape.
        absolute: rank the absolute values. Adebayo et al. (2018, arXiv:1810.03292) report both versions.

    Returns:
        (batch,) correlations in [−1, 1].

    Raises:
        InvalidInput: maps of different shapes; see also `check_maps`.
    """
    return score(Spearman(absolute), a, b)
