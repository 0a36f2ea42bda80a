"""Evidence that a model's parameters or buffers changed: torch's version counters, which cost no look at a value."""

from typing import NamedTuple
from weakref import ref

from torch import Tensor, nn


class _Held(NamedTuple):
    """A parameter or buffer of a module: its name there, the tensor object, and its version counter."""

    name: str
    tensor: ref[Tensor]
    version: int


class Versions:
    """The parameters and buffers of a model as they are now; keeps neither the model nor its tensors alive.

    Optimizers, batch norm in training mode and `load_state_dict` write in place and are noticed, and so is a tensor
    that replaces another. Writing through `tensor.data` leaves no trace in torch.

    Args:
        model: any module; only read.
    """

    def __init__(self, model: nn.Module) -> None:
        self._modules = [
            (path, ref(module), _held(module._parameters), _held(module._buffers))
            for path, module in model.named_modules()
        ]

    def path_of(self, module: nn.Module) -> str | None:
        """The dotted path of one of the model's modules; None for a module that is not of this model."""
        return next((path for path, held_module, _, _ in self._modules if held_module() is module), None)

    def first_changed(self) -> str | None:
        """Names a parameter or buffer that was written or replaced since, or gives None."""
        for path, held_module, parameters, buffers in self._modules:
            module = held_module()
            if module is None:  # a model that is gone cannot change
                continue
            for tensors, held in ((module._parameters, parameters), (module._buffers, buffers)):
                for name, held_tensor, version in held:
                    tensor = tensors.get(name)
                    if tensor is not held_tensor() or tensor is None or tensor._version != version:
                        return f"{path}.{name}" if path else name
        return None


def _held(tensors: dict[str, Tensor | None]) -> tuple[_Held, ...]:
    """The tensors that have a version counter: all but those made in inference mode."""
    return tuple(
        _Held(name, ref(tensor), tensor._version)
        for name, tensor in tensors.items()
        if tensor is not None and not tensor.is_inference()
    )
