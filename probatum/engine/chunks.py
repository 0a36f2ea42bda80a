"""Running a stream of points through the versions of a model, chunk by chunk, and summing up what was measured."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import torch
from torch import Tensor

from probatum.engine.budget import Budget
from probatum.engine.completeness import Completeness, Conservation
from probatum.engine.evaluate import (
    ATTENTION,
    LOGIT,
    MULTIPLIERS,
    Evaluation,
    InputGradient,
    Measurement,
    Shared,
    evaluate,
    predict,
)
from probatum.engine.external import ExternalCall, ExternalMaps
from probatum.engine.graphs import LEAST_CALLS, RecordedEvaluation
from probatum.engine.prefix import SharedWeights, StaleTensorError
from probatum.engine.prepared_model import PreparedModel
from probatum.engine.refinement import Effort
from probatum.engine.requests import Request, Variant
from probatum.engine.sampling import PointStream, Rows
from probatum.engine.statistics import Accumulator
from probatum.engine.targets import Targets


@dataclass(eq=False)
class VariantState:
    """Progress of one version of the model: its maps, and the sums of the stream that is being run.

    Args:
        prepared: the version.
        targets: its classes; None until they are predicted.
        batch: number of images.
        maps: the finished maps, by request.
        efforts: what those took that points were added to round by round.
        members: the requests of the current stream.
        accumulators: their sums.
        completeness: how far multipliers are from complete.
        conservation: how far signals under a rule, and constants, are from summing to the logits.
        predicted: the classes predicted in the current stream, where no targets are given.
        alone: whether sharing with other versions was tried and found impossible.
    """

    prepared: PreparedModel
    targets: Targets | None
    batch: int
    maps: dict[str, Tensor] = field(default_factory=dict)
    efforts: dict[str, Effort] = field(default_factory=dict)
    members: Mapping[str, Request] = field(default_factory=dict)
    accumulators: dict[str, Accumulator] = field(default_factory=dict)
    completeness: Completeness = field(default_factory=Completeness)
    conservation: Conservation = field(default_factory=Conservation)
    predicted: list[Tensor] = field(default_factory=list)
    alone: bool = False

    @classmethod
    def of(cls, variant: Variant, images: Tensor) -> "VariantState":
        """Begins with no map."""
        targets = None if variant.targets is None else Targets.of(images, variant.targets)
        return cls(variant.prepared, targets, len(images))

    def begin(self, members: Mapping[str, Request]) -> None:
        """Begins a stream with empty sums."""
        self.members = members
        self.accumulators = {name: request.accumulator(self.batch) for name, request in members.items()}

    def evaluate(
        self,
        rows: Rows,
        measurements: frozenset[Measurement],
        shared: Shared | None = None,
        recorded: RecordedEvaluation | None = None,
    ) -> tuple[Evaluation, Tensor]:
        """Measures this version at some points, sharing what it can; also returns the classes aimed at."""
        targets = None if self.targets is None else self.targets.at(rows.image)
        if recorded is not None:
            results, classes = recorded(rows, targets)
            return Evaluation.of(rows, results), classes
        measure = partial(evaluate, self.prepared, rows.points, targets, measurements, rows.baselines, image=rows.image)
        if shared is not None and not self.alone:
            try:
                results, classes = measure(shared=shared)
                return Evaluation.of(rows, results), classes
            except StaleTensorError:
                self.alone = True
        results, classes = measure()
        return Evaluation.of(rows, results), classes

    def add(self, evaluation: Evaluation, classes: Tensor | None = None) -> None:
        """Adds the maps of some points to the sums."""
        for name, request in self.members.items():
            rows = evaluation.rows
            self.accumulators[name].add(request.value(evaluation), rows.image, request.weights(rows))
        if MULTIPLIERS in evaluation.results:
            _, delta, size = evaluation.results[MULTIPLIERS]
            self.completeness.add(evaluation.rows.image, delta, size)
        for measured, found in evaluation.results.items():
            if isinstance(measured, InputGradient) and len(found) > 1:
                _, delta, size = found
                self.conservation.add(evaluation.rows.image[:1], delta[None], size[None])
        if self.targets is None and classes is not None:
            self.predicted.append(classes)

    def end(self) -> None:
        """Finishes the maps of the current stream, and the targets where they were predicted there."""
        self.maps |= {name: accumulator.result() for name, accumulator in self.accumulators.items()}
        if self.predicted:
            self.targets, self.predicted = Targets(torch.cat(self.predicted)), []


@dataclass(eq=False)
class ChunkedRun:
    """Measures a stream of points chunk by chunk, each chunk for all versions before the next.

    Args:
        points: the stream.
        measurements: what is measured at each point.
        budget: chooses the rows of a chunk.
        tick: called with the number of points that were done.
        recorded: the calls of one version as a CUDA graph, where that is asked for and worth it.
    """

    points: PointStream
    measurements: frozenset[Measurement]
    budget: Budget
    tick: Callable[[int], None]
    recorded: RecordedEvaluation | None = None

    def run(self, states: Sequence[VariantState]) -> None:
        """Adds every point to the sums of every version."""
        weights = self._weights(states)
        # Where versions share, a kept graph and that of one version are held at once.
        prepared = states[0].prepared
        self.kind = (
            prepared.shapes(self.points.images),
            prepared.dtype,
            self.measurements,
            *(["shared"] if weights else []),
        )
        if self.budget.measures(self.kind):
            answer = self._measure_row(states[0], weights)
            if len(self.points) == len(states) == 1:  # there is nothing to cut, so the measured row is the stream
                states[0].add(*answer)
                self.tick(1)
                return
        calls = len(self.points) // self.budget.rows(self.kind)
        if prepared.compute.cuda_graphs and len(states) == 1 and calls >= LEAST_CALLS:
            self.recorded = RecordedEvaluation(prepared, self.measurements)
        self._run_range(states, 0, len(self.points))

    def _measure_row(self, state: VariantState, weights: SharedWeights | None) -> tuple[Evaluation, Tensor]:
        """Evaluates the first point, so that the budget knows what a row needs; refuses a budget that is too small."""
        first = self.points.rows(0, 1)
        shared = Shared(weights, first.points, self.measurements) if weights else None
        work = partial(state.evaluate, first, self.measurements, shared)
        answer = self.budget.measure(self.kind, state.prepared.model, work, graphs=2 if weights else 1)
        self.budget.rows(self.kind)
        return answer

    def _weights(self, states: Sequence[VariantState]) -> SharedWeights | None:
        """The weights that versions have in common; None where there is nothing to share."""
        if len(states) == 1 or not self.measurements - {LOGIT, MULTIPLIERS, ATTENTION}:
            return None
        weights = SharedWeights([state.prepared.model for state in states])
        return weights if weights.any else None

    def _run_range(self, states: Sequence[VariantState], start: int, stop: int) -> None:
        """Runs the points with numbers start, ..., stop − 1."""
        weights = self._weights(states)
        while start < stop and states:
            end = min(start + self.budget.rows(self.kind), stop)
            self._run_chunk(states, weights, start, end)
            start = end

    def _run_chunk(self, states: Sequence[VariantState], weights: SharedWeights | None, start: int, stop: int) -> None:
        """Runs one chunk; where memory runs out, its rest in smaller ones."""
        rows = self.budget.attempt(stop - start, lambda: self.points.rows(start, stop))
        done = 0
        if rows is not None:
            shared = Shared(weights, rows.points, self.measurements) if weights else None
            for number, state in enumerate(states):
                common = shared.variant(number) if shared else None
                work = partial(state.evaluate, rows, self.measurements, common, self.recorded)
                answer = self.budget.attempt(stop - start, work)
                if answer is None:
                    break
                state.add(*answer)
                self.tick(stop - start)
                done += 1
            del shared, common
        if done < len(states):  # memory ran out: what is left of the chunk is cut into smaller ones
            del rows
            self._run_range(states[done:], start, stop)


def run_without_model(points: PointStream, states: Sequence[VariantState]) -> None:
    """Runs a stream that calls no model: once, because all versions have equal maps there."""
    step = len(points.images)
    for start in range(0, len(points), step):
        states[0].add(Evaluation.of(points.rows(start, start + step), {}))
    states[0].end()
    for state in states[1:]:
        state.maps |= {name: states[0].maps[name].clone() for name in state.members}


def run_external(
    points: PointStream, external: ExternalMaps, states: Sequence[VariantState], tick: Callable[[int], None]
) -> None:
    """Runs a stream whose maps a function from outside makes, version by version.

    Maps that the function failed to make are NaN, of the shape of its other maps, or of one channel where it made none.
    """
    shape = points.images.shape[1:]
    usual = torch.Size((1, *shape[1:])) if len(shape) > 1 else shape
    failed: list[tuple[VariantState, Rows]] = []
    for state in states:
        assert state.targets is not None, "the classes of the images were predicted before"
        call, first = ExternalCall(external, state.prepared), points.rows(0, 1)
        state.targets.require(predict(state.prepared, first.points, first.image).shape[1])
        for start in range(0, len(points), call.rows):
            rows = points.rows(start, start + call.rows)
            maps = call(rows, state.targets.at(rows.image).classes)
            if maps is None:
                failed.append((state, rows))
            else:
                usual = maps.shape[1:]
                state.add(Evaluation.of(rows, {external: (maps,)}))
            tick(len(rows.image))
    for state, rows in failed:
        nothing = rows.points.new_full((len(rows.image), *usual), torch.nan)
        state.add(Evaluation.of(rows, {external: (nothing,)}))
    for state in states:
        state.end()
