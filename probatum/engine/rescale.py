"""The rescale rule of DeepLIFT at every call of a non-linearity, and the refusal of operations that have no rule.

A forward pass on the baselines comes first and keeps the inputs of each non-linear call. In the forward pass on the
points, the k-th such call meets the k-th record, and its gradient becomes the multiplier Δout/Δin between the two. The
state belongs to the call and not to a module, so reused, in-place, functional and adjacent non-linearities are alike.
"""

import inspect
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from probatum.engine.budget import count_saved
from probatum.engine.calls import Call
from probatum.engine.operations import POOLS, SMOOTH, TRAINING, Kind, known
from probatum.engine.prepared_model import PreparedModel
from probatum.errors import ModelError

_Function = Callable[..., Any]
_ADVICE = "use a method that needs no rules, such as Integrated Gradients or GradientSHAP"


class _Linearized(torch.autograd.Function):
    """The value of one tensor with the gradient of another."""

    @staticmethod
    def forward(ctx: Any, surrogate: Tensor, value: list[Tensor]) -> Tensor:
        # In a list, so that autograd does not see it as an input, of which a returned one would come back as an alias.
        return value.pop()

    @staticmethod
    def backward(ctx: Any, *signals: Tensor) -> tuple[Tensor, None]:
        return signals[0], None


