"""Points on a path, added until the integral is complete: how Integrated Gradients reaches a tolerance."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from probatum.engine import Expansion, NumberedPath
from probatum.engine.sampling import constant
from probatum.engine.statistics import accumulation_dtype

FIRST = 7  # points before the first look: the sum of one or three is often complete by accident


@lru_cache
def nested_rule(points: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Positions on [0, 1] and weights of Fejér's second rule; those of n points are among those of 2n + 1.

        α_i = (1 − cos θ_i) / 2,  θ_i = i π / (n + 1)
        w_i = 2 sin θ_i / (n + 1) · Σ_j sin((2j − 1) θ_i) / (2j − 1),  j = 1, ..., (n + 1) / 2

    for odd n. It is exact for polynomials of degree n, and on smooth integrands about as accurate as Gauss-Legendre
    (Trefethen, "Is Gauss quadrature better than Clenshaw-Curtis?", SIAM Review 50(1), 2008), which has no nested
    points. No point lies at an end, where kinks of the model may meet.

    Source: Waldvogel, "Fast construction of the Fejér and Clenshaw-Curtis quadrature rules", BIT 46, 2006.
    """
    angles = np.arange(1, points + 1) * np.pi / (points + 1)
    odd = np.arange(1, points + 1, 2)
    weights = 2 * np.sin(angles) / (points + 1) * (np.sin(np.outer(angles, odd)) / odd).sum(1)
    return tuple(((1 - np.cos(angles)) / 2).tolist()), tuple(weights.tolist())


@lru_cache
def rule_sizes(steps: int) -> tuple[int, ...]:
    """The points of the rules that are tried: 7, 15, 31, ... up to `steps`; of fewer than 7, the largest of 1 and 3."""
    sizes = [2**k - 1 for k in range(1, steps.bit_length() + 1) if 2**k - 1 <= steps]
    return tuple(size for size in sizes if size >= FIRST) or (sizes[-1],)


@lru_cache
def _numbered(steps: int) -> tuple[tuple[tuple[int, ...], ...], tuple[tuple[float, ...], ...]]:
    """The points by round, as places in the largest rule; and the weights of all, numbered round by round, by rule."""
    sizes = rule_sizes(steps)
    rounds = list[tuple[int, ...]]()
    known = set[int]()
    weights = np.zeros((sizes[-1], len(sizes)))
    for rule, size in enumerate(sizes):
        stride = (sizes[-1] + 1) // (size + 1)
        places = range(stride - 1, sizes[-1], stride)
        weights[places, rule] = nested_rule(size)[1]
        rounds.append(tuple(place for place in places if place not in known))
        known.update(places)
    order = [place for fresh in rounds for place in fresh]
    return tuple(rounds), tuple(map(tuple, weights[order].tolist()))


@dataclass(frozen=True)
class UntilComplete:
    """A `Refinement` that adds points to a straight path until the map sums to the change of the logit.

    The points of 7, 15, 31, ... steps are nested, so that each gradient is used by all later rules and none is computed
    twice. Besides the gradients it takes two forward passes, at the image and at the baseline.

    Completeness bounds the error of the sum, not that of each pixel: on networks of ReLUs the relative error of the
    map, Σ |M − M*| / Σ |M*|, was measured three to six times as large.

    Args:
        tolerance: of |Σ M − (S(x) − S(x′))| / |S(x) − S(x′)|; an image whose logit does not change reaches none.
        steps: the most points.
        baseline: makes x′.
        local: whether the maps lack the factor x − x′, which their sum then gets.
    """

    tolerance: float
    steps: int
    baseline: Callable[[Tensor], Tensor]
    local: bool = False

    @property
    def chains(self) -> tuple[tuple[Expansion, ...], ...]:
        """The points that each rule adds to those of the rule before."""
        rounds, _ = _numbered(self.steps)
        positions, _ = nested_rule(rule_sizes(self.steps)[-1])
        starts = np.cumsum([0, *map(len, rounds)]).tolist()
        return tuple(
            (NumberedPath(tuple(positions[place] for place in fresh), self.baseline, start),)
            for fresh, start in zip(rounds, starts, strict=False)
        )

    @property
    def sums(self) -> int:
        """One for each rule."""
        return len(rule_sizes(self.steps))

    def columns(self, sample: Tensor) -> Tensor:
        """The weights of points in each rule."""
        return constant(_numbered(self.steps)[1], torch.float64, sample.device)[sample]

    def facts(self, images: Tensor, logits: Callable[[Tensor], Tensor]) -> tuple[Tensor, ...]:
        """The change of the logit, and of local maps the way from the baseline."""
        baselines = NumberedPath((), self.baseline).prepare(images)
        exact = accumulation_dtype(images.dtype)  # differences of half precision round
        change = logits(images).to(exact) - logits(baselines)
        return (change, images.to(exact) - baselines) if self.local else (change,)

    def read(self, done: int, sums: Tensor, *facts: Tensor) -> tuple[Tensor, Tensor]:
        """The maps under the last rule, and their relative completeness errors."""
        maps, (change, *way) = sums[:, done - 1], facts
        missing = ((maps * way[0]) if way else maps).flatten(1).sum(1) - change
        return maps, torch.where(missing == 0, 0.0, missing.abs() / change.abs())

    def enough(self, figure: Tensor) -> Tensor:
        """Where the error is small enough."""
        return figure <= self.tolerance
