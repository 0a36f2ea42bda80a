"""Requests of methods to the engine, and the versions of a model that they concern."""

import math
from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from probatum.engine.evaluate import Evaluation, Measurement
from probatum.engine.external import ExternalMaps
from probatum.engine.prepared_model import PreparedModel
from probatum.engine.refinement import Refinement
from probatum.engine.sampling import Expansion, Rows
from probatum.engine.statistics import Accumulator, SampleMoments, SeveralSums, Statistic, WeightedSum
from probatum.engine.targets import TargetsLike


@dataclass(frozen=True)
class Request:
    """A method's request to the engine: a statistic of `value` over the points of a chain of expansions.

    Args:
        value: the map of one point, batched over rows: Evaluation -> (rows, ...).
        measurements: what has to be measured at each point; nothing where the model plays no part.
        chain: expansions of the image into points, outermost first; none is the image itself.
        statistic: over the samples of the outermost expansion; anything but "mean" needs one.
        refinement: adds points round by round until the maps are good enough; `chain` is then that of the first round.
    """

    value: Callable[[Evaluation], Tensor]
    measurements: frozenset[Measurement] = frozenset()
    chain: tuple[Expansion, ...] = ()
    statistic: Statistic = "mean"
    refinement: Refinement | None = None

    @property
    def chains(self) -> tuple[tuple[Expansion, ...], ...]:
        """The chain of each round."""
        return (self.chain,) if self.refinement is None else self.refinement.chains

    @property
    def external(self) -> ExternalMaps | None:
        """The function from outside whose maps are asked for; a request has one at most, and then nothing else."""
        return next((each for each in self.measurements if isinstance(each, ExternalMaps)), None)

    def accumulator(self, batch: int) -> Accumulator:
        """An empty accumulator of the statistic."""
        if self.refinement is not None:
            return SeveralSums(batch, self.refinement.sums)
        if self.statistic == "mean":
            return WeightedSum(batch)
        inner = math.prod(expansion.count for expansion in self.chain[1:])
        return SampleMoments(batch, self.chain[0].count, inner, variance=self.statistic == "variance")

    def weights(self, rows: Rows) -> Tensor:
        """The weights of rows in the accumulator: (rows,), or (rows, sums) where points are added round by round."""
        if self.refinement is None:
            return rows.weights
        return rows.weights[:, None] * self.refinement.columns(rows.sample).to(rows.weights)


@dataclass(frozen=True, eq=False)
class Variant:
    """A version of a model, and what is explained there.

    Args:
        prepared: the prepared model; versions that run together differ in their weights alone.
        targets: class indices (batch,), one index for all images, or None for the classes that this version predicts.
    """

    prepared: PreparedModel
    targets: TargetsLike | None = None
