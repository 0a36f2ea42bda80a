"""The rule under which a network is an affine map of its input: weights of averages, norms and gates are constants."""

import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache, partial
from typing import Any, ClassVar
from weakref import WeakValueDictionary, ref

import torch
from torch import Tensor

from probatum.engine.budget import count_saved
from probatum.engine.calls import Call, body_of, calling_module, custom_function, tensors_in
from probatum.engine.operations import TRAINING, Kind, known
from probatum.engine.rules.additive import ADDING, added_arguments, other_constants
from probatum.engine.rules.base import BackwardRule, RulePass
from probatum.engine.rules.held_functions import (
    attention_held,
    has_one_type,
    is_small_attention,
    layer_norm_held,
    slope_held,
)
from probatum.engine.rules.hooks import Arrival, Backward, Change, MadeBy, Substitute
from probatum.engine.rules.normalizations import through_norm
from probatum.engine.statistics import accumulation_dtype
from probatum.errors import ModelError

# Functions that do not vanish at zero, or not smoothly: their values are gates where they multiply something.
_GATES = {"sigmoid", "hardsigmoid", "exp", "rsqrt", "reciprocal", "softmax", "rdiv", "rtruediv"}
_SQUASHING = {"tanh", "erf"}  # 1 + tanh(x), as in formulas of GELU, is a gate, too
# Elementwise functions that are linear on either side of zero pass autograd's own gradient: it is g(x) / x.
_HOMOGENEOUS = {"relu", "leaky_relu", "prelu", "abs", "absolute"}
# Places of the factors among the arguments of multilinear functions; (0, 1) elsewhere.
_FACTORS = {"bilinear": (0, 1, 2), "addmm": (1, 2), "addbmm": (1, 2), "baddbmm": (1, 2), "addmv": (1, 2)}
_FACTORS |= {"addcmul": (1, 2)}
_WITH_MORE = {*ADDING, *TRAINING}  # linear functions that may add constants or act otherwise in training
_WITHOUT_SIGNAL = (Kind.CONSTANT, Kind.VALUE)


@dataclass(frozen=True)
class HeldCoverage:
    """The calls between the image and the logits that a backward pass went through.

    Args:
        held: calls by what is held constant or shared there: "attention weights and gates", "norms", "activations",
            "products by halves".
        without: calls that have no rule, by name and module.
    """

    held: dict[str, int] = field(default_factory=dict)
    without: dict[str, int] = field(default_factory=dict)

    def __str__(self) -> str:
        parts = [f"{count} {what}" for what, count in sorted(self.held.items())] or ["nothing to hold constant"]
        missing = ", ".join(f"{name} ({count})" for name, count in sorted(self.without.items()))
        return f"{', '.join(parts)}; {f'no rule for {missing}' if missing else 'every call has a rule'}"


@dataclass(frozen=True)
class ConstantsHeld(BackwardRule):
    """Attention weights, denominators of norms and gates are constants; an activation g is x times g(x) / x.

        layer norm (x − μ) / σ        σ held:         R_in = (w R_out − mean(w R_out)) / σ;  likewise group and RMS norm
        attention  A(x) V             A held:         R_V = Aᵀ R_out, nothing to queries and keys
        gate       a ⊙ σ(b)           σ(b) held:      R_a = σ(b) ⊙ R_out, nothing to b
        activation g(x)               slope held:     R_in = (g(x) − g(0)) / x · R_out, g′(0) at x = 0
        product    a ⊙ b, a b         by halves:      R_a = ½ b ⊙ R_out, R_b = ½ a ⊙ R_out
        all else   linear, convolution, pooling, batch norm: autograd's own gradient

    Every call then is affine in what depends on the input, so that the logits are

        f(x) = Σ x ⊙ R + Σ_b b · ∂f/∂b

    over all biases and other additive constants b. A softmax that multiplies nothing passes its own gradient; the rest
    of it, y − J x, counts among the constants.

    Source: Ali et al. (2022), arXiv:2202.07304 (norms and attention); Achtibat et al. (2024), arXiv:2402.05602
    (activations, products); the sum over biases: Srinivas & Fleuret (2019), arXiv:1905.00780, proposition 1.

    Raises (in a backward pass):
        ModelError: the logits depend on the input by a non-linear call that has no rule.
    """

    title: ClassVar[str] = "Conservative Propagation"

    def begin(self) -> "HeldPass":
        """No call seen."""
        return HeldPass(self.title)


