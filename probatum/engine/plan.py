"""The plan: requests of several methods merged into as few model calls as they need, streamed in chunks."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor

from probatum.engine.budget import Budget
from probatum.engine.evaluate import Evaluation, Need, evaluate, predict
from probatum.engine.noise import image_keys
from probatum.engine.precision import computing
from probatum.engine.sampling import Expansion, PointStream, Rows
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
    chain: tuple[Expansion, ...] = ()
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
    images: Tensor,
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
        images: as `view.accept` returns them.
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
    with computing(view.device):
        targets = _accept_targets(images, targets)
        budget = Budget.of(images, memory_budget, chunk, view.row_bytes)
        groups: dict[tuple[Expansion, ...], dict[str, Request]] = defaultdict(dict)
        for name, request in requests.items():
            groups[request.chain][name] = request
        # The images themselves come first: their forward pass finds the classes that the other groups aim at.
        ordered = sorted(groups.items(), key=lambda item: len(item[0]) > 0)
        keys = image_keys(images, seed)
        streams = [(PointStream.of(images, keys, chain), members) for chain, members in ordered]
        total, done = sum(len(stream) for stream, _ in streams), 0
        maps: dict[str, Tensor] = {}
        for stream, members in streams:
            needs = frozenset[Need]().union(*(request.needs for request in members.values()))
            if targets is None and needs and stream.chain:
                targets = _all_logits(view, images, budget).argmax(1)
            accumulators = {name: request.accumulator(len(images)) for name, request in members.items()}
            found: list[Tensor] = []
            for rows, evaluation, aimed in _chunks(view, stream, targets, needs, budget):
                found.append(aimed)
                for name, request in members.items():
                    accumulators[name].add(request.value(evaluation), rows.image, rows.weights)
                done += len(rows.image)
                if progress is not None:
                    progress(done, total)
            if targets is None and needs:
                targets = torch.cat(found)
            maps |= {name: accumulator.result() for name, accumulator in accumulators.items()}
        for name, result in maps.items():
            _require_finite(view, name, result)
    return {name: maps[name] for name in requests}


def all_logits(
    view: View,
    images: Tensor,
    *,
    memory_budget: int | str | None = None,
    chunk: int | None = None,
) -> Float[Tensor, "batch classes"]:
    """Returns the logits of all images, without gradients and in chunks under the budget."""
    with computing(view.device):
        images = view.accept(images)
        return _all_logits(view, images, Budget.of(images, memory_budget, chunk, view.row_bytes))


def _chunks(
    view: View, stream: PointStream, targets: Tensor | None, needs: frozenset[Need], budget: Budget
) -> Iterator[tuple[Rows, Evaluation, Tensor]]:
    """Evaluates a stream chunk by chunk: the points, what was measured there, and the targets aimed at."""
    kind = (stream.images.shape[1:], view.dtype, needs)
    start = 0
    while start < len(stream):
        if not needs:  # no model call, no memory to speak of
            rows = stream.rows(start, start + len(stream.images))
            yield rows, Evaluation(rows, {}), rows.image
            start += len(rows.image)
            continue
        stop = min(start + budget.rows(kind), len(stream))
        answer = budget.attempt(
            kind, view.model, stop - start, partial(_chunk, view, stream, start, stop, targets, needs)
        )
        if answer is not None:
            yield answer
            start = stop


def _chunk(
    view: View, stream: PointStream, start: int, stop: int, targets: Tensor | None, needs: frozenset[Need]
) -> tuple[Rows, Evaluation, Tensor]:
    rows = stream.rows(start, stop)
    results, aimed = evaluate(view, rows.points, None if targets is None else targets[rows.image], needs)
    return rows, Evaluation(rows, results), aimed


def _all_logits(view: View, images: Tensor, budget: Budget) -> Tensor:
    # Measured with a graph although none is kept afterwards: a bound that holds, if a generous one.
    kind = (images.shape[1:], view.dtype, "logits")
    logits: list[Tensor] = []
    start = 0
    while start < len(images):
        rows = images[start : start + budget.rows(kind)]
        answer = budget.attempt(
            kind, view.model, len(rows), partial(predict, view, rows, with_graph=budget.measures(kind))
        )
        if answer is not None:
            logits.append(answer)
            start += len(rows)
    return torch.cat(logits)


def _accept_targets(images: Tensor, targets: Tensor | int | None) -> Tensor | None:
    if targets is None:
        return None
    if isinstance(targets, int):
        return torch.full((len(images),), targets, device=images.device)
    if not isinstance(targets, Tensor):
        raise InvalidInput(f"targets are a {type(targets).__name__}; give class indices (batch,) or one int")
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
