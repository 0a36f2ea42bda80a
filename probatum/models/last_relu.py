"""The ReLU that ends a network: behind it, classes whose logit is 0 have no gradient, and so no map."""

import torch
from torch import Tensor, nn

from probatum.engine import copy_model


def last_relu(model: nn.Module, images: Tensor) -> str | None:
    """Finds the ReLU through which the outputs of a model pass last.

    SqueezeNet, for one, averages what the ReLU behind its last convolution lets through. Where that is nothing, as for
    about half of the classes once weights are random, the logit is exactly 0, and so are all gradients.

    Args:
        model: any classifier; left as it is.
        images: (batch, ...), a few that the model takes.

    Returns:
        Dotted name of an `nn.ReLU` that is called once, with no module with parameters called after it. No output
        is negative, and all are 0 once the ReLU returns zeros. None where there is no such module.
    """
    outputs, called = _record_calls(model, images)
    name = _last_called(called)
    if name is None or not isinstance(outputs, Tensor) or bool((outputs < 0).any()):
        return None
    closed = model.get_submodule(name).register_forward_hook(lambda _module, _inputs, output: torch.zeros_like(output))
    try:
        with torch.no_grad():
            closed_outputs = model(images)
    finally:
        closed.remove()
    return None if bool(closed_outputs.any()) else name


def _record_calls(model: nn.Module, images: Tensor) -> tuple[object, list[tuple[str, nn.Module]]]:
    """The outputs, and the modules without children in the order of their calls."""
    called: list[tuple[str, nn.Module]] = []

    def record(name: str, module: nn.Module) -> torch.utils.hooks.RemovableHandle:
        return module.register_forward_hook(lambda *_: called.append((name, module)))

    leaves = [(name, module) for name, module in model.named_modules() if not list(module.children())]
    handles = [record(name, module) for name, module in leaves]
    try:
        with torch.no_grad():
            return model(images), called
    finally:
        for handle in handles:
            handle.remove()


def _last_called(called: list[tuple[str, nn.Module]]) -> str | None:
    """Name of an `nn.ReLU` that is called once, after which no module with parameters is called."""
    for name, module in reversed(called):
        if type(module) is nn.ReLU:
            return name if sum(other is module for _, other in called) == 1 else None
        if next(module.parameters(), None) is not None:
            return None
    return None


def without_last_relu(model: nn.Module, name: str) -> nn.Module:
    """The model whose outputs are the values before its last ReLU; it shares all weights.

    Args:
        model: only read.
        name: what `last_relu` found.
    """
    copy = copy_model(model)
    parent, _, child = name.rpartition(".")
    setattr(copy.get_submodule(parent), child, nn.Identity())
    return copy
