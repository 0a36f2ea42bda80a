"""The prepared view of a model: frozen, in eval mode, in one precision, free to write into its buffers."""

from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor, nn

from probatum.engine.copying import frozen_copy
from probatum.engine.precision import dtype_of
from probatum.engine.trace import last_convolution
from probatum.errors import InvalidInput, ModelError


@dataclass(frozen=True, eq=False)
class View:
    """A model as the engine sees it; made by `prepare`.

    Args:
        model: the frozen copy; it shares the caller's weights (unless the precision differs) and nothing else.
        name: the class name of the caller's model, for messages.
        dtype: floating-point type of the computation.
        device: where the weights are.
        row_bytes: what the memory budget has measured, kept from call to call.
    """

    model: nn.Module
    name: str
    dtype: torch.dtype
    device: torch.device
    row_bytes: dict[object, int] = field(default_factory=dict)

    def logits(self, points: Float[Tensor, "rows *shape"]) -> Float[Tensor, "rows classes"]:
        """Runs the model; ModelError unless it returns one vector of logits a row."""
        logits = self.model(points)
        if not isinstance(logits, Tensor):
            raise ModelError(f"{self.name} returns a {type(logits).__name__}; probatum needs (batch, classes) logits")
        if logits.ndim != 2 or len(logits) != len(points):
            raise ModelError(
                f"{self.name} returns shape {tuple(logits.shape)} for {len(points)} images; "
                "probatum needs (batch, classes) logits"
            )
        return logits

    def default_layer(self, images: Tensor) -> str:
        """The convolution that a forward pass calls last."""
        return last_convolution(self.model, images)

    def accept(self, images: Tensor) -> Float[Tensor, "batch *shape"]:
        """Checks images and brings them to the view's floating-point type."""
        if not isinstance(images, Tensor) or images.ndim < 2 or len(images) == 0:
            shape = tuple(images.shape) if isinstance(images, Tensor) else type(images).__name__
            raise InvalidInput(f"images must be a non-empty (batch, ...) tensor, got {shape}")
        if not images.is_floating_point():
            raise InvalidInput(f"images are {images.dtype}; scale them to floating point as the model expects them")
        if images.device != self.device:
            raise InvalidInput(f"images are on {images.device}, {self.name} is on {self.device}; move one to the other")
        bad = (~torch.isfinite(images)).flatten(1).any(1)
        if bool(bad.any()):
            raise InvalidInput(f"image {int(bad.nonzero()[0])} of the batch has NaN or infinite pixels")
        with torch.inference_mode(False):  # autograd cannot use a tensor that was made in inference mode, so copy it
            return (images.clone() if images.is_inference() else images.detach()).to(self.dtype)


def prepare(model: nn.Module | View, precision: str | None = None, *, like: View | None = None) -> View:
    """Makes the view of a model that all attribution is computed on; the model itself is left as it is.

    Operations that the model does in place stay in place, because switching them off would change the function of a
    model that reads the overwritten tensor again; the view hands such models tensors that they may overwrite.

    Args:
        model: any module; a view is returned as it is.
        precision: "float32" or "float64"; None computes in the model's own floating-point type.
        like: a view of another model of the same structure, whose memory measurements hold here too.

    Raises:
        InvalidInput: the precision does not exist, or differs from that of a given view.
        ModelError: the model cannot be copied, or spreads over several devices.
    """
    if isinstance(model, View):
        if precision is not None and dtype_of(precision) != model.dtype:
            raise InvalidInput(f"the view was prepared for {model.dtype}, not for precision {precision!r}")
        return model
    if not isinstance(model, nn.Module):
        raise InvalidInput(f"the model is a {type(model).__name__}, not a torch.nn.Module")
    frozen = frozen_copy(model)
    tensors = [t for t in [*frozen.parameters(), *frozen.buffers()] if t.is_floating_point()]
    devices = {t.device for t in tensors} or {torch.device("cpu")}
    name = type(getattr(model, "_orig_mod", model)).__name__
    if len(devices) > 1:
        raise ModelError(f"{name} spreads over {', '.join(sorted(map(str, devices)))}; put it on one device")
    dtype = dtype_of(precision) if precision else (tensors[0].dtype if tensors else torch.float32)
    if precision and any(t.dtype != dtype for t in tensors):
        frozen = frozen.to(dtype)
    return View(frozen, name, dtype, devices.pop(), {} if like is None else like.row_bytes)
