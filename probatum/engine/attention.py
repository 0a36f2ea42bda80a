"""The attention weights of a forward pass, on a model as it is."""

from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.autograd.graph import get_gradient_edge
from torch.nn import functional as F

from probatum.engine.calls import Call, CallMode, body_of
from probatum.engine.feature_maps import separating_vertices
from probatum.engine.open_attention import open_weights, repeat_heads
from probatum.engine.prepared_model import PreparedModel
from probatum.errors import ModelError


def attention_weights(
    prepared: PreparedModel, points: Float[Tensor, "rows *shape"], image: Int64[Tensor, " rows"] | None = None
) -> tuple[Float[Tensor, "rows layers tokens tokens"], Float[Tensor, "rows tokens"], Float[Tensor, "rows classes"]]:
    """Runs the model and reads the softmax of every attention among the same tokens.

    Attention may be written out, or be a call of `scaled_dot_product_attention` or `multi_head_attention_forward`,
    whatever kernel these choose: its weights are computed in the open.

    Args:
        prepared: the model.
        points: where it is evaluated.
        image: as in `PreparedModel.logits`.

    Returns:
        the weights of each layer, averaged over its heads: row i holds what token i takes from each token; the share of
        each token among those that the logits read behind the last attention, such as 1 for a class token; the logits.

    Raises:
        ModelError: the model has no attention, or it is not among all tokens: windows, pooling, cross-attention.
    """
    recorded = _RecordedAttention()
    with torch.enable_grad(), recorded:
        logits = prepared.logits(points.detach().requires_grad_().clone(), image)
    if not recorded.weights:
        raise ModelError(
            f"{prepared.name} has no attention that can be read; attention rollout is for transformers whose attention "
            "is written out, or a call of torch (attn_implementation='eager' or 'sdpa')"
        )
    heads = [_by_head(each, len(points), prepared.name) for each in recorded.weights]
    sizes = sorted({each.shape[-1] for each in heads})
    if len(sizes) > 1:
        raise ModelError(
            f"the attention of {prepared.name} is among {' and '.join(map(str, sizes))} tokens; attention rollout "
            "multiplies weights of the same tokens"
        )
    read = _tokens_read(logits, recorded.weights[-1], prepared.name)
    weights = torch.stack([each.detach().mean(1) for each in heads], 1).to(prepared.dtype)
    return weights, read.to(weights.dtype), logits.detach()


class _RecordedAttention(CallMode):
    """Keeps the attention weights of a forward pass, as they are in its graph."""

    def __init__(self) -> None:
        super().__init__()
        self.weights: list[Tensor] = []

    def intercept(self, call: Call) -> Any:
        """Makes the call; attention is made of its parts."""
        if call.name in ("multi_head_attention_forward", "scaled_dot_product_attention"):
            parts = _attention if call.name.startswith("scaled") else body_of(call.function)
            with self:
                return parts(*call.args, **call.kwargs)
        result = call.make()
        if call.name == "softmax" and result.ndim > 2 and result.requires_grad:
            self.weights.append(result)
        return result


def _attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    """`scaled_dot_product_attention` in the open; a query that may look at nothing gets zero."""
    if enable_gqa:
        key, value = (repeat_heads(each, query.shape[-3]) for each in (key, value))
    return F.dropout(open_weights(query, key, attn_mask, is_causal, scale), dropout_p) @ value


def _by_head(weights: Tensor, rows: int, name: str) -> Tensor:
    """(rows, heads, tokens, tokens); ModelError where the weights are others."""
    queries, keys = weights.shape[-2:]
    if queries != keys:
        raise ModelError(
            f"{name} has attention of {queries} queries to {keys} keys, as pooling and cross-attention have; attention "
            "rollout needs attention among the same tokens"
        )
    if len(weights) != rows and (weights.ndim != 3 or len(weights) % rows):
        raise ModelError(
            f"the attention of {name} is within windows of {keys} tokens; attention rollout needs attention among all "
            "tokens, as ViT has it"
        )
    return weights.reshape(rows, -1, queries, keys)


def _tokens_read(logits: Tensor, weights: Tensor, name: str) -> Tensor:
    """The share of each token among those behind the last attention on which the logits depend, (rows, tokens)."""
    handles = [
        node.register_prehook(_revived(number))
        for node, number in separating_vertices(get_gradient_edge(logits), get_gradient_edge(weights))
    ]
    try:
        (gradient,) = torch.autograd.grad(logits, weights, _numbers_like(logits), allow_unused=True)
    finally:
        for handle in handles:
            handle.remove()
    read = None if gradient is None else gradient.reshape(len(logits), -1, *weights.shape[-2:]).ne(0).any(-1).any(1)
    if read is None or not bool(read.any(1).all()):
        raise ModelError(f"the logits of {name} do not depend on its last attention")
    return read / read.sum(1, keepdim=True)


def _revived(number: int) -> Callable[[tuple[Tensor | None, ...]], tuple[Tensor | None, ...] | None]:
    """A hook that replaces the gradient of features that lead to the logits where it has died out.

    A last layer whose weights are zero, as torchvision's ViT begins with, still shows which tokens it reads.
    """

    def revive(arriving: tuple[Tensor | None, ...]) -> tuple[Tensor | None, ...] | None:
        gradient = arriving[number]
        if gradient is None or gradient.ndim != 2 or bool(gradient.any()):
            return None
        return (*arriving[:number], _numbers_like(gradient), *arriving[number + 1 :])

    return revive


def _numbers_like(values: Tensor) -> Tensor:
    """Numbers without a pattern."""
    return torch.arange(1, values.numel() + 1, device=values.device).to(values.dtype).sin().view(values.shape)
