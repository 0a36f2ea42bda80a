"""The plan: requests of several methods merged into as few model calls as they need, streamed in chunks."""

import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor

from probatum.engine.budget import Budget
from probatum.engine.evaluate import LOGIT, MULTIPLIERS, PLAIN, Evaluation, Measurement, Shared, evaluate, predict
from probatum.engine.independence import require_independent_rows
from probatum.engine.multipliers import Completeness
from probatum.engine.noise import image_keys
from probatum.engine.precision import computing, cudnn_off_for_recurrent
from probatum.engine.prefix import SharedWeights, StaleTensorError
from probatum.engine.prepared_model import PreparedModel, first_not_finite
from probatum.engine.sampling import Expansion, PointStream, Rows
from probatum.engine.statistics import Accumulator, SampleMoments, Statistic, WeightedSum
from probatum.engine.targets import Targets, TargetsLike
from probatum.errors import ModelError

Tick = Callable[[int, int], None]
"""Called with (points done, points in all)."""


@dataclass(frozen=True)
class Request:
    """What a method wants of the engine: a statistic of `value` over the points of a chain of expansions.

    Args:
        value: the map of one point, batched over rows: Evaluation -> (rows, ...).
        measurements: what has to be measured at each point; nothing where the model plays no part.
        chain: expansions of the image into points, outermost first; none is the image itself.
        statistic: over the samples of the outermost expansion; anything but "mean" needs one.
    """

    value: Callable[[Evaluation], Tensor]
    measurements: frozenset[Measurement] = frozenset()
    chain: tuple[Expansion, ...] = ()
    statistic: Statistic = "mean"

    def accumulator(self, batch: int) -> Accumulator:
        """An empty accumulator of the statistic."""
        if self.statistic == "mean":
            return WeightedSum(batch)
        inner = math.prod(expansion.count for expansion in self.chain[1:])
        return SampleMoments(batch, self.chain[0].count, inner, variance=self.statistic == "variance")


@dataclass(frozen=True, eq=False)
class Variant:
    """A version of a model, and what is explained there.

    Args:
        prepared: the prepared model; versions that run together differ in their weights alone.
        targets: class indices (batch,), one index for all images, or None for the classes that this version predicts.
    """

    prepared: PreparedModel
    targets: TargetsLike | None = None


def run(
    prepared: PreparedModel,
    images: Tensor,
    targets: TargetsLike | None,
    requests: Mapping[str, Request],
    *,
    seed: int = 0,
    memory_budget: int | str | None = None,
    chunk: int | None = None,
    progress: Tick | None = None,
) -> dict[str, Tensor]:
    """Answers all requests for a batch of images: `run_variants` of one version of the model."""
    variants = [Variant(prepared, targets)]
    return run_variants(
        variants, images, requests, seed=seed, memory_budget=memory_budget, chunk=chunk, progress=progress
    )[0]


def run_variants(
    variants: Sequence[Variant],
    images: Tensor,
    requests: Mapping[str, Request],
    *,
    seed: int = 0,
    memory_budget: int | str | None = None,
    chunk: int | None = None,
    finite: bool = True,
    progress: Tick | None = None,
) -> list[dict[str, Tensor]]:
    """Answers all requests for a batch of images and several versions of a model.

    Requests with equal chains are evaluated at the same points: one forward pass there serves all of them, and what two
    of them need is computed once. The points of a chunk are made once for all versions, and so is what versions compute
    alike before the first layer that differs: give those first that differ from the others near the output alone.

    Args:
        variants: the versions, at least one.
        images: as `view.accept` returns them.
        requests: by name; they hold for all versions.
        seed: of the noise streams.
        memory_budget: bytes or a text such as "2 GiB"; None is the device's default.
        chunk: most points in one model call; alone, it replaces the budget.
        finite: whether maps with NaN or infinite values are refused; else they are returned as they are.
        progress: called with (points done, points in all) after each model call.

    Returns:
        for each variant a map for each request: (batch, ...).

    Raises:
        InvalidInput: images or targets are not usable.
        ModelError: the model cannot answer, a map has NaN or infinite values, or multipliers are not complete.
        MemoryBudgetError: one row does not fit.
    """
    prepared = variants[0].prepared
    with (
        computing(prepared.device, prepared.precision),
        cudnn_off_for_recurrent(prepared.model, prepared.device),
        _checkpointing_named(prepared),
    ):
        works = [_VariantState.of(variant, images) for variant in variants]
        if any(request.measurements for request in requests.values()):
            require_independent_rows(prepared, images, alone=chunk == 1)
        budget = Budget.of(images, memory_budget, chunk, prepared.row_bytes)
        groups: dict[tuple[Expansion, ...], dict[str, Request]] = defaultdict(dict)
        for name, request in requests.items():
            groups[request.chain][name] = request
        # The images themselves come first: their forward pass finds the classes that the other groups aim at.
        ordered = sorted(groups.items(), key=lambda item: len(item[0]) > 0)
        # Only what expands an image has noise, and hashing takes as long as a layer.
        keys = image_keys(images, seed) if any(groups) else images.new_zeros(len(images), dtype=torch.int64)
        streams = [(PointStream.of(images, keys, chain), members) for chain, members in ordered]
        total, done = sum(len(stream) for stream, _ in streams) * len(works), 0

        def tick(points: int) -> None:
            nonlocal done
            done += points
            if progress is not None:
                progress(done, total)

        for stream, members in streams:
            measurements = frozenset[Measurement]().union(*(request.measurements for request in members.values()))
            for work in works:
                if work.targets is None and measurements and stream.chain:
                    work.targets = Targets(_all_logits(work.prepared, images, budget).argmax(1))
                work.begin(members)
            if measurements:
                _ChunkedRun(stream, measurements, budget, tick).run(works)
                for work in works:
                    work.end()
            else:
                _without_model(stream, works)
                tick(len(stream) * len(works))
        for work in works:
            if finite:
                for name, result in work.maps.items():
                    _require_finite(work, images, name, result)
            work.completeness.require(work.prepared, finite=finite)
    return [{name: work.maps[name] for name in requests} for work in works]


