"""The floor: the model and autograd alone, without any attribution code around them."""

from collections.abc import Callable

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


def many_gradients(model: nn.Module, images: Tensor, targets: Tensor, points: int, rows: int) -> Callable[[], None]:
    """The work of `points` input gradients of each image, in calls of at most `rows` rows."""
    total = len(images) * points
    repeats = -(-min(rows, total) // len(images))
    chunk, aims = (tensor.repeat(repeats, *[1] * (tensor.ndim - 1))[:rows] for tensor in (images, targets))

    def work() -> None:
        for start in range(0, total, rows):
            count = min(rows, total - start)
            input_gradient(model, chunk[:count], aims[:count])

    return work
