"""The check that a model treats each row of a batch by itself and answers alike when it is asked again.

The gradient of a sum of logits holds every row's own gradient only if rows do not meet inside the model, and maps of
several forward passes belong together only if a forward pass is repeatable. A few forward passes without gradients
tell both, once for each prepared model.
"""

import warnings
from dataclasses import replace
from typing import NoReturn

import torch
from jaxtyping import Float
from torch import Tensor

from probatum.engine.budget import is_out_of_memory, one_row_too_large
from probatum.engine.copying import copy_model
from probatum.engine.prepared_model import PreparedModel
from probatum.engine.probabilities import warn_of_probabilities
from probatum.errors import InvalidInput, ModelError


def require_independent_rows(prepared: PreparedModel, images: Float[Tensor, "batch *shape"], *, alone: bool) -> None:
    """Compares the logits of the first image alone with those in a batch, beside its negative; results are kept.

    Args:
        prepared: the model.
        images: as `prepared.accept` returns them.
        alone: whether each model call holds one row, so that only repeatability matters.

    Raises:
        ModelError: the logits of an image change with its neighbors or from call to call, or the model takes batches
            of one size alone.
    """
    kind = (prepared.shapes(images), alone)
    if kind in prepared.probed:
        return
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the model gives its warnings again in the passes that count
        logits = _probe(prepared, images, alone)
    prepared.probed.add(kind)
    warn_of_probabilities(prepared, images, logits)


def _probe(prepared: PreparedModel, images: Tensor, alone: bool) -> Tensor:
    """Returns the logits of the first image."""
    image = images[:1]
    batch = image if alone else torch.cat([image, _negative(image), image])
    # The neighbor has the further inputs of another image, so that rows that meet in these are noticed, too.
    number = torch.tensor([0] if alone else [0, len(images) - 1, 0], device=prepared.device)
    own = _alone(prepared, images)
    random = _random_state(prepared.device)
    beside = _batched(prepared, batch, number)
    if beside is None or not _differ(own, beside, prepared.resolution):
        return own
    drawn = not torch.equal(random, _random_state(prepared.device))
    again = _batched(prepared, batch, number)
    if again is not None and _differ(beside, again, prepared.resolution):
        _refuse_change(prepared, drawn)
    if not alone and not _is_rounding(prepared, image, batch, number):
        _refuse_meeting(prepared)
    return own


def _negative(image: Tensor) -> Tensor:
    """Another image in the same range of values, darker than its mirror image; a constant image is raised by one."""
    low, high = image.aminmax()
    return torch.where(low == high, image + 1, low + (high - image) / 2)


def _alone(prepared: PreparedModel, images: Tensor) -> Tensor:
    """The logits of the first image; ModelError where the model takes the batch as given but not one row of it."""
    try:
        return prepared.logits(images[:1].clone())
    except Exception as error:
        if is_out_of_memory(error):
            raise one_row_too_large(error) from error
        if images.ndim == 3 and _takes(prepared, images[None]):
            raise InvalidInput(
                f"images of shape {tuple(images.shape)} lack the batch axis; give images[None]"
            ) from error
        if len(images) == 1 or not _takes(prepared, images):
            raise
        raise ModelError(
            f"{prepared.name} takes a batch of {len(images)} images but not one image alone ({_first_line(error)}); "
            "it must accept any number of rows: remove the fixed batch size, or export with a dynamic batch axis"
        ) from error


def _takes(prepared: PreparedModel, images: Tensor) -> bool:
    try:
        prepared.logits(images.clone())
    except Exception:
        return False
    return True


def _batched(prepared: PreparedModel, batch: Tensor, number: Tensor) -> Tensor | None:
    """The logits of a batch; None where memory does not hold it, so that no model call will."""
    try:
        return prepared.logits(batch.clone(), number)
    except Exception as error:
        if is_out_of_memory(error):
            return None
        raise ModelError(
            f"{prepared.name} takes one image alone but not a batch of {len(batch)} ({_first_line(error)}); "
            "give chunk=1, or let it accept any number of rows"
        ) from error


def _differ(own: Tensor, other: Tensor, resolution: float) -> bool:
    """True if the logits of the first or of the last row differ by more than half of the digits."""
    scale = torch.maximum(own.abs().amax(), other.abs().amax())
    excess = (other[[0, -1]] - own[[0, -1]]).abs().nan_to_num(0.0, 0.0) - resolution**0.5 * scale
    return bool((excess > 0).any())


def _is_rounding(prepared: PreparedModel, image: Tensor, batch: Tensor, number: Tensor) -> bool:
    """True if the difference vanishes in float64, as rounding does and an influence of other rows does not."""
    if prepared.dtype == torch.float64:
        return False
    try:
        model = copy_model(prepared.model, own=lambda name: True).double()
        compute = replace(prepared.compute, precision=None)
        exact = replace(prepared, model=model, dtype=torch.float64, compute=compute).with_extra(prepared.extra)
        own, beside = exact.logits(image.double()), exact.logits(batch.double(), number)
    except Exception:  # a device or an operation without float64
        return False
    return not _differ(own, beside, prepared.resolution)


def _random_state(device: torch.device) -> Tensor:
    return torch.cuda.get_rng_state(device) if device.type == "cuda" else torch.get_rng_state()


def _refuse_change(prepared: PreparedModel, drawn: bool) -> NoReturn:
    training = [path or "the model itself" for path, module in prepared.model.named_modules() if module.training]
    if training:
        cause = _stays_in_training(training)
    elif drawn:
        cause = "it draws random numbers in eval mode; write F.dropout(x, training=self.training), remove noise layers"
    else:
        cause = "it keeps state from call to call, or draws random numbers of its own; reset the state in forward"
    raise ModelError(
        f"{prepared.name} returns other logits when it is called again on one image, so maps would change from run to "
        f"run: {cause}"
    )


def _refuse_meeting(prepared: PreparedModel) -> NoReturn:
    modules = dict(prepared.model.named_modules())
    training = [path or "the model itself" for path, module in modules.items() if module.training]
    sequences = [path for path, module in modules.items() if getattr(module, "batch_first", True) is False]
    if training:
        cause = _stays_in_training(training)
    elif sequences:
        cause = f"{', '.join(sequences)} has batch_first=False and reads the batch as a sequence; set batch_first=True"
    else:
        cause = (
            "look for statistics of the batch (F.batch_norm with training=True), and for a mean, softmax, norm or "
            "reshape that takes in axis 0"
        )
    raise ModelError(
        f"the logits of {prepared.name} for an image depend on the other images of the batch, so its map would, too: "
        f"{cause}; or give chunk=1 to explain each image alone"
    )


def _stays_in_training(paths: list[str]) -> str:
    shown = ", ".join(paths[:3]) + (f" and {len(paths) - 3} more" if len(paths) > 3 else "")
    return f"{shown} stays in training mode after eval(), as an overridden train() does; let train(False) reach it"


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".splitlines()[0][:200]
