"""Signals through layer norm and group norm whose standard deviations are constants."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from probatum.engine.calls import Call


def through_norm(call: Call, name: str) -> Callable[[Tensor, Tensor], Tensor]:
    """The rule at a `layer_norm` or `group_norm`: (autograd's gradient, arriving signal) -> signal."""
    x, weight, eps = call.args[0].detach(), call.argument(2, "weight"), call.argument(4, "eps", 1e-5)
    if name == "layer_norm":
        shape = call.argument(1, "normalized_shape")

        def through_layer_norm(plain: Tensor, arriving: Tensor) -> Tensor:
            return _through(x, arriving if weight is None else arriving * weight, shape, eps)

        return through_layer_norm
    groups = call.argument(1, "num_groups")

    def through_group_norm(plain: Tensor, arriving: Tensor) -> Tensor:
        scaled = arriving if weight is None else arriving * weight.reshape(-1, *(1,) * (x.ndim - 2))
        by_group = (len(x), groups, -1)
        rows = x.reshape(by_group)
        return _through(rows, scaled.reshape(by_group), rows.shape[-1:], eps).reshape(x.shape)

    return through_group_norm


def _through(x: Tensor, signal: Tensor, shape: Sequence[int], eps: float) -> Tensor:
    """(R − mean R) / σ; the kernel of the norm itself has 1 / σ sooner than `var`."""
    *_, deviation = torch.native_layer_norm(x, shape, None, None, eps)
    dims = tuple(range(-len(shape), 0))
    return (signal - signal.mean(dims, keepdim=True)).mul_(deviation)
