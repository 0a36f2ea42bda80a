"""Attention in the open: the weights that `scaled_dot_product_attention` computes in its kernels."""

import torch
from torch import Tensor


def repeat_heads(heads: Tensor, many: int) -> Tensor:
    """Keys or values of fewer heads than the queries', each repeated for its group of queries."""
    return heads.repeat_interleave(many // heads.shape[-3], -3)


def open_weights(query: Tensor, key: Tensor, mask: Tensor | None, is_causal: bool, scale: float | None) -> Tensor:
    """The softmax over the keys; a query that may look at nothing has weights of zero.

    Args:
        query: (..., queries, dimensions).
        key: (..., keys, dimensions).
        mask: True where a query may look, or what is added to the scores; broadcasts to (..., queries, keys).
        is_causal: whether a query may look at no later key.
        scale: of the scores; None is 1 / √dimensions.
    """
    scores = query * (query.shape[-1] ** -0.5 if scale is None else scale) @ key.mT
    if is_causal:
        mask = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).tril()
    if mask is None:
        return scores.softmax(-1)
    scores = scores.masked_fill(~mask, -torch.inf) if mask.dtype == torch.bool else scores + mask
    nothing = scores.detach().isneginf().all(-1, keepdim=True)
    return scores.masked_fill(nothing, 0.0).softmax(-1).masked_fill(nothing, 0.0)