class HeldPass(RulePass):
    """The calls of one forward pass and the sum over the constants in the backward pass.

    Args:
        title: of the method, for messages.
    """

    def __init__(self, title: str) -> None:
        self._title = title
        self._gates: WeakValueDictionary[int, Tensor] = WeakValueDictionary()
        self._squashed: WeakValueDictionary[int, Tensor] = WeakValueDictionary()
        self._gate = self._squashes = False  # whether the call that is being made returns such a tensor
        self._awaiting: Callable[[Tensor], None] | None = None  # is handed the result of the call that is being made
        self._number = 0
        self._held: dict[int, str] = {}
        self._without: dict[int, str] = {}
        self._added: list[ref[Tensor]] = []  # additive constants, as the graph has them
        self._sums: list[tuple[Tensor, Tensor]] = []
        self._unseen: dict[str, Callable[[], str]] = {}

    @property
    def coverage(self) -> HeldCoverage:
        """Coverage of the backward passes."""
        return HeldCoverage(dict(Counter(self._held.values())), dict(Counter(self._without.values())))

    @property
    def constants(self) -> tuple[Tensor, Tensor] | None:
        """Σ b · ∂f/∂b over all additive constants b in the last backward pass, and Σ |b · ∂f/∂b|."""
        if not self._sums:
            return torch.zeros(()), torch.zeros(())
        totals, sizes = (torch.stack(each).sum() for each in zip(*self._sums, strict=True))
        return totals, sizes

    def leaves(self) -> list[Tensor]:
        """The additive constants that are arguments of calls, as far as their graph still exists."""
        alive = [(each, leaf) for each in self._added if (leaf := each()) is not None]
        self._added = [each for each, _ in alive]
        return [leaf for _, leaf in alive]

    def bring(self, leaves: list[Tensor], gradients: Sequence[Tensor | None]) -> None:
        """Adds each constant times its gradient."""
        pairs = [(leaf, gradient) for leaf, gradient in zip(leaves, gradients, strict=True) if gradient is not None]
        if not pairs:
            return
        constants, signals = (
            torch.cat([each.detach().flatten() for each in side]) for side in zip(*pairs, strict=True)
        )
        self._add(_whole, constants, signals)

    @property
    def unseen(self) -> set[str]:
        """Custom autograd functions that results came from, and the modules that read these."""
        return {f"{name} (read in {place()})" for name, place in self._unseen.items()}

    def begin_backward(self) -> None:
        """No constant seen."""
        self._sums.clear()

    def require(self, model_name: str) -> None:
        """Raises ModelError where the signal went through a call without a rule."""
        if self._without:
            names = ", ".join(self.coverage.without)
            fused = "load the model with attn_implementation='sdpa' or 'eager', or " if "attention" in names else ""
            raise ModelError(
                f"{names} of {model_name} has no rule for {self._title}; {fused}use a method that needs no rules, such "
                "as Integrated Gradients or SmoothGrad"
            )

    def parts(self, call: Call) -> Callable[..., Any] | None:
        """Opens calls whose parts have rules."""
        if call.name in _OPENED and any(each.requires_grad for each in call.tensors()):
            return _OPENED[call.name](call.function)
        return None

    def before(self, call: Call) -> tuple[Change, ...]:
        """States what is held constant at a call, and which constants it adds."""
        self._gate = self._squashes = False
        dependent = [each for each in call.tensors() if each.requires_grad]
        if not dependent or not torch.is_grad_enabled():
            return ()
        kind, name = _kind_and_name(call.function)
        for each in dependent:
            if (custom := custom_function(each)) is not None:
                self._unseen.setdefault(custom, calling_module())
        if kind is Kind.LINEAR and not (self._gates or self._squashed or name in _WITH_MORE):
            return ()
        self._gate = name in _GATES or self._are_gates(dependent) or self._is_raised(call, name)
        self._squashes = name in _SQUASHING
        if kind in _WITHOUT_SIGNAL:
            return ()
        if name in TRAINING and call.kwargs.get("training", call.args[TRAINING[name] :][:1] == (True,)):
            return (self._refuse(f"{name} in training mode"),)
        changes = () if kind is None and name == "get" else self._changes(call, name, kind, dependent)
        if changes is None:
            return (self._refuse(name),)
        return (*changes, *self._additions(call, name)) if name in ADDING else changes

    def after(self, call: Call, result: Any, replaced: bool) -> None:
        """Remembers gates, and what a softmax returned."""
        if self._awaiting is not None:
            self._awaiting((call.args[0] if call.in_place else result).detach())
            self._awaiting = None
        if self._gate or self._squashes:
            for each in tensors_in([result]):  # several of `topk`, `chunk`, `unbind`
                if each.requires_grad:
                    (self._gates if self._gate else self._squashed)[id(each)] = each

    def _additions(self, call: Call, name: str) -> Iterator[Change]:
        """Puts the constants that a call adds into the graph, or looks at what arrives at them."""
        for each in added_arguments(call, name):
            leaf = each.detach().requires_grad_()
            self._added.append(ref(leaf))
            yield Substitute(each, leaf)
        for part, constant in other_constants(call, name):
            yield Arrival(partial(self._add, part, constant))

    def _changes(self, call: Call, name: str, kind: Kind | None, dependent: list[Tensor]) -> tuple[Change, ...] | None:
        """The changes at a call; None where there is no rule."""
        match kind:
            case Kind.LINEAR | Kind.POOL:
                return ()
            case Kind.ORDERED:  # a constant beside the input, as of max(x, 1), does not grow with it
                return () if len(dependent) == len(call.tensors()) else None
            case Kind.MULTILINEAR | Kind.PRODUCT:
                return self._product(call, name) if len(dependent) > 1 else ()
            case Kind.QUOTIENT:
                return self._quotient(call)
            case Kind.ELEMENTWISE:
                return self._elementwise(call, name) if len(dependent) == 1 else None
            case Kind.NORM:
                if self.sole and name == "layer_norm" and has_one_type(call):
                    return (MadeBy(layer_norm_held),)
                return (self._backward("norms", call, call.args[0], through_norm(call, name)),)
            case Kind.SOFTMAX:
                return self._as_it_is(call, name)
            case Kind.ATTENTION:
                held = (call.argument(0, "query"), call.argument(1, "key"), call.argument(3, "attn_mask"))
                changes = self._hold(call, [each for each in held if isinstance(each, Tensor) and each.requires_grad])
                return (*changes, MadeBy(attention_held)) if self.sole and is_small_attention(call) else changes
        return None

    def _product(self, call: Call, name: str) -> tuple[Change, ...] | None:
        """A product of n tensors that depend on the input gives each 1/n of its signal, and gates nothing."""
        factors = [each for each in _factors(call, name) if each.requires_grad]
        if len(factors) < 2:
            return ()
        values = [each for each in factors if not self._is_gate(each)] or factors
        held = self._hold(call, [each for each in factors if all(each is not value for value in values)])
        if len(values) == 1:
            return held
        share = 1 / len(values)
        shared = [self._backward("products by halves", call, each, lambda plain, _: plain * share) for each in values]
        return (*held, *shared)

    def _quotient(self, call: Call) -> tuple[Change, ...] | None:
        """A denominator is held constant."""
        above, below = call.argument(0), call.argument(1, "other")
        if not isinstance(below, Tensor) or not below.requires_grad:
            return ()
        if not isinstance(above, Tensor) or not above.requires_grad:
            self._gate = True
            return None
        return self._hold(call, [below])

    def _elementwise(self, call: Call, name: str) -> tuple[Change, ...] | None:
        """(g(x) − g(0)) / x in place of the derivative; g(0) is a constant."""
        if name in _HOMOGENEOUS:
            return ()
        x = call.args[0]
        if not isinstance(x, Tensor) or not x.requires_grad or len(call.tensors()) > 1:
            return None
        start, slope = _at_zero(call.function, call.args[1:], tuple(sorted(call.kwargs.items())))
        if not math.isfinite(start) or not math.isfinite(slope):
            return None
        constant = (Arrival(partial(self._add, _whole, start)),) if start else ()
        if self.sole and not call.in_place:
            return (MadeBy(slope_held(call.function, partial(_secant, start=start, slope=slope))), *constant)
        kept = x.detach().clone() if call.in_place else x.detach()
        slopes = list[Tensor]()

        def keep_slope(y: Tensor) -> None:  # now, because the model may overwrite x or y afterwards
            slopes.append(_secant(y, kept, start, slope))
            count_saved(slopes[0])

        self._awaiting = keep_slope
        passed_on = partial(_times, slopes)
        return (self._backward("activations", call, x, passed_on), *constant)

    def _as_it_is(self, call: Call, name: str) -> tuple[Change, ...]:
        """Autograd's own gradient J; y − J x is a constant, which y alone tells."""
        returned = list[Tensor]()
        self._awaiting = returned.append
        dim = call.argument(1, "dim", -1)

        def seen(signal: Tensor) -> None:
            y = returned[0]
            if name == "softmax":
                inner = torch.special.entr(y)  # −y log y
                rest = y + inner - y * inner.sum(dim, keepdim=True)
            else:
                rest = -torch.special.entr(y.exp()).sum(dim, keepdim=True).expand_as(y)
            self._add(_whole, rest, signal)

        return (Arrival(seen),)

    def _hold(self, call: Call, held: list[Tensor]) -> tuple[Change, ...]:
        """Nothing passes to these arguments."""
        if self.sole and not (call.in_place and any(each is call.args[0] for each in held)):
            return tuple(Substitute(each, each.detach()) for each in held)
        return tuple(self._backward("attention weights, gates and denominators", call, each, _stop) for each in held)

    def _backward(
        self, what: str, call: Call, argument: Tensor, passed_on: Callable[[Tensor, Tensor], Tensor | None]
    ) -> Backward:
        """A change that is counted once for each call."""
        self._number += 1
        number = self._number

        def counted(plain: Tensor, arriving: Tensor) -> Tensor | None:
            self._held[number] = what
            return passed_on(plain, arriving)

        return Backward(argument, counted, apart=not call.in_place)

    def _refuse(self, name: str) -> Arrival:
        """Notes a call without a rule, if the signal arrives there."""
        self._number += 1
        number, place = self._number, calling_module()

        def seen(signal: Tensor) -> None:
            self._without[number] = f"{name} in {place()}"

        return Arrival(seen)

    def _add(self, part: Callable[[Tensor], Tensor], constant: Tensor | float, signal: Tensor) -> None:
        """Adds a constant times the signal that arrives at it."""
        signal = part(signal)
        if isinstance(constant, Tensor):
            signal = signal.sum_to_size(constant.shape) if signal.shape != constant.shape else signal
        else:
            signal = signal.sum()
        share = signal.to(accumulation_dtype(signal.dtype)) * constant
        self._sums.append((share.sum(), share.abs().sum()))

    def _are_gates(self, tensors: list[Tensor]) -> bool:
        return bool(self._gates) and all(self._is_gate(each) for each in tensors)

    def _is_gate(self, tensor: Tensor) -> bool:
        return self._gates.get(id(tensor)) is tensor

    def _is_raised(self, call: Call, name: str) -> bool:
        """True for 1 + tanh(x) and the like."""
        if not self._squashed or name not in ("add", "sub", "rsub"):
            return False
        return any(self._squashed.get(id(each)) is each for each in call.tensors()) and len(call.args) == 2


