"""Maps batch by batch, for more images than fit in memory."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from jaxtyping import Float, Int64
from torch import Tensor, nn

from probatum.attributions.base import MethodsLike, attribute_variants, named_methods, warn_of_efforts
from probatum.engine import Compute, Maps, Output, PreparedModel, Targets, Variant, all_logits, prepare_with
from probatum.errors import InvalidInput, ProbatumError


@dataclass(frozen=True, eq=False)
class MapBatch:
    """The maps of one batch.

    Args:
        number: of the batch, from 0.
        first: the number of its first image among all.
        images: (batch, ...), on the model's device.
        targets: (batch,) the classes that are explained.
        maps: by method with their `efforts`, as `attribute` returns them.
    """

    number: int
    first: int
    images: Float[Tensor, "batch *shape"] = field(repr=False)
    targets: Int64[Tensor, " batch"] = field(repr=False)
    maps: Maps = field(repr=False)


def attribute_stream(
    model: nn.Module | PreparedModel,
    batches: Iterable[Any],
    targets: int | Literal["predicted"] | None = None,
    methods: MethodsLike = (),
    *,
    seed: int = 0,
    memory_budget: int | str | None = None,
    chunk: int | None = None,
    precision: str | None = None,
    channels_last: bool = False,
    fold_batch_norm: bool = False,
    output: Output | None = None,
) -> Iterator[MapBatch]:
    """Computes the maps of a `DataLoader`, or of any iterable of batches, one batch at a time.

    The maps equal those of `attribute` on all images at once, up to rounding, however the images are cut into batches.
    A batch is taken when its maps are asked for, and nothing of it is kept afterwards. The model is prepared once; its
    weights must not change meanwhile.

        for batch in attribute_stream(model, DataLoader(dataset, 64, pin_memory=True), methods=[Gradient()]):
            save(batch.first, batch.maps["Gradient"].cpu())

    Args:
        model: as in `attribute`, like all that is not described here.
        batches: of images (batch, ...), or of pairs (images, class indices). They are brought to the model's device,
            from pinned memory without waiting.
        targets: one class index for all images; "predicted"; or None for the classes that a pair gives, and the
            predicted ones where a batch is images alone. Classes are predicted by one more forward pass.
        methods: by name, or a plain sequence of methods or of names of the table.
        seed: of the noise.
        memory_budget: of one model call.
        chunk: most points in one model call.
        precision: of the computation.
        channels_last: the layout of images and activations.
        fold_batch_norm: compute each convolution and the batch norm that follows it as one; the first batch shows
            which belong together.
        output: where the logits are in what the model returns.

    Returns:
        an iterator over the batches, in their order.

    Raises:
        InvalidInput, ModelError, MemoryBudgetError: as `attribute`; what is wrong with a batch is raised when its maps
            are asked for, and the message names it.
    """
    methods = named_methods(methods)
    if isinstance(batches, (Tensor, Mapping, str)) or not isinstance(batches, Iterable):
        raise InvalidInput(
            f"batches are a {type(batches).__name__}; give a DataLoader or another iterable of batches of images, "
            "or images in one tensor to attribute"
        )
    if isinstance(targets, (str, Tensor)) and not (isinstance(targets, str) and targets == "predicted"):
        raise InvalidInput("targets of a stream are one class index, 'predicted', or what each batch holds: None")
    compute = Compute(precision, channels_last, fold_batch_norm, memory_budget, chunk)
    # Folding needs an example, which the first batch is.
    prepared = prepare_with(model, replace(compute, fold_batch_norm=False), output=output)

    def stream(prepared: PreparedModel) -> Iterator[MapBatch]:
        number = first = 0
        for batch in batches:  # without enumerate, which holds on to what it gave last
            with _named(number):
                images, given = _parts(batch)
                images = images.to(prepared.device, non_blocking=True)
                if fold_batch_norm and number == 0:
                    prepared = prepare_with(model, compute, example=images, output=output)
                chosen = given if targets is None else targets
                if chosen is None or isinstance(chosen, str):
                    chosen = all_logits(prepared, images).argmax(1)
                classes = Targets.of(images, chosen).classes
                (maps,) = attribute_variants([Variant(prepared, classes)], images, methods, seed=seed)
                warn_of_efforts(maps.efforts)
            yield MapBatch(number, first, images, classes, maps)
            number, first = number + 1, first + len(images)
            del batch, given, images, chosen, classes, maps  # before the next batch is made

    return stream(prepared)


def _parts(batch: Any) -> tuple[Tensor, Any]:
    """Images, and class indices where the batch has them."""
    parts = tuple(batch) if isinstance(batch, (tuple, list)) else (batch,)
    if not 1 <= len(parts) <= 2 or not isinstance(parts[0], Tensor):
        held = ", ".join(type(part).__name__ for part in parts)
        raise InvalidInput(f"it holds ({held}); give batches of images, or of pairs (images, class indices)")
    images, targets = (*parts, None)[:2]
    return images, targets


@contextmanager
def _named(number: int) -> Iterator[None]:
    """Lets the message of an error begin with the batch, or where it is the model's own, end with a note of it."""
    try:
        yield
    except ProbatumError as error:
        error.args = (f"batch {number}: {error}",)
        raise
    except Exception as error:
        if hasattr(error, "add_note"):  # from Python 3.11
            error.add_note(f"This was batch {number} of the stream.")
        raise
