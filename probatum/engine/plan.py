"""The plan: requests of several methods merged into as few model calls as they need, streamed in chunks."""

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from probatum.engine.budget import Budget, measure_saved
from probatum.engine.evaluate import Evaluation, Need, check_targets, evaluate, predict
from probatum.engine.noise import image_keys
from probatum.engine.precision import computing
from probatum.engine.sampling import PointStream, Rows
from probatum.engine.statistics import Accumulator, SampleMoments, Statistic, WeightedSum
from probatum.engine.view import View
from probatum.errors import InvalidInput, ModelError

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Request:
    """What a method wants of the engine: a statistic of `value` over the points of a chain of expansions.

    Args:
        value: the map of one point, batched over rows: Evaluation -> (rows, ...).
        needs: what has to be measured at each point; nothing where the model plays no part.
        chain: expansions of the image into points, outermost first; none is the image itself.
        statistic: over the samples of the outermost expansion; anything but "mean" needs one.
    """

    value: Callable[[Evaluation], Tensor]
    needs: frozenset[Need] = frozenset()
    chain: tuple[Any, ...] = ()
    statistic: Statistic = "mean"

    def accumulator(self, batch: int) -> Accumulator:
        """An empty accumulator of the statistic."""
        if self.statistic == "mean":
            return WeightedSum(batch)
        inner = 1
        for expansion in self.chain[1:]:
            inner *= expansion.count
        return SampleMoments(batch, self.chain[0].count, inner, variance=self.statistic == "variance")


def run(
    view: View,
    images: Float[Tensor, "batch *shape"],
    targets: Tensor | int | None,
    requests: Mapping[str, Request],
    *,
    seed: int = 0,
    memory_budget: int | str | None = None,
    chunk: int | None = None,
    progress: Progress | None = None,
) -> dict[str, Tensor]:
    """Answers all requests for a batch of images.

    Requests with equal chains are evaluated at the same points: one forward pass there serves all of them, and what two
    of them need is computed once.

    Args:
        view: the prepared model.
        images: finite, floating point, on the view's device.
        targets: class indices (batch,), one index for all, or None for the predicted classes.
        requests: by name.
        seed: of the noise streams.
        memory_budget: bytes or a text such as "2 GiB"; None is the device's default.
        chunk: most points in one model call; alone, it replaces the budget.
        progress: called with (points done, points in all) after each chunk.

    Returns:
        a map for each request: (batch, ...).

    Raises:
        InvalidInput: images or targets are not usable.
        ModelError: the model cannot answer, or a map has NaN or infinite values.
        MemoryBudgetError: one row does not fit.
    """
    images = view.accept(images)
    targets = _accept_targets(images, targets)
    budget = Budget.of(view.device, memory_budget, chunk, view.row_bytes)
    groups: dict[tuple[Any, ...], dict[str, Request]] = defaultdict(dict)
    for name, request in requests.items():
        groups[request.chain][name] = request
    # The images themselves come first: their forward pass finds the predicted classes that the other groups aim at.
    ordered = sorted(groups.items(), key=lambda item: len(item[0]) > 0)
    keys = image_keys(images, seed)
    streams = [(PointStream.of(images, keys, chain), members) for chain, members in ordered]
    total, done = sum(len(stream) for stream, _ in streams), 0
    maps: dict[str, Tensor] = {}
    with computing(view.device):
        for stream, members in streams:
            needs = frozenset[Need]().union(*(request.needs for request in members.values()))
            if targets is None and needs and stream.chain:
                targets = _predicted(view, images, budget)
            accumulators = {name: request.accumulator(len(images)) for name, request in members.items()}
            found: list[Tensor] = []
            kind = (images.shape[1:], view.dtype, needs)
            start = 0
            while start < len(stream):
                rows = stream.rows(start, start + (budget.rows(kind) if needs else len(images)))
                aimed = targets[rows.image] if targets is not None else None
                measured = _chunk(view, rows, aimed, needs, budget, kind)
                if measured is None:
                    continue
                evaluation, aimed = measured
                found.append(aimed)
                for name, request in members.items():
                    accumulators[name].add(request.value(evaluation), rows.image, rows.weights)
                start += len(rows.image)
                done += len(rows.image)
                if progress is not None:
                    progress(done, total)
            if targets is None and needs:
                targets = torch.cat(found)
            maps |= {name: accumulator.result() for name, accumulator in accumulators.items()}
    for name, result in maps.items():
        _require_finite(view, name, result)
    return {name: maps[name] for name in requests}


def predicted_classes(
    view: View,
    images: Float[Tensor, "batch *shape"],
    *,
    memory_budget: int | str | None = None,
    chunk: int | None = None,
) -> tuple[Int64[Tensor, " batch"], Float[Tensor, " batch"]]:
    """Returns each image's predicted class and its softmax probability."""
    images = view.accept(images)
    budget = Budget.of(view.device, memory_budget, chunk, view.row_bytes)
    with computing(view.device):
        probabilities = _all_logits(view, images, budget).softmax(1)
    confidence, classes = probabilities.max(1)
    return classes, confidence


def _chunk(
    view: View, rows: Rows, targets: Tensor | None, needs: frozenset[Need], budget: Budget, kind: object
) -> tuple[Evaluation, Tensor] | None:
    """Evaluates a chunk, and measures it where the budget asks; None where memory ran out and fewer rows are to come."""
    if not needs:
        return Evaluation(rows, {}), rows.image

    def work() -> tuple[Evaluation, Tensor]:
        if budget.measures(kind):
            with measure_saved(view.model) as saved:
                results, found = evaluate(view, rows.points, targets, needs)
            budget.row_bytes[kind] = -(-saved.needed // len(rows.image))
            budget.rows(kind)  # refuses a budget that is too small for what was just seen
        else:
            results, found = evaluate(view, rows.points, targets, needs)
        return Evaluation(rows, results), found

    return budget.attempt(kind, len(rows.image), work)


def _all_logits(view: View, images: Tensor, budget: Budget) -> Tensor:
    logits, start = [], 0
    kind = (images.shape[1:], view.dtype, "logits")
    budget.row_bytes.setdefault(kind, 1)
    while start < len(images):
        # Without a graph a row needs far less than the gradient's rows, whose number is the bound that is known to hold.
        rows = images[start : start + max(1, min(budget.rows(kind), 64))]
        result = budget.attempt(kind, len(rows), lambda rows=rows: predict(view, rows))
        if result is not None:
            logits.append(result)
            start += len(rows)
    return torch.cat(logits)


def _predicted(view: View, images: Tensor, budget: Budget) -> Tensor:
    return check_targets(_all_logits(view, images, budget), None)


def _accept_targets(images: Tensor, targets: Tensor | int | None) -> Tensor | None:
    if targets is None:
        return None
    if isinstance(targets, int):
        return torch.full((len(images),), targets, device=images.device)
    if targets.dtype not in (torch.int64, torch.int32, torch.int16, torch.uint8) or targets.shape != (len(images),):
        raise InvalidInput(
            f"targets must be {len(images)} class indices (batch,), got {targets.dtype} of shape {tuple(targets.shape)}"
        )
    return targets.to(images.device, torch.int64)


def _require_finite(view: View, name: str, maps: Tensor) -> None:
    bad = (~torch.isfinite(maps)).flatten(1).any(1)
    if bool(bad.any()):
        raise ModelError(
            f"the {name} map of image {int(bad.nonzero()[0])} has NaN or infinite values: "
            f"the gradients of {view.name} are not finite there"
        )
