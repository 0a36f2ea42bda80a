"""The constants that a call adds to what depends on the input: biases, position embeddings, class tokens, numbers."""

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from probatum.engine.calls import Call

Part = Callable[[Tensor], Tensor]
"""The part of the signal at a result that arrives at a constant."""

# Where the bias stands among the arguments.
_BIASES = {"linear": 2, "bilinear": 3, "layer_norm": 3, "group_norm": 3, "convolution": 2}
_BIASES |= {f"conv{suffix}d": 2 for suffix in ("1", "2", "3", "_transpose1", "_transpose2", "_transpose3")}
_SUMS = {"add", "sub", "subtract", "rsub"}
_PRODUCTS = {"addmm", "addbmm", "baddbmm", "addmv", "addcmul"}  # the first argument, times beta, is added to a product
_JOINING = {"cat", "concat", "concatenate", "stack"}
# Others whose value is not zero where all that depends on the input is.
_AFFINE = {"where", "masked_fill", "pad", "constant_pad_nd", "setitem", "copy", "fill"}
_AFFINE |= {"scatter", "scatter_add", "index_add", "index_copy", "index_put", "masked_scatter"}
_AFFINE |= {"hstack", "vstack", "dstack", "column_stack", "row_stack"}
ADDING = frozenset({*_BIASES, *_SUMS, *_PRODUCTS, *_JOINING, *_AFFINE, "batch_norm"})
"""The functions that may add constants."""


def added_arguments(call: Call, name: str) -> list[Tensor]:
    """The arguments that a call adds as they are, or times a number, to what depends on the input.

    Args:
        call: as it is about to be made.
        name: of the function, without underscores.
    """
    if name in _BIASES:
        found = [call.argument(_BIASES[name], "bias")]
    elif name in _SUMS:
        found = [call.argument(1, "other"), *([] if call.in_place else [call.args[0]])]
    elif name in _PRODUCTS and not call.in_place:
        found = [call.args[0]]
    elif name in _JOINING:
        found = [each for each in call.argument(0, "tensors") if each.numel()]  # as not, of a cache without tokens yet
    else:
        return []
    return [each for each in found if _is_constant(each) and each.is_floating_point()]


def other_constants(call: Call, name: str) -> Iterator[tuple[Part, Tensor | float]]:
    """What else an affine call adds: its value where all that depends on the input and `added_arguments` is zero.

    Args:
        call: as it is about to be made.
        name: of the function, without underscores.

    Returns:
        pairs of the part of a signal and a constant that broadcasts to it.
    """
    if name in _SUMS:
        yield from _numbers(call, name)
    elif name in _PRODUCTS and call.in_place and not call.args[0].requires_grad:
        yield _whole, call.args[0] * call.kwargs.get("beta", 1)
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


def _is_constant(argument: Any) -> bool:
    return isinstance(argument, Tensor) and not argument.requires_grad


def _numbers(call: Call, name: str) -> Iterator[tuple[Part, Tensor | float]]:
    """The operands of a sum or difference that are numbers, integers or overwritten, with their signs."""
    alpha = call.kwargs.get("alpha", 1)
    factors = {"add": (1, alpha), "rsub": (-alpha, 1)}.get(name, (1, -alpha))
    for place, (operand, factor) in enumerate(zip((call.args[0], call.argument(1, "other")), factors, strict=True)):
        if not isinstance(operand, Tensor):
            yield _whole, float(operand * factor)
        elif not operand.requires_grad and (not operand.is_floating_point() or (call.in_place and not place)):
            yield _whole, operand * factor


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
