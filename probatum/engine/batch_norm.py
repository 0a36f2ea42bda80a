"""Gradients that reach a batch norm of one image in another memory layout than the image has.

The backward pass of `batch_norm` in eval mode on a CPU reads such gradients in the wrong order, silently: a signal of
shape (1, channel, height, width) that was (1, place, channel) a moment ago, as behind a patch embedding, counts as laid
out like the input, because the strides of an axis of size 1 say nothing. Seen in torch 2.6 to 2.14.
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.autograd.graph import Node

Signals = tuple[Tensor | None, ...]


def lay_out_gradients(result: Tensor) -> None:
    """Hooks the batch norms behind a result, so that each gets its gradient in the memory layout of its input.

    Args:
        result: with a graph.
    """
    seen: set[Node] = set()
    left = [result.grad_fn] if result.device.type == "cpu" else []
    while left:
        node = left.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        left += [before for before, _ in node.next_functions]
        if node.name() == "NativeBatchNormBackward0":
            x: Tensor = node._saved_input  # type: ignore[attr-defined]
            dense = torch.empty_like(x, device="meta").stride() == x.stride()
            if dense and 1 in (x.shape[0], *x.shape[2:]):
                node.register_prehook(_laid_out(x.stride()))


def _laid_out(strides: tuple[int, ...]) -> Callable[[Signals], Signals | None]:
    def lay_out(signals: Signals) -> Signals | None:
        gradient, *others = signals
        if gradient is None or gradient.stride() == strides:
            return None
        return (torch.empty_strided(gradient.shape, strides, dtype=gradient.dtype).copy_(gradient), *others)

    return lay_out