@lru_cache(1024)
def _kind_and_name(function: Callable[..., Any]) -> tuple[Kind | None, str]:
    """The kind of a function and its name without underscores."""
    kind, spelling = known(function)
    return kind, spelling.strip("_")


def _factors(call: Call, name: str) -> list[Tensor]:
    """The factors among the arguments of a product."""
    if name == "einsum":
        return call.tensors()
    places = _FACTORS.get(name, (0, 1))
    return [each for each in call.tensors() if any(each is call.argument(place, "") for place in places)]


def _stop(plain: Tensor, arriving: Tensor) -> None:
    """Lets nothing pass."""


def _whole(signal: Tensor) -> Tensor:
    return signal


def _times(slopes: list[Tensor], plain: Tensor, arriving: Tensor) -> Tensor:
    return slopes[0] * arriving


def _secant(y: Tensor, x: Tensor, start: float, slope: float) -> Tensor:
    """(g(x) − g(0)) / x; g′(0) where x is zero, or so close to it that the difference has lost half of its digits."""
    near = x.abs() <= torch.finfo(x.dtype).eps ** 0.5 if start else x == 0
    return (y - start if start else y).div(x).masked_fill_(near, slope)  # NaN where x is infinite


@lru_cache
def _at_zero(
    function: Callable[..., Any], args: tuple[Any, ...], kwargs: tuple[tuple[str, Any], ...]
) -> tuple[float, float]:
    """The value and the slope of an elementwise function at zero."""
    with torch.enable_grad():
        zero = torch.zeros((), dtype=torch.float64, requires_grad=True)
        value = function(zero.clone(), *args, **dict(kwargs))
        (slope,) = torch.autograd.grad(value, zero)
    return float(value.detach()), float(slope)


def _glu(input: Tensor, dim: int = -1) -> Tensor:
    value, gate = input.chunk(2, dim)
    return value * gate.sigmoid()


def _rms_norm(
    input: Tensor, normalized_shape: Sequence[int], weight: Tensor | None = None, eps: float | None = None
) -> Tensor:
    dims = tuple(range(-len(normalized_shape), 0))
    normed = input * (input.square().mean(dims, keepdim=True) + (eps or torch.finfo(input.dtype).eps)).rsqrt()
    return normed if weight is None else normed * weight


_OPENED: dict[str, Callable[[Callable[..., Any]], Callable[..., Any]]] = {
    "multi_head_attention_forward": body_of,
    "normalize": body_of,
    "glu": lambda function: _glu,
    "rms_norm": lambda function: _rms_norm,
}
