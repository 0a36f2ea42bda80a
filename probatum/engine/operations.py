"""Which of torch's operations are linear, elementwise, products or norms: what backward rules know of each."""

from collections.abc import Callable
from enum import Enum
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F


class Kind(Enum):
    """The kind of an operation in the arguments that depend on the input.

    LINEAR in all of them at once (up to a constant), MULTILINEAR in each alone, PRODUCT elementwise of two, QUOTIENT
    linear in its first argument alone, ELEMENTWISE a function of each element of its first, POOL the maximum over
    windows of its first, ORDERED other functions that grow with the scale of all of them, f(c x) = c f(x) for c > 0,
    NORM what divides by a deviation, SOFTMAX, ATTENTION, CONSTANT what leaves the graph, VALUE what hands values over
    to Python.
    """

    LINEAR = "linear"
    MULTILINEAR = "multilinear"
    PRODUCT = "product"
    QUOTIENT = "quotient"
    ELEMENTWISE = "elementwise"
    POOL = "pool"
    ORDERED = "ordered"
    NORM = "norm"
    SOFTMAX = "softmax"
    ATTENTION = "attention"
    CONSTANT = "constant"
    VALUE = "value"


_NAMES = {
    Kind.LINEAR: """
        add sub subtract rsub __rsub__ neg negative positive sum mean cumsum
        cat concat concatenate stack hstack vstack dstack column_stack row_stack
        view view_as reshape reshape_as flatten ravel unflatten squeeze unsqueeze transpose permute movedim moveaxis
        swapaxes swapdims t adjoint expand expand_as broadcast_to tile repeat repeat_interleave unfold fold
        narrow select __getitem__ index_select gather take_along_dim split split_with_sizes chunk unbind tensor_split
        diagonal tril triu roll flip fliplr flipud rot90 where masked_fill __setitem__
        pad constant_pad_nd interpolate upsample upsample_nearest upsample_bilinear pixel_shuffle pixel_unshuffle
        channel_shuffle avg_pool1d avg_pool2d avg_pool3d adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d
        dropout dropout1d dropout2d dropout3d alpha_dropout feature_alpha_dropout feature_dropout
        contiguous clone to type type_as half bfloat16 float double copy_ alias zero fill
        scatter scatter_add index_add index_copy index_put masked_scatter masked_select
        """,
    Kind.MULTILINEAR: """
        conv1d conv2d conv3d conv_transpose1d conv_transpose2d conv_transpose3d convolution linear bilinear
        matmul __matmul__ __rmatmul__ mm bmm mv dot inner outer einsum tensordot addmm addbmm baddbmm addmv addcmul
        grouped_mm _grouped_mm batch_norm
        """,
    Kind.PRODUCT: "mul multiply",
    Kind.QUOTIENT: "div divide true_divide",
    Kind.ELEMENTWISE: """
        relu relu6 hardtanh leaky_relu prelu elu selu celu threshold hardswish hardsigmoid hardshrink softshrink
        softsign sigmoid tanh gelu silu softplus mish logsigmoid tanhshrink exp expm1 erf sin cos atan
        abs absolute clamp clamp_min clamp_max clip
        log log2 log10 log1p sqrt rsqrt square pow __pow__ __ipow__ reciprocal
        """,
    Kind.POOL: "max_pool1d max_pool2d max_pool3d adaptive_max_pool1d adaptive_max_pool2d adaptive_max_pool3d",
    Kind.ORDERED: "norm vector_norm std max min amax amin maximum minimum fmax fmin sort topk median kthvalue",
    Kind.NORM: "layer_norm group_norm rms_norm",
    Kind.SOFTMAX: "softmax log_softmax",
    Kind.ATTENTION: "scaled_dot_product_attention",
    Kind.CONSTANT: """
        detach requires_grad_ zeros_like ones_like full_like empty_like rand_like randn_like new_zeros new_ones new_full
        new_empty new_tensor
        """,
    Kind.VALUE: """
        item tolist numpy equal allclose is_nonzero __bool__ __int__ __float__ __index__ __array__ __contains__
        """,
}
# Of the elementwise functions, those whose derivatives are of order one everywhere and have no jumps.
_SMOOTH = "sigmoid tanh gelu silu softplus mish logsigmoid tanhshrink exp expm1 erf sin cos atan"
SMOOTH = frozenset(spelling for name in _SMOOTH.split() for spelling in (name, f"{name}_"))
# Where the functions that act otherwise in training take the flag, if it comes by position.
TRAINING = {"batch_norm": 5} | {
    name + suffix: 2 for name in _NAMES[Kind.LINEAR].split() if "dropout" in name for suffix in ("", "_")
}
POOLS: dict[str, tuple[Callable[..., Any], int]] = {
    f"{prefix}max_pool{dimensions}d": (getattr(F, f"{prefix}max_pool{dimensions}d_with_indices"), dimensions)
    for prefix in ("", "adaptive_")
    for dimensions in (1, 2, 3)
}
_SPACES = (F, torch, Tensor, torch.linalg, torch.special, torch.ops.aten)


@lru_cache
def _table() -> dict[Any, tuple[Kind, str]]:
    """The function objects behind all spellings: functional, method, in-place and the operators of exported models."""
    table: dict[Any, tuple[Kind, str]] = {}
    for kind, names in _NAMES.items():
        for name in names.split():
            for spelling in (name, f"{name}_"):
                for space in _SPACES:
                    if spelling.startswith("__") and space is not Tensor:
                        continue
                    function = getattr(space, spelling, None)
                    if callable(function):
                        table.setdefault(function, (kind, spelling))
    for prepared in ("T", "mT", "H", "mH"):
        table[getattr(Tensor, prepared).__get__] = (Kind.LINEAR, prepared)
    table[Tensor.data.__get__] = (Kind.CONSTANT, "data")  # type: ignore[attr-defined]
    return table


@lru_cache(1024)
def known(function: Callable[..., Any]) -> tuple[Kind | None, str]:
    """The kind of an operation, None where it has none, and its name."""
    if isinstance(function, torch._ops.OpOverload):
        function = function.overloadpacket
    name = getattr(function, "__name__", repr(function))
    return _table().get(function, (None, name))
