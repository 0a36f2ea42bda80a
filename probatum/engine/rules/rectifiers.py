"""Finds the calls that compute max(x, 0), or min(max(x, 0), c), in whatever way a model spells them."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any
from weakref import ref

import torch
from torch import Tensor

from probatum.engine.budget import count_saved
from probatum.engine.calls import Call


@dataclass(frozen=True, eq=False)
class Rectifier:
    """A call that computes max(x, 0), or min(max(x, 0), ceiling).

    Args:
        x: its input.
        ceiling: the largest value that it returns.
        strict: whether its own gradient is zero at x = 0 and at the ceiling, as that of a ReLU is.
    """

    x: Tensor
    ceiling: float = math.inf
    strict: bool = True

    def outside(self) -> Tensor:
        """Where x is not between 0 and the ceiling; made before the call, which may overwrite x."""
        x = self.x.detach()
        outside = (x <= 0) if self.ceiling == math.inf else (x <= 0) | (x >= self.ceiling)
        count_saved(outside)
        return outside


@dataclass(frozen=True, eq=False)
class _Sign:
    """A mask that tells the sign of a tensor.

    Args:
        mask: the mask.
        x: the tensor.
        version: of the tensor when the mask was made.
        positive: whether the mask is true where x > 0; else it is true where x < 0. Zeros may be on either side.
    """

    mask: "ref[Tensor]"
    x: "ref[Tensor]"
    version: int
    positive: bool


class RectifierFinder:
    """Finds rectifiers among the calls of one forward pass; remembers masks such as `x > 0` until they are used."""

    def __init__(self) -> None:
        self._signs: dict[int, _Sign] = {}

    def find(self, call: Call) -> Rectifier | None:
        """The rectifier that a call computes; None where it computes something else."""
        name = call.name
        if name in _BY_ARGUMENTS:
            return _BY_ARGUMENTS[name](call)
        if self._signs and name in _BY_MASK:
            return _BY_MASK[name](call, self._sign)
        return None

    def note(self, call: Call, result: Any) -> None:
        """Remembers the result of a call where it is a mask of signs."""
        if not isinstance(result, Tensor):
            return
        name, x = call.name, call.argument(0)
        if name in _COMPARISONS and isinstance(x, Tensor) and _is_zero(call.argument(1, "other")):
            self._signs[id(result)] = _Sign(ref(result), ref(x), x._version, _COMPARISONS[name])
        elif name in _CONVERSIONS and self._signs:
            sign = self._signs.get(id(x))
            if sign is not None and sign.mask() is x:
                positive = sign.positive ^ (name in _NEGATIONS)
                self._signs[id(result)] = replace(sign, mask=ref(result), positive=positive)

    def _sign(self, mask: Any, x: Any) -> bool | None:
        """True for a mask of x > 0, False for one of x < 0, None for any other value."""
        sign = self._signs.get(id(mask))
        if sign is None or not isinstance(x, Tensor) or sign.mask() is not mask or sign.x() is not x:
            return None
        return sign.positive if sign.version == x._version else None


_Signs = Callable[[Any, Any], bool | None]
_COMPARISONS = {"gt": True, "ge": True, "greater": True, "greater_equal": True}
_COMPARISONS |= {"lt": False, "le": False, "less": False, "less_equal": False}
_NEGATIONS = {"logical_not", "bitwise_not", "invert"}
_CONVERSIONS = {"to", "type", "type_as", "float", "double", "half", "bfloat16", "bool"} | _NEGATIONS


def _relu(call: Call) -> Rectifier:
    return Rectifier(call.args[0])


def _relu6(call: Call) -> Rectifier:
    return Rectifier(call.args[0], 6.0)


def _hardtanh(call: Call) -> Rectifier | None:
    low, high = call.argument(1, "min_val", -1.0), call.argument(2, "max_val", 1.0)
    return Rectifier(call.args[0], float(high)) if low == 0 < high else None


def _threshold(call: Call) -> Rectifier | None:
    zero = call.argument(1, "threshold") == 0 == call.argument(2, "value")
    return Rectifier(call.args[0]) if zero else None


def _clamp(call: Call) -> Rectifier | None:
    low, high = call.argument(1, "min"), call.argument(2, "max", math.inf)
    if not _is_zero(low) or (isinstance(high, Tensor) and (high.requires_grad or high.numel() != 1)):
        return None
    ceiling = math.inf if high is None else float(high)
    return Rectifier(call.args[0], ceiling, strict=False) if ceiling > 0 else None


def _clamp_min(call: Call) -> Rectifier | None:
    return Rectifier(call.args[0], strict=False) if _is_zero(call.argument(1, "min")) else None


def _maximum(call: Call) -> Rectifier | None:
    pair = call.argument(0), call.argument(1, "other")
    if not all(isinstance(each, Tensor) for each in pair):  # the maximum along a dimension
        return None
    for x, other in (pair, pair[::-1]):
        fits = torch.broadcast_shapes(other.shape, x.shape) == x.shape  # type: ignore[no-untyped-call]
        if fits and _is_zero(other):
            return Rectifier(x, strict=False)
    return None


def _where(call: Call, sign: _Signs) -> Rectifier | None:
    condition, chosen = call.argument(0, "condition"), call.argument(1, "self")
    if isinstance(chosen, Tensor) and chosen.dtype == torch.bool:  # the method, x.where(condition, other)
        condition, chosen = chosen, condition
    otherwise = call.argument(2, "other")
    for x, other, positive in ((chosen, otherwise, True), (otherwise, chosen, False)):
        if sign(condition, x) is positive and _is_zero(other):
            return Rectifier(x, strict=False)
    return None


def _mul(call: Call, sign: _Signs) -> Rectifier | None:
    pair = call.argument(0), call.argument(1, "other")
    for x, mask in (pair, pair[::-1]):
        if sign(mask, x) is True:
            return Rectifier(x, strict=False)
    return None


def _masked_fill(call: Call, sign: _Signs) -> Rectifier | None:
    mask, value = call.argument(1, "mask"), call.argument(2, "value")
    return Rectifier(call.args[0], strict=False) if sign(mask, call.args[0]) is False and _is_zero(value) else None


_BY_ARGUMENTS: dict[str, Callable[[Call], Rectifier | None]] = {
    "relu": _relu,
    "relu6": _relu6,
    "hardtanh": _hardtanh,
    "threshold": _threshold,
    "clamp": _clamp,
    "clip": _clamp,
    "clamp_min": _clamp_min,
    "maximum": _maximum,
    "fmax": _maximum,
    "max": _maximum,
}
_BY_MASK: dict[str, Callable[[Call, _Signs], Rectifier | None]] = {
    "where": _where,
    "mul": _mul,
    "multiply": _mul,
    "rmul": _mul,
    "imul": _mul,
    "masked_fill": _masked_fill,
    "setitem": _masked_fill,
}


def _is_zero(value: Any) -> bool:
    """True if a number or a constant tensor is zero."""
    if isinstance(value, Tensor):
        return not value.requires_grad and not bool(value.any())
    return isinstance(value, (int, float)) and value == 0
