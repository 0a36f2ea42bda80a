"""A network that computes the same function of shifted inputs: the bias of its first layer makes up for the shift."""

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from probatum.engine import PreparedModel
from probatum.engine.copying import copy_model
from probatum.errors import InvalidInput, ModelError

ROUNDING = 1e-8  # of the largest logit; what two float64 networks that compute the same may differ by
_AFFINE = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)


class ShiftedLayer(nn.Module):
    """An affine layer whose bias makes up for a shift of its input.

        y = W x + b − W d

    Where a convolution pads, W d differs at the border, for padded values are not shifted; so it is a map, not one
    number a channel, and the layer is exact everywhere.

    Args:
        layer: linear or convolutional.
        offset: W d, one row of what the layer returns.
    """

    def __init__(self, layer: nn.Module, offset: Float[Tensor, "1 *shape"]) -> None:
        super().__init__()
        self.layer = layer
        self.register_buffer("offset", offset)
        self.offset: Tensor

    def forward(self, x: Tensor) -> Tensor:
        """What the layer returned for the input before it was shifted."""
        y: Tensor = self.layer(x) - self.offset
        return y


def shift_of(images: Float[Tensor, "batch channel *shape"], shift: float | Sequence[float]) -> Tensor:
    """A shift as one row that images are added to: one number, or one for each channel.

    Raises:
        InvalidInput: the shift has another number of channels, is zero or is not finite.
    """
    levels = torch.as_tensor(shift, dtype=torch.float64, device=images.device).reshape(-1)
    if len(levels) not in (1, images.shape[1]):
        raise InvalidInput(f"the shift has {len(levels)} channels, the images have {images.shape[1]}")
    if not bool(levels.isfinite().all()) or not bool(levels.any()):
        raise InvalidInput(f"a shift of {shift} is none; give a number other than 0, or one for each channel")
    return levels.reshape(1, -1, *[1] * (images.ndim - 2)).expand_as(images[:1]).to(images.dtype)


def shifted_network(
    prepared: PreparedModel, images: Float[Tensor, "batch channel *shape"], shift: Float[Tensor, "1 channel *shape"]
) -> nn.Module:
    """Makes the network f₂ with f₂(x + d) = f₁(x) for a shift d that is the same for all images.

    Args:
        prepared: f₁, in float64.
        images: on which the equality is verified.
        shift: d, as of `shift_of`.

    Returns:
        a copy of f₁ whose first linear or convolutional layer is a `ShiftedLayer`.

    Raises:
        ModelError: no such layer meets the input first, or the logits differ by more than rounding: the model uses its
            input elsewhere, too, or what comes before that layer is no affine function.
    """
    path, layer, before = _first_layer(prepared, torch.zeros_like(images[:1]))
    _, _, after = _first_layer(prepared, shift)
    with torch.no_grad():
        offset = layer(after - before) - layer(torch.zeros_like(before))
    network = copy_model(prepared.model)
    moved = ShiftedLayer(network.get_submodule(path), offset)
    if not path:
        return moved.eval()
    parent, _, name = path.rpartition(".")
    setattr(network.get_submodule(parent), name, moved)
    return network.eval()


def _first_layer(prepared: PreparedModel, image: Tensor) -> tuple[str, nn.Module, Tensor]:
    """The first linear or convolutional layer that a forward pass calls, its path, and what it receives."""
    found: list[tuple[str, nn.Module, Tensor]] = []

    def watch(path: str) -> Any:
        def note(layer: nn.Module, inputs: tuple[Any, ...]) -> None:
            if not found and inputs and isinstance(inputs[0], Tensor):
                found.append((path, layer, inputs[0].detach().clone()))

        return note

    handles = [
        layer.register_forward_pre_hook(watch(path))
        for path, layer in prepared.model.named_modules()
        if isinstance(layer, _AFFINE)
    ]
    try:
        with torch.no_grad():
            prepared.logits(image, torch.zeros(1, dtype=torch.int64, device=image.device))
    finally:
        for handle in handles:
            handle.remove()
    if not found:
        raise ModelError(f"{prepared.name} has no linear or convolutional layer whose bias could make up for a shift")
    return found[0]


def require_equal(shifted: Tensor, logits: Tensor, name: str) -> None:
    """Raises ModelError where the logits of the two networks differ by more than rounding."""
    gap, scale = float((shifted - logits).abs().max()), float(logits.abs().max())
    if not gap <= ROUNDING * max(scale, 1e-30):
        raise ModelError(
            f"the bias of the first layer of {name} cannot make up for a shift: logits of {scale:.3g} change by "
            f"{gap:.3g}. The model uses its input elsewhere, too, or normalizes it first; explain the part behind that"
        )
