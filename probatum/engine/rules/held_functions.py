"""Functions whose own backward pass holds constants, for graphs that no other backward pass reads.

They spare the derivatives that the rule would throw away: those of activations and deviations, of queries and keys.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from probatum.engine.calls import Call, RuleFunction
from probatum.engine.open_attention import open_weights, repeat_heads

_Gradients = tuple[Tensor | None, ...]
_MOST_WEIGHTS = 8  # attention weights for each number of the queries, up to which they are computed twice


class _SlopeHeld(RuleFunction):
    """An elementwise function g whose backward pass is its slope."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, function: Callable[[Tensor], Tensor], slope: Callable[[Tensor, Tensor], Tensor]
    ) -> Tensor:
        y = function(x)
        ctx.save_for_backward(slope(y, x))
        return y

    @staticmethod
    def backward(ctx: Any, arriving: Tensor) -> _Gradients:
        (slopes,) = ctx.saved_tensors
        return slopes.mul_(arriving), None, None  # in place, for the graph is read once


def slope_held(function: Callable[..., Tensor], slope: Callable[[Tensor, Tensor], Tensor]) -> Callable[..., Tensor]:
    """A function of one tensor with a slope, given g(x) and x, in place of its derivative."""

    def made(x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        result: Tensor = _SlopeHeld.apply(x, lambda x: function(x, *args, **kwargs), slope)
        return result

    return made


class _LayerNormHeld(RuleFunction):
    """A layer norm whose backward pass is that of its kernel at x = μ, where nothing passes through σ."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, shape: Sequence[int], weight: Tensor | None, bias: Tensor | None, eps: float
    ) -> Tensor:
        y, _, deviation = torch.native_layer_norm(x, shape, weight, bias, eps)
        ctx.save_for_backward(deviation, weight, bias)
        ctx.shape = shape
        return y

    @staticmethod
    def backward(ctx: Any, arriving: Tensor) -> _Gradients:
        deviation, weight, bias = ctx.saved_tensors
        needed = [True, False, ctx.needs_input_grad[3]]
        zeros = torch.zeros_like(arriving), torch.zeros_like(deviation)
        signal, _, of_bias = torch.ops.aten.native_layer_norm_backward(
            arriving, zeros[0], ctx.shape, zeros[1], deviation, weight, bias, needed
        )
        return signal, None, None, of_bias, None


def has_one_type(call: Call) -> bool:
    """True for a `layer_norm` of which autocast changes no type."""
    x, weight = call.args[0], call.argument(2, "weight")
    return x.dtype in (torch.float32, torch.float64) and (weight is None or weight.dtype == x.dtype)


def layer_norm_held(
    input: Tensor,
    normalized_shape: Sequence[int],
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
    cudnn_enable: bool = True,
) -> Tensor:
    """`layer_norm` with σ held constant."""
    made: Tensor = _LayerNormHeld.apply(input, normalized_shape, weight, bias, eps)
    return made


class _AttentionHeld(RuleFunction):
    """Attention whose backward pass computes its weights anew and passes their transpose to the values."""

    @staticmethod
    def forward(
        ctx: Any, value: Tensor, query: Tensor, key: Tensor, mask: Tensor | None, options: dict[str, Any]
    ) -> Tensor:
        ctx.save_for_backward(query, key, mask)
        ctx.options, ctx.shape = options, value.shape
        return torch.nn.functional.scaled_dot_product_attention(query, key, value, mask, 0.0, **options)

    @staticmethod
    def backward(ctx: Any, arriving: Tensor) -> _Gradients:
        query, key, mask = ctx.saved_tensors
        options = ctx.options
        heads, many = ctx.shape[-3:-2], query.shape[-3]
        grouped = bool(heads) and options["enable_gqa"] and heads[0] != many
        weights = open_weights(
            query, repeat_heads(key, many) if grouped else key, mask, options["is_causal"], options["scale"]
        )
        signal = weights.mT @ arriving
        if grouped:
            signal = signal.reshape(*signal.shape[:-3], heads[0], many // heads[0], *signal.shape[-2:]).sum(-3)
        return signal.sum_to_size(ctx.shape), None, None, None, None


def is_small_attention(call: Call) -> bool:
    """True for attention on a CPU that is worth to be computed twice: without dropout, of few tokens."""
    query, key, value = (call.argument(place, name) for place, name in enumerate(("query", "key", "value")))
    few = key.shape[-2] <= _MOST_WEIGHTS * query.shape[-1]
    return few and bool(value.requires_grad) and query.device.type == "cpu" and not call.argument(4, "dropout_p", 0.0)


def attention_held(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    """`scaled_dot_product_attention` with its weights held constant."""
    options = {"is_causal": is_causal, "scale": scale, "enable_gqa": enable_gqa}
    made: Tensor = _AttentionHeld.apply(value, query, key, attn_mask, options)
    return made
