"""The constants that a call adds to what depends on the input: biases, position embeddings, class tokens, numbers."""

from collections.abc import Callable, Iterator
from functools import partial

import torch
from torch import Tensor

from probatum.engine.calls import Call

Part = Callable[[Tensor], Tensor]
"""The part of the signal at a result that arrives at a constant."""

# Where the bias stands among the arguments, and whether it is one number a channel, the second axis.
_BIASES = {"linear": (2, False), "bilinear": (3, False), "layer_norm": (3, False), "group_norm": (3, True)}
_BIASES |= {f"conv{suffix}d": (2, True) for suffix in ("1", "2", "3", "_transpose1", "_transpose2", "_transpose3")}
_BIASES |= {"convolution": (2, True)}
_PRODUCTS = {"addmm", "addbmm", "baddbmm", "addmv", "addcmul"}  # the first argument, times beta, is added to a product
_JOINING = {"cat", "concat", "concatenate", "stack"}
# Others whose value is not zero where all that depends on the input is.
_AFFINE = {"where", "masked_fill", "pad", "constant_pad_nd", "setitem", "copy", "fill"}
_AFFINE |= {"scatter", "scatter_add", "index_add", "index_copy", "index_put", "masked_scatter"}
_AFFINE |= {"hstack", "vstack", "dstack", "column_stack", "row_stack"}


def additive_constants(call: Call, name: str) -> Iterator[tuple[Part, Tensor | float]]:
    """The value of an affine call where all that depends on the input is zero, as parts that are cheap to have.

    Args:
        call: as it is about to be made.
        name: of the function, without underscores.

    Returns:
        pairs of the part of a signal and a constant that broadcasts to it.
    """
    if name in _BIASES:
        place, by_channel = _BIASES[name]
        bias = call.argument(place, "bias")
        if isinstance(bias, Tensor) and not bias.requires_grad:
            yield _channels if by_channel else _whole, bias
    elif name in ("add", "sub", "subtract", "rsub"):
        yield from _sums(call, name)
    elif name in _PRODUCTS:
        first = call.args[0]
        if not first.requires_grad:
            yield _whole, first * call.kwargs.get("beta", 1)
    elif name in _JOINING:
        yield from _joined(call, name)
    elif name == "batch_norm":
        x = call.args[0]
        with torch.no_grad():
            yield _channels, call._replace(args=(x.new_zeros(1, x.shape[1]), *call.args[1:])).make()[0]

    elif name in _AFFINE and not _fills_with_zeros(call, name):
        yield _whole, _at_zero(call)


def puts_beside(call: Call, name: str) -> bool:
    """True if a call puts numbers that do not depend on the input beside those that do: padding, a class token."""
    if name in _JOINING:
        return any(not each.requires_grad for each in call.tensors())
    return name in _AFFINE


def _whole(signal: Tensor) -> Tensor:
    return signal


def _channels(signal: Tensor) -> Tensor:
    return signal.movedim(1, -1)


def _sums(call: Call, name: str) -> Iterator[tuple[Part, Tensor | float]]:
    """The operands of a sum or difference that do not depend on the input, with their signs."""
    alpha = call.kwargs.get("alpha", 1)
    factors = {"add": (1, alpha), "rsub": (-alpha, 1)}.get(name, (1, -alpha))
    for operand, factor in zip((call.args[0], call.argument(1, "other")), factors, strict=True):
        if not isinstance(operand, Tensor):
            yield _whole, float(operand * factor)
        elif not operand.requires_grad:
            yield _whole, operand * factor if factor != 1 or call.in_place else operand


def _joined(call: Call, name: str) -> Iterator[tuple[Part, Tensor]]:
    """The joined tensors that do not depend on the input."""
    dim, start = call.argument(1, "dim", 0), 0
    for number, each in enumerate(call.argument(0, "tensors")):
        if not each.numel():  # as of a cache before the first token, of any shape
            continue
        size = 1 if name == "stack" else each.shape[dim]
        if not each.requires_grad:
            yield partial(_select, dim, number) if name == "stack" else partial(_narrow, dim, start, size), each
        start += size


def _select(dim: int, number: int, signal: Tensor) -> Tensor:
    return signal.select(dim, number)


def _narrow(dim: int, start: int, size: int, signal: Tensor) -> Tensor:
    return signal.narrow(dim, start, size)


def _fills_with_zeros(call: Call, name: str) -> bool:
    """True for padding and masking by zeros, the usual ones, which add nothing."""
    if name in ("pad", "constant_pad_nd", "masked_fill"):
        place = {"pad": 3, "constant_pad_nd": 2, "masked_fill": 2}[name]
        return not isinstance(value := call.argument(place, "value"), Tensor) and not value
    return name == "where" and any(isinstance(each, (int, float)) and each == 0 for each in call.args[1:])


def _at_zero(call: Call) -> Tensor:
    """The value of a call where every argument that depends on the input is zero."""
    zeros = [(each, torch.zeros_like(each)) for each in call.tensors() if each.requires_grad]
    other = call.with_others(zeros)
    if call.in_place and not call.args[0].requires_grad:
        other = other._replace(args=(call.args[0].clone(), *other.args[1:]))
    with torch.no_grad():
        result = other.make()
    made: Tensor = other.args[0] if call.in_place else result
    return made