def all_logits(
    prepared: PreparedModel,
    images: Tensor,
    *,
    memory_budget: int | str | None = None,
    chunk: int | None = None,
) -> Float[Tensor, "batch classes"]:
    """Returns the logits of all images, without gradients and in chunks under the budget."""
    with computing(prepared.device, prepared.precision):
        images = prepared.accept(images)
        require_independent_rows(prepared, images, alone=chunk == 1)
        return _all_logits(prepared, images, Budget.of(images, memory_budget, chunk, prepared.row_bytes))


@contextmanager
def _checkpointing_named(prepared: PreparedModel) -> Iterator[None]:
    """Says what to do where a model checkpoints in the way that forbids `torch.autograd.grad`."""
    try:
        yield
    except RuntimeError as error:
        if "heckpoint" not in str(error) or ".grad()" not in str(error):
            raise
        raise ModelError(
            f"{prepared.name} uses reentrant checkpointing, through which torch gives no gradients of inputs; "
            "call checkpoint(..., use_reentrant=False), or switch checkpointing off"
        ) from error


@dataclass(eq=False)
class _VariantState:
    """What one variant gathers: the maps, and the accumulators of the stream in work."""

    prepared: PreparedModel
    targets: Targets | None
    batch: int
    maps: dict[str, Tensor] = field(default_factory=dict)
    members: Mapping[str, Request] = field(default_factory=dict)
    accumulators: dict[str, Accumulator] = field(default_factory=dict)
    completeness: Completeness = field(default_factory=Completeness)
    found: list[Tensor] = field(default_factory=list)  # the predicted classes, where no targets are given
    alone: bool = False  # whether sharing was tried and found impossible

    @classmethod
    def of(cls, variant: Variant, images: Tensor) -> "_VariantState":
        targets = None if variant.targets is None else Targets.of(images, variant.targets)
        return cls(variant.prepared, targets, len(images))

    def begin(self, members: Mapping[str, Request]) -> None:
        self.members = members
        self.accumulators = {name: request.accumulator(self.batch) for name, request in members.items()}

    def evaluate(
        self, rows: Rows, measurements: frozenset[Measurement], shared: Shared | None = None
    ) -> tuple[Evaluation, Tensor]:
        targets = None if self.targets is None else self.targets.at(rows.image)
        measure = partial(evaluate, self.prepared, rows.points, targets, measurements, rows.baselines)
        if shared is not None and not self.alone:
            try:
                results, classes = measure(shared)
                return Evaluation.of(rows, results), classes
            except StaleTensorError:
                self.alone = True
        results, classes = measure()
        return Evaluation.of(rows, results), classes

    def add(self, evaluation: Evaluation, classes: Tensor | None = None) -> None:
        for name, request in self.members.items():
            self.accumulators[name].add(request.value(evaluation), evaluation.rows.image, evaluation.rows.weights)
        if MULTIPLIERS in evaluation.results:
            _, delta, size = evaluation.results[MULTIPLIERS]
            self.completeness.add(evaluation.rows.image, delta, size)
        if self.targets is None and classes is not None:
            self.found.append(classes)

    def end(self) -> None:
        self.maps |= {name: accumulator.result() for name, accumulator in self.accumulators.items()}
        if self.found:
            self.targets, self.found = Targets(torch.cat(self.found)), []