class RescaleRule(TorchFunctionMode):
    """Gives every non-linear call of a forward pass the multiplier between a point and its baseline as its gradient.

    Use `record` for the pass on the baselines, then the mode itself for the pass on the points, then `finish`.

    A tensor depends on the input iff it requires a gradient, because the parameters of a prepared model are frozen.
    Calls on other tensors are left alone. On dependent ones, linear operations have their gradient for a multiplier
    already; elementwise functions, max-pools, norms and products of two dependent tensors have rules; all else is
    refused by name.

    Source: Shrikumar et al. (2017), arXiv:1704.02685, sections 3.2 and 3.5.1.
    """

    def __init__(self, prepared: PreparedModel) -> None:
        super().__init__()
        self._view = prepared
        self._recording = False
        self._records: list[tuple[str, tuple[Tensor, ...]]] = []
        self._next = 0

    @contextmanager
    def record(self) -> Iterator[None]:
        """The forward pass on the baselines; its graph only tells what depends on the input, so it keeps no tensor."""
        self._recording = True
        try:
            with torch.autograd.graph.saved_tensors_hooks(_drop, _drop), self:
                yield
        finally:
            self._recording = False

    def finish(self) -> None:
        """Raises ModelError where the pass on the points made fewer non-linear calls than that on the baselines."""
        if self._next < len(self._records):
            raise self._diverged()

    def __torch_function__(
        self, func: _Function, types: Iterable[type], args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = dict(kwargs or {})
        if not args and "input" in kwargs:
            args = (kwargs.pop("input"),)
        tensors = _tensors((*args, *kwargs.values()))
        dependent = [tensor for tensor in tensors if tensor.requires_grad]
        if not dependent:
            return func(*args, **kwargs)
        kind, name = known(func)
        alone = len(dependent) == 1
        first = alone and bool(args) and args[0] is dependent[0]
        if name in TRAINING and kwargs.get("training", kwargs.get("train", args[TRAINING[name] :][:1] == (True,))):
            raise self._refused(f"{name} in training mode", "is no function of one image, so it has no")
        if (
            kind in (Kind.LINEAR, Kind.CONSTANT)
            or (kind in (Kind.MULTILINEAR, Kind.PRODUCT) and alone)
            or (kind is Kind.QUOTIENT and first)
        ):
            return func(*args, **kwargs)
        if kind is Kind.POOL and first:
            return self._apply(name, args[:1], func, args, kwargs, lambda start: _pool(name, args, start, kwargs))
        if kind is Kind.NORM and first:
            return self._apply(name, args[:1], func, args, kwargs, partial(_norm, Call(name, func, args, kwargs)))
        if kind is Kind.ELEMENTWISE and first and (len(tensors) == 1 or name == "prelu"):
            return self._apply(name, args[:1], func, args, kwargs, partial(_elementwise, name, func, args, kwargs))
        if kind is Kind.PRODUCT and len(dependent) == len(args) == 2:
            return self._apply(name, args, func, args, kwargs, lambda *starts: _product(args, starts))
        if kind is None:
            result = func(*args, **kwargs)
            if not _tensors([result]):  # sizes, types and the like
                return result
        raise self._refused(name, "has no")

    def _apply(
        self,
        name: str,
        operands: tuple[Tensor, ...],
        func: _Function,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        rule: Callable[..., tuple[Tensor, Tensor]],
    ) -> Any:
        if self._recording:
            # Copies, because the call itself or a later one may overwrite them.
            starts = tuple(operand.detach().clone() for operand in operands)
            for start in starts:
                count_saved(start)
            self._records.append((name, starts))
            return func(*args, **kwargs)
        if self._next >= len(self._records):
            raise self._diverged()
        recorded, starts = self._records[self._next]
        if recorded != name or [start.shape for start in starts] != [operand.shape for operand in operands]:
            raise self._diverged()
        self._records[self._next] = (name, ())  # its multiplier takes its place in memory
        self._next += 1
        value, surrogate = rule(*starts)
        result = _Linearized.apply(surrogate, [value])
        return operands[0].copy_(result) if _in_place(name, kwargs) else result

    def _refused(self, name: str, why: str) -> ModelError:
        return ModelError(f"{name} in {self._place()} {why} rule for DeepLIFT's multipliers; {_ADVICE}")

    def _diverged(self) -> ModelError:
        return ModelError(
            f"the forward pass of {self._view.name} on the baseline makes other calls than that on the image, so they "
            f"cannot be compared call by call; {_ADVICE}"
        )

    def _place(self) -> str:
        """The innermost module of the model whose forward pass is under way."""
        paths = {id(module): path for path, module in self._view.model.named_modules()}
        frame = inspect.currentframe()
        while frame is not None:
            owner = frame.f_locals.get("self")
            if isinstance(owner, nn.Module) and paths.get(id(owner)):
                return f"{paths[id(owner)]!r} of {self._view.name}"
            frame = frame.f_back
        return self._view.name


def _elementwise(
    name: str, func: _Function, args: tuple[Any, ...], kwargs: dict[str, Any], start: Tensor
) -> tuple[Tensor, Tensor]:
    """M = (f(x) − f(x′)) / (x − x′), and the derivative half way where the two are too close to divide."""
    x, in_place = args[0], _in_place(name, kwargs)

    def function(at: Tensor) -> Tensor:
        result: Tensor = func(at.clone() if in_place else at, *args[1:], **kwargs)
        return result

    point = x.detach()
    value = function(point)
    way = point - start
    # A smooth function's quotient errs by ε/Δ, its derivative half way by Δ²: they meet at the cube root of ε. Where a
    # kink may lie between the two, or the scale is unknown, only x = x′ has no quotient.
    limit = torch.finfo(x.dtype).eps ** (1 / 3) if name in SMOOTH else 0.0
    if name in ("relu", "relu_"):
        slope = (point > 0).to(x.dtype)
    else:
        with torch.enable_grad():
            middle = ((point + start) / 2).requires_grad_()
            (slope,) = torch.autograd.grad(function(middle.clone()).sum(), middle)
    multiplier = torch.where(way.abs() <= limit, slope, (value - function(start)).div_(way))
    return value, multiplier * x


def _pool(name: str, args: tuple[Any, ...], start: Tensor, kwargs: dict[str, Any]) -> tuple[Tensor, Tensor]:
    """Δmax = Δx at the point's argmax · m where the maximum rose, at the baseline's argmax where it fell.

    If the point's maximum x_i is the larger one, x_i − x′_i ≥ x_i − max x′ ≥ 0, and likewise the other way round: so m
    lies between 0 and 1 and there is no division by zero but for equal maxima of equal inputs, where m = 1.
    """
    x, (pool, dimensions) = args[0], POOLS[name]
    options = {key: option for key, option in kwargs.items() if key != "return_indices"}
    value, where = pool(x.detach(), *args[1:], **options)
    low, low_where = pool(start, *args[1:], **options)
    rise = value - low
    chosen = torch.where(rise >= 0, where, low_where).flatten(-dimensions)  # (..., windows), places in the plane
    # The backward pass of `gather` adds up what overlapping windows send to one place.
    picked = x.flatten(-dimensions).gather(-1, chosen)
    way = picked.detach() - start.flatten(-dimensions).gather(-1, chosen)
    multiplier = torch.where(way == 0, 1.0, rise.flatten(-dimensions).div_(way))
    return value, (multiplier * picked).reshape(value.shape)


def _norm(call: Call, start: Tensor) -> tuple[Tensor, Tensor]:
    """The rules of products and of elementwise functions along y = c r w, c = x − μ, r = 1 / √(v + ε), v = mean(c²).

        Δ(c r) = Δc (r + r′)/2 + (c + c′)/2 Δr,   Δr = −(r r′)² / (r + r′) · Δv,   Δv = mean(Δc (c + c′))

    RMS norm has no μ. Δr/Δv is written so that no two close numbers are subtracted.
    """
    x, weight = call.args[0], call.argument(2, "weight")
    if call.name == "group_norm":
        grouped: tuple[int, ...] = (len(x), call.argument(1, "num_groups"), -1)
        axes: tuple[int, ...] = (-1,)
        weight = None if weight is None else weight.reshape(-1, *(1,) * (x.ndim - 2))
    else:
        grouped, axes = x.shape, tuple(range(-len(call.argument(1, "normalized_shape")), 0))
    epsilon = call.argument(3 if call.name == "rms_norm" else 4, "eps", None if call.name == "rms_norm" else 1e-5)

    def centered(z: Tensor) -> tuple[Tensor, Tensor]:
        c = z.reshape(grouped)
        if call.name != "rms_norm":
            c = c - c.mean(axes, keepdim=True)
        variance = c.detach().square().mean(axes, keepdim=True)
        return c, (variance + (torch.finfo(z.dtype).eps if epsilon is None else epsilon)).rsqrt()

    (c, r), (start_c, start_r) = centered(x), centered(start)
    both = c.detach() + start_c
    fall = (r * start_r).square() / (r + start_r)
    surrogate = c * ((r + start_r) / 2) - both / 2 * fall * (c * both).mean(axes, keepdim=True)
    surrogate = surrogate.reshape(x.shape)
    value: Tensor = call._replace(args=(x.detach(), *call.args[1:])).make()
    return value, surrogate if weight is None else surrogate * weight


def _product(args: tuple[Tensor, ...], starts: tuple[Tensor, ...]) -> tuple[Tensor, Tensor]:
    """Δ(ab) = Δa · (b + b′)/2 + Δb · (a + a′)/2, which is exact and treats both factors alike."""
    (a, b), (a_start, b_start) = args, starts
    surrogate = a * ((b.detach() + b_start) / 2) + ((a.detach() + a_start) / 2) * b
    return a.detach() * b.detach(), surrogate


def _drop(saved: Any) -> Any:
    """Keeps nothing of what autograd wants to save."""


def _in_place(name: str, kwargs: dict[str, Any]) -> bool:
    return (name.endswith("_") and not name.endswith("__")) or bool(kwargs.get("inplace", False))


def _tensors(values: Iterable[Any]) -> list[Tensor]:
    """All tensors in nested arguments."""
    found: list[Tensor] = []
    for value in values:
        if isinstance(value, Tensor):
            found.append(value)
        elif isinstance(value, (tuple, list)):
            found += _tensors(value)
    return found
