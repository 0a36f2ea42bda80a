"""Noise samples, added until the mean agrees with itself: how SmoothGrad reaches a ceiling."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from probatum.engine import Expansion
from probatum.engine.ranks import average_ranks

FIRST = 10  # samples before the first look


def parts_of(samples: int) -> list[range]:
    """The samples of each round: 10, then as many again or a quarter of those before, whichever is more."""
    parts, done = list[range](), 0
    while done < samples:
        stop = min(samples, done + max(FIRST, 2 * (done // 8)))
        parts.append(range(done, stop))
        done = stop
    return parts


@dataclass(frozen=True)
class UntilAgreed:
    """A `Refinement` that adds noise samples until the means of the even and of the odd ones agree.

    Args:
        ceiling: the agreement that two means of all samples so far are expected to have, 2r / (1 + r).
        samples: the most, which the weights of the chains are shares of.
        chains: the samples of each round, as `parts_of` cuts them.
    """

    ceiling: float
    samples: int
    chains: tuple[tuple[Expansion, ...], ...]

    @property
    def sums(self) -> int:
        """Two: of the even and of the odd samples."""
        return 2

    def columns(self, sample: Tensor) -> Tensor:
        """One for the half that a sample belongs to."""
        return one_hot(sample % 2, 2)

    def facts(self, images: Tensor, logits: Callable[[Tensor], Tensor]) -> tuple[Tensor, ...]:
        """Nothing."""
        return ()

    def read(self, done: int, sums: Tensor, *facts: Tensor) -> tuple[Tensor, Tensor]:
        """The means, and the agreement that they are expected to have with other means of as many samples."""
        maps = sums.sum(1) * (self.samples / parts_of(self.samples)[done - 1].stop)
        halves = sums.flatten(2).abs()
        alike = rank_correlation(halves[:, 0], halves[:, 1])
        return maps, torch.where(alike > 0, 2 * alike / (1 + alike), alike)

    def enough(self, figure: Tensor) -> Tensor:
        """Where the agreement is high enough."""
        return figure >= self.ceiling


def rank_correlation(a: Tensor, b: Tensor) -> Tensor:
    """Spearman's correlation of rows, (rows, size) each; 1 for two constant rows, 0 where only one is constant."""
    first, second = (_centered(average_ranks(values)) for values in (a, b))
    lengths = first.norm(dim=1) * second.norm(dim=1)
    same = (first == second).all(1).to(lengths)
    return torch.where(lengths > 0, (first * second).sum(1) / lengths, same)


def _centered(ranks: Tensor) -> Tensor:
    return ranks - ranks.mean(1, keepdim=True)
