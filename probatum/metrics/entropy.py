"""Entropy increase between two maps: a measure of complexity that compares no pixels."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from probatum.errors import InvalidInput
from probatum.metrics.inputs import Features, check_maps, extremes, in_chunks, score, working_precision

BINS = 100


def histogram_entropy(maps: Tensor, *, bins: int = BINS) -> Float[Tensor, " batch"]:
    """Discrete entropy of the values of each map: ξ = −Σ_b p_b ln p_b.

    p_b is the share of values in bin b. The bins have equal width and run from the map's smallest to its largest value;
    as in `numpy.histogram`, a bin includes its left edge. Shifting or scaling a map does not change ξ. A constant map
    has ξ = 0.

    Args:
        maps: (batch, ...), floating point, finite.
        bins: number of bins.

    Returns:
        (batch,) entropies from 0 to ln(bins), in nats.

    Raises:
        InvalidInput: see `check_maps`.
    """
    return in_chunks(EntropyRise(bins).features, check_maps(maps))[0]


@dataclass(frozen=True)
class EntropyRise:
    """Relative increase of the histogram entropy as a `Measure`; not symmetric.

    Args:
        bins: see `histogram_entropy`.
    """

    images: ClassVar[bool] = False
    bins: int = BINS

    def __post_init__(self) -> None:
        if self.bins < 2:
            raise InvalidInput(f"the entropy needs at least 2 bins, got {self.bins}")

    def features(self, maps: Tensor) -> Features:
        """Compute the entropy of each map."""
        values = working_precision(maps).flatten(1).contiguous()
        low, high = extremes(values)
        # Halving before subtracting avoids overflow and is exact.
        low, width = low[:, None], ((high / 2 - low / 2) / self.bins * 2)[:, None]
        inner = low + torch.arange(1, self.bins, device=values.device) * width  # (batch, bins - 1)
        place = torch.searchsorted(inner, values, right=True)
        counts = values.new_zeros(len(values), self.bins).scatter_add_(1, place, torch.ones_like(values))
        shares = counts / values.shape[1]
        entropy: Tensor = torch.special.entr(shares).sum(dim=1)
        return (entropy.masked_fill(low[:, 0] == high, 0.0),)

    def similarity(self, features_a: Features, features_b: Features) -> Float[Tensor, " batch"]:
        """Compare the entropies of the second maps with those of the first."""
        (before,), (after,) = features_a, features_b
        return torch.where(before > 0, (after - before) / before, 0.0)


def entropy_rise(a: Tensor, b: Tensor, *, bins: int = BINS) -> Float[Tensor, " batch"]:
    """Relative increase of the entropy from one map to another: (ξ(b) − ξ(a)) / ξ(a), see `histogram_entropy`.

    The score of the efficient model-parameter-randomization test (eMPRT): a is the map of the trained model and b that
    of the fully randomized model. A faithful map becomes more complex, so its score is positive.

    If a is constant, ξ(a) = 0 and the ratio is undefined; the score is then set to 0.0, meaning no increase. Use
    `is_constant` to count such maps. If only b is constant, the score is −1.

    Source: Hedström, Weber, Lapuschkin & Höhne (2024), arXiv:2401.06465, with the 100 bins of its authors' code.

    Args:
        a: maps (batch, ...), floating point, finite.
        b: maps of the same shape.
        bins: see `histogram_entropy`.

    Returns:
        (batch,) increases, at least −1; 0 for identical maps.

    Raises:
        InvalidInput: maps of different shapes; see also `check_maps`.
    """
    return score(EntropyRise(bins), a, b)
