"""The plan: requests of several methods merged into as few model calls as they need, streamed in chunks."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor

from probatum.engine.budget import Budget
from probatum.engine.chunks import ChunkedRun, VariantState, run_external, run_without_model
from probatum.engine.evaluate import PLAIN, Measurement, evaluate, predict
from probatum.engine.external import ExternalMaps
from probatum.engine.independence import require_independent_rows
from probatum.engine.logits import logits_within
from probatum.engine.noise import image_keys
from probatum.engine.precision import computing, cudnn_off_for_recurrent
from probatum.engine.prepared_model import PreparedModel, first_not_finite
from probatum.engine.refined import RefinedRun
from probatum.engine.refinement import Maps
from probatum.engine.requests import Request, Variant
from probatum.engine.sampling import Expansion, PointStream
from probatum.engine.targets import Targets, TargetsLike
from probatum.errors import ModelError

Tick = Callable[[int, int], None]
"""Called with (points done, points in all)."""

_Group = tuple[tuple[tuple[Expansion, ...], ...], ExternalMaps | None, bool]
_AT_THE_IMAGES: _Group = (((),), None, False)


def run(
    prepared: PreparedModel,
    images: Tensor,
    targets: TargetsLike | None,
    requests: Mapping[str, Request],
    *,
    seed: int = 0,
    progress: Tick | None = None,
) -> Maps:
    """Answers all requests for a batch of images: `run_variants` of one version of the model."""
    return run_variants([Variant(prepared, targets)], images, requests, seed=seed, progress=progress)[0]


def run_variants(
    variants: Sequence[Variant],
    images: Tensor,
    requests: Mapping[str, Request],
    *,
    seed: int = 0,
    finite: bool = True,
    progress: Tick | None = None,
) -> list[Maps]:
    """Answers all requests for a batch of images and several versions of a model.

    Requests with equal chains are evaluated at the same points: one forward pass there serves all of them, and what two
    of them need is computed once. The points of a chunk are made once for all versions, and so is what versions compute
    alike before the first layer that differs: give those first that differ from the others near the output alone.

    Args:
        variants: the versions, at least one; the first one's memory budget and chunk hold for all.
        images: as `prepared.accept` returns them.
        requests: by name; they hold for all versions.
        seed: of the noise streams.
        finite: whether maps with NaN or infinite values are refused; else they are returned as they are.
        progress: called with (points done, points in all) after each model call.

    Returns:
        for each variant a map for each request, (batch, ...), and the efforts of those that add points.

    Raises:
        InvalidInput: images or targets are not usable.
        ModelError: the model cannot answer, a map has NaN or infinite values, or multipliers are not complete.
        MemoryBudgetError: one row does not fit.
    """
    prepared = variants[0].prepared
    with (
        computing(prepared.device, prepared.compute.precision),
        cudnn_off_for_recurrent(prepared.model, prepared.device),
        _checkpointing_named(prepared),
    ):
        prepared.require_extra(images)
        states = [VariantState.of(variant, images) for variant in variants]
        if any(request.measurements for request in requests.values()):
            require_independent_rows(prepared, images, alone=prepared.compute.chunk == 1)
        budget = Budget.of(images, prepared.compute, prepared.row_bytes)
        streams = _streams(images, requests, seed)
        tick = _counter(progress, len(states) * sum(len(points) for rounds, _ in streams for points in rounds))
        for rounds, members in streams:
            points = rounds[0]
            for state in states:
                state.begin(members)
            measurements = frozenset[Measurement]().union(*(request.measurements for request in members.values()))
            if not measurements:
                run_without_model(points, states)
                tick(len(states) * len(points))
                continue
            external = next(iter(members.values())).external
            if points.chain or external:
                _predict_targets(states, images, budget)
            if external:
                run_external(points, external, states, tick)
                continue
            if any(request.refinement for request in members.values()):
                refined = RefinedRun(rounds, members, measurements, budget, tick)
                for state in states:
                    refined.run(state)
                continue
            ChunkedRun(points, measurements, budget, tick).run(states)
            for state in states:
                state.end()
        for state in states:
            if finite:
                for name, maps in state.maps.items():
                    _require_finite(state, images, name, maps, requests[name].external)
            state.completeness.require(state.prepared, finite=finite)
            state.conservation.require(state.prepared, finite=finite)
    return [Maps({name: state.maps[name] for name in requests}, state.efforts) for state in states]


def _streams(
    images: Tensor, requests: Mapping[str, Request], seed: int
) -> list[tuple[tuple[PointStream, ...], Mapping[str, Request]]]:
    """The points to look at, round by round, with the requests that are answered there: those of equal chains together.

    A function from outside gets its points apart.
    """
    groups: dict[_Group, dict[str, Request]] = defaultdict(dict)
    for name, request in requests.items():
        groups[request.chains, request.external, request.refinement is not None][name] = request
    # The images themselves come first: their forward pass finds the classes that the other groups aim at.
    ordered = sorted(groups.items(), key=lambda item: item[0] != _AT_THE_IMAGES)
    # Only what expands an image and what comes from outside has noise, and hashing takes as long as a layer.
    hashed = any(key != _AT_THE_IMAGES for key in groups)
    keys = image_keys(images, seed) if hashed else images.new_zeros(len(images), dtype=torch.int64)
    return [
        (tuple(PointStream.of(images, keys, chain) for chain in chains), members) for (chains, *_), members in ordered
    ]


def _counter(progress: Tick | None, total: int) -> Callable[[int], None]:
    """Adds up the points that are done and reports them."""
    done = 0

    def tick(points: int) -> None:
        nonlocal done
        done += points
        if progress is not None:
            progress(done, total)

    return tick


def _predict_targets(states: Sequence[VariantState], images: Tensor, budget: Budget) -> None:
    """Finds the classes of the images themselves, for versions that have none yet."""
    for state in states:
        if state.targets is None:
            state.targets = Targets(logits_within(state.prepared, images, budget).argmax(1))


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


def _require_finite(
    state: VariantState, images: Tensor, name: str, maps: Tensor, external: ExternalMaps | None
) -> None:
    bad = first_not_finite(maps)
    if bad is not None:
        own = f"{external.title} returns them" if external else None
        cause = own or _not_finite_cause(state, images, bad)
        raise ModelError(f"the {name} map of image {bad} has NaN or infinite values: {cause}")


def _not_finite_cause(state: VariantState, images: Tensor, number: int) -> str:
    """Says what is not finite at an image itself, by evaluating it once more."""
    prepared, image = state.prepared.of_images(slice(number, number + 1)), images[number : number + 1]
    narrow = torch.finfo(prepared.dtype).bits < 32
    largest = f"; {prepared.dtype} ends at {torch.finfo(prepared.dtype).max:.3g}: compute with precision='float32'"
    way_out = largest if narrow else ""
    if not bool(predict(prepared, image).isfinite().all()):
        return f"the logits of {prepared.name} are not finite there{way_out}"
    targets = None if state.targets is None else state.targets.at(torch.tensor([number], device=image.device))
    (gradient,) = evaluate(prepared, image, targets, frozenset({PLAIN}))[0][PLAIN]
    if not bool(gradient.isfinite().all()):
        return f"the gradients of {prepared.name} are not finite there{way_out}"
    return (
        f"the gradient of {prepared.name} at the image is finite, but a gradient at another point of the method, "
        f"or a product or sum, is not{way_out}"
    )