@dataclass(eq=False)
class _ChunkedRun:
    """The chunks of a stream, each for all variants before the next."""

    points: PointStream
    measurements: frozenset[Measurement]
    budget: Budget
    tick: Callable[[int], None]

    def run(self, works: Sequence[_VariantState]) -> None:
        prepared = works[0].prepared
        weights = self._weights(works)
        # Where variants share, a kept graph and that of one variant are held at once.
        self.kind = (self.points.images.shape[1:], prepared.dtype, self.measurements, *(["shared"] if weights else []))
        if self.budget.measures(self.kind):
            first = self.points.rows(0, 1)
            work = partial(
                works[0].evaluate,
                first,
                self.measurements,
                Shared(weights, first.points, self.measurements) if weights else None,
            )
            answer = self.budget.measure(self.kind, prepared.model, work, graphs=2 if weights else 1)
            del work
            self.budget.rows(self.kind)  # refuses a budget that is too small for what was just seen
            if len(self.points) == len(works) == 1:  # there is nothing to cut, so the measured row is the stream
                works[0].add(*answer)
                self.tick(1)
                return
        self._run_range(works, 0, len(self.points))

    def _weights(self, works: Sequence[_VariantState]) -> SharedWeights | None:
        if len(works) == 1 or not self.measurements - {LOGIT, MULTIPLIERS}:
            return None
        weights = SharedWeights([work.prepared.model for work in works])
        return weights if weights.any else None

    def _run_range(self, works: Sequence[_VariantState], start: int, stop: int) -> None:
        weights = self._weights(works)
        while start < stop and works:
            end = min(start + self.budget.rows(self.kind), stop)
            self._run_chunk(works, weights, start, end)
            start = end

    def _run_chunk(self, works: Sequence[_VariantState], weights: SharedWeights | None, start: int, stop: int) -> None:
        rows = self.budget.attempt(stop - start, lambda: self.points.rows(start, stop))
        done = 0
        if rows is not None:
            shared = Shared(weights, rows.points, self.measurements) if weights else None
            for number, work in enumerate(works):
                common = shared.variant(number) if shared else None
                answer = self.budget.attempt(stop - start, partial(work.evaluate, rows, self.measurements, common))
                if answer is None:
                    break
                work.add(*answer)
                self.tick(stop - start)
                done += 1
            del shared, common
        if done < len(works):  # memory ran out: what is left of the chunk is cut into smaller ones
            del rows
            self._run_range(works[done:], start, stop)


def _without_model(stream: PointStream, works: Sequence[_VariantState]) -> None:
    """Runs a stream that calls no model: once, for all variants have the same maps there."""
    step = len(stream.images)
    for start in range(0, len(stream), step):
        works[0].add(Evaluation.of(stream.rows(start, start + step), {}))
    works[0].end()
    for work in works[1:]:
        work.maps |= {name: works[0].maps[name].clone() for name in work.members}


def _all_logits(prepared: PreparedModel, images: Tensor, budget: Budget) -> Tensor:
    kind = (images.shape[1:], prepared.dtype, "logits")
    if budget.measures(kind):
        # Measured with a graph although none is kept afterwards: a bound that holds, if a generous one.
        budget.measure(kind, prepared.model, partial(predict, prepared, images[:1], with_graph=True))
    logits: list[Tensor] = []
    start = 0
    while start < len(images):
        rows = images[start : start + budget.rows(kind)]
        answer = budget.attempt(len(rows), partial(predict, prepared, rows))
        if answer is not None:
            logits.append(answer)
            start += len(rows)
    return torch.cat(logits)


def _require_finite(work: _VariantState, images: Tensor, name: str, maps: Tensor) -> None:
    bad = first_not_finite(maps)
    if bad is not None:
        cause = _not_finite_cause(work, images, bad)
        raise ModelError(f"the {name} map of image {bad} has NaN or infinite values: {cause}")


def _not_finite_cause(work: _VariantState, images: Tensor, number: int) -> str:
    """Says what is not finite at an image itself, by evaluating it once more."""
    prepared, image = work.prepared, images[number : number + 1]
    narrow = torch.finfo(prepared.dtype).bits < 32
    largest = f"; {prepared.dtype} ends at {torch.finfo(prepared.dtype).max:.3g}: compute with precision='float32'"
    way_out = largest if narrow else ""
    if not bool(predict(prepared, image).isfinite().all()):
        return f"the logits of {prepared.name} are not finite there{way_out}"
    targets = None if work.targets is None else work.targets.at(torch.tensor([number], device=image.device))
    (gradient,) = evaluate(prepared, image, targets, frozenset({PLAIN}))[0][PLAIN]
    if not bool(gradient.isfinite().all()):
        return f"the gradients of {prepared.name} are not finite there{way_out}"
    return (
        f"the gradient of {prepared.name} at the image is finite, but a gradient at another point of the method, "
        f"or a product or sum, is not{way_out}"
    )
