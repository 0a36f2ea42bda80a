"""The floor: the model and autograd alone, without any attribution code around them."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from probatum.engine import find_layer


def input_gradient(model: nn.Module, images: Tensor, targets: Tensor) -> Tensor:
    """∂ logit / ∂ image of every image: one forward and one backward pass."""
    points = images.detach().requires_grad_()
    with torch.enable_grad():
        logits = model(points).gather(1, targets[:, None])
        return torch.autograd.grad(logits.sum(), points)[0]


def layer_gradient(model: nn.Module, layer: str, images: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """A layer's output and the gradient there: one forward pass, and a backward pass that ends at the layer.

    The output is right where the model does not overwrite it; nothing is copied, for this is the floor.
    """
    outputs: list[Tensor] = []
    handle = find_layer(model, layer).register_forward_hook(lambda module, inputs, output: outputs.append(output))
    try:
        with torch.enable_grad():
            logits = model(images.detach().requires_grad_()).gather(1, targets[:, None])
            return outputs[0].detach(), torch.autograd.grad(logits.sum(), outputs[0])[0]
    finally:
        handle.remove()


@dataclass(frozen=True)
class Passes:
    """The passes of single points that a method sends through the model for a batch of images.

    Args:
        gradients: forward passes whose graph is kept for a backward pass.
        forwards: forward passes alone.
        rows: most points in one call.
    """

    gradients: int
    forwards: int
    rows: int


def count_passes(model: nn.Module, call: Callable[[nn.Module], Callable[[], object]]) -> Passes:
    """Counts the passes of a call.

    Args:
        model: watched; copies of it that are made meanwhile are watched, too.
        call: makes the call for a model. It is made twice: the first time the engine measures the memory of a row.
    """
    gradients: list[int] = []
    forwards: list[int] = []

    def record(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        (gradients if torch.is_grad_enabled() else forwards).append(len(inputs[0]))

    handle = model.register_forward_pre_hook(record)
    try:
        work = call(model)
        work()
        gradients.clear()
        forwards.clear()
        work()
    finally:
        handle.remove()
    return Passes(sum(gradients), sum(forwards), max([*gradients, *forwards], default=0))


def bare_passes(model: nn.Module, images: Tensor, targets: Tensor, passes: Passes) -> Callable[[], None]:
    """The work of some passes of the images, in calls of as many rows, without anything else."""
    repeats = -(-passes.rows // len(images))
    points, aims = (tensor.repeat(repeats, *[1] * (tensor.ndim - 1))[: passes.rows] for tensor in (images, targets))

    def work() -> None:
        for count in _calls(passes.gradients, passes.rows):
            input_gradient(model, points[:count], aims[:count])
        with torch.no_grad():
            for count in _calls(passes.forwards, passes.rows):
                model(points[:count])

    return work


def _calls(total: int, rows: int) -> list[int]:
    """The rows of each call."""
    return [min(rows, total - start) for start in range(0, total, max(1, rows))]
