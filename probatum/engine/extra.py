"""Further inputs of a model, one row an image, that go with their image into every model call and are not explained."""

import inspect
from collections.abc import Sequence
from typing import TypeAlias

import torch
from torch import Tensor, nn

from probatum.errors import InvalidInput, ModelError

Extra: TypeAlias = Sequence[Tensor]
"""Further inputs of a model, `model(images, *extra)`: tensors with one row an image."""


def accepted_extra(extra: Extra, device: torch.device) -> tuple[Tensor, ...]:
    """Checks further inputs and takes them out of graphs, subclasses and inference mode.

    Raises:
        InvalidInput: they are no tuple or list of tensors on the device, with an axis of images each.
    """
    if isinstance(extra, Tensor) or not isinstance(extra, Sequence):
        raise InvalidInput(f"extra is a {type(extra).__name__}; give a tuple of tensors, such as extra=(metadata,)")
    for number, each in enumerate(extra):
        if not isinstance(each, Tensor):
            raise InvalidInput(
                f"extra[{number}] is a {type(each).__name__}, not a tensor with one row an image; let the model itself "
                "hold what all images have in common"
            )
        if each.ndim == 0 or each.layout != torch.strided:
            raise InvalidInput(
                f"extra[{number}] is a {each.layout} tensor of shape {tuple(each.shape)}; give a dense tensor with one "
                "row an image"
            )
        if each.device != device:
            raise InvalidInput(f"extra[{number}] is on {each.device}, the model is on {device}; move one to the other")
    with torch.inference_mode(False):  # autograd cannot use a tensor that was made in inference mode, so copy it
        plain = [each.as_subclass(Tensor) for each in extra]
        return tuple(each.clone() if each.is_inference() else each.detach() for each in plain)


def require_rows(extra: Extra, images: Tensor) -> None:
    """Raises InvalidInput where a further input has not one row an image."""
    for number, each in enumerate(extra):
        if len(each) != len(images):
            raise InvalidInput(f"extra[{number}] has {len(each)} rows for {len(images)} images; give one an image")


def require_call(model: nn.Module, inputs: Sequence[Tensor], name: str) -> None:
    """Raises ModelError where the signature of a model's `forward` does not take so many inputs."""
    try:
        signature = inspect.signature(model.forward)
        signature.bind(*inputs)
    except ValueError:  # there is no signature to read
        return
    except TypeError as error:
        given = f"the images and {len(inputs) - 1} further inputs" if len(inputs) > 1 else "the images alone"
        raise ModelError(
            f"{name} takes {signature}, but is called with {given} ({error}); give what comes after the images, one "
            "row an image, by extra=(...), and let a module that holds the model reorder or leave out inputs"
        ) from error
