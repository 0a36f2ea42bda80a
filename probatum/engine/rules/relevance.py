"""Layer-wise relevance propagation: the backward pass carries relevance, and each call shares its own out.

Relevance arrives at the result of a call and is passed on to its arguments:

- layers with weights (convolutions, linear layers) follow a rule of `layer_rules.py`, chosen by a composite;
- functions of one number, and batch norms, pass relevance on unchanged, for each result has one input. A batch norm
  that alone reads a convolution or linear layer is folded into it first;
- sums of several numbers (residual sums, means, average pools) share it out in proportion to the summands;
- what moves numbers (reshaping, slices, concatenation, max-pools to the place of the maximum) moves relevance, as
  autograd's own gradient does; what arrives at constants beside them, such as padding, is absorbed;
- everything else is refused by name.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.weak import WeakTensorKeyDictionary

from probatum.engine.budget import count_saved
from probatum.engine.calls import Call, calling_module, tensors_in
from probatum.engine.folding import NormParameters, folded_parameters
from probatum.engine.operations import Kind, known
from probatum.engine.rules.additive import puts_beside
from probatum.engine.rules.base import BackwardRule, RulePass
from probatum.engine.rules.hooks import Arrival, Backward, Change
from probatum.engine.rules.layer_rules import Epsilon, LayerRule, LinearLayer, stabilized
from probatum.errors import ModelError

_CONVOLUTIONS = {"conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d"}
_DENSE = {"linear", "matmul", "mm"}
_SUMS = {
    *("sum", "mean", "cumsum", "fold", "interpolate", "upsample", "upsample_nearest", "upsample_bilinear"),
    *("avg_pool1d", "avg_pool2d", "avg_pool3d"),
    *("adaptive_avg_pool1d", "adaptive_avg_pool2d", "adaptive_avg_pool3d"),
}
_SIGNS = {"add": 1, "sub": -1, "subtract": -1}  # of the second summand
_ONE_INPUT = {"neg", "negative", "rsub", "mul", "multiply", "div", "divide", "true_divide", *_SIGNS}
_ACCUMULATING = {"scatter_add", "index_add"}  # sums of which the summands do not show
_EPSILON = Epsilon()


@dataclass(frozen=True)
class RelevanceRule(BackwardRule):
    """Carries relevance from the logit, where it is 1, to the input.

    Args:
        dense: the rule of linear layers.
        convolution: the rule of convolutions.
        first: the rule of the layers that read the image itself; None for none of their own.
    """

    alone: ClassVar[bool] = True
    dense: LayerRule
    convolution: LayerRule
    first: LayerRule | None = None

    def begin(self) -> "RelevancePass":
        """No call seen."""
        return RelevancePass(self)


@dataclass(eq=False)
class _Weighted:
    """A call with weights, and the batch norm that reads its result.

    Args:
        layer: what it computes.
        foldable: whether the first axis of its weights is the second of its result, the channels of a batch norm.
        version: of its result when it was made.
        norm: the parameters of the batch norm that reads its result, if one does.
        passed: the relevance that this batch norm has passed on, in the backward pass under way.
    """

    layer: LinearLayer
    foldable: bool
    version: int = 0
    norm: NormParameters | None = None
    passed: Tensor | None = None

    def folded(self, arriving: Tensor) -> LinearLayer:
        """The layer and the batch norm as one, where that alone reads its result and all relevance comes from it."""
        passed, self.passed = self.passed, None
        if self.norm is None or passed is None or passed.data_ptr() != arriving.data_ptr():
            return self.layer
        a, weight, bias, apply = self.layer
        assert weight is not None, "a layer with weights"
        weight, shift = folded_parameters(weight, None if bias is None else bias.flatten(), self.norm)
        return LinearLayer(a, weight, _beside(shift, weight), apply)


class RelevancePass(RulePass):
    """The calls of one forward pass, and what became of the relevance.

    Args:
        rule: of the layers.
    """

    def __init__(self, rule: RelevanceRule) -> None:
        self._rule = rule
        self._behind = WeakTensorKeyDictionary()  # tensors that a layer with weights is part of
        self._weighted = WeakTensorKeyDictionary()  # the results of such layers: the layer of each
        self._making: _Weighted | None = None  # the layer of the call under way
        self._absorbed: list[tuple[Tensor, Tensor]] = []

    def begin_backward(self) -> None:
        """Nothing is absorbed yet."""
        self._absorbed.clear()

    def lacking(self, points: Tensor, signal: Tensor, logits: Tensor) -> tuple[Tensor, ...]:
        """Relevance that was lost or made on the way from the logits, each of which had 1."""
        arrived = signal.double()
        found = [(arrived.sum() - len(signal), arrived.abs().sum()), *self._absorbed]
        delta, sizes = (torch.stack(each) for each in zip(*found, strict=True))
        return delta.sum(), sizes.max()

    def require(self, model_name: str) -> None:
        """Calls without a rule were refused in the forward pass."""

    def before(self, call: Call) -> tuple[Change, ...]:
        """What a call passes on; ModelError where it has no rule."""
        self._making = None
        dependent = [each for each in call.tensors() if each.requires_grad] if torch.is_grad_enabled() else []
        if not dependent:
            return ()
        kind, _ = known(call.function)
        name, first = call.name, bool(call.args) and call.args[0] is dependent[0]
        if kind in (Kind.CONSTANT, Kind.VALUE) or (kind is Kind.POOL and first):
            return ()
        if len(dependent) == 1:
            if first and name in _CONVOLUTIONS | _DENSE:
                return (self._through_weights(call),)
            if first and name in _SUMS:
                return (self._through_sum(call),)
            if first and name == "batch_norm":
                return (self._through_norm(call),)
            if kind is Kind.ELEMENTWISE or name in _ONE_INPUT:
                return (_change(call, dependent[0], _unchanged),)
        if len(dependent) == 2 and name in _SIGNS and len(call.args) == 2 and not call.kwargs:
            return self._through_addition(call)
        if kind is Kind.LINEAR and name not in _SUMS | _ONE_INPUT | _ACCUMULATING:
            return self._beside_constants(call, dependent) if puts_beside(call, name) else ()
        if kind is None and not any(each.requires_grad for each in tensors_in([call.make()])):  # sizes, types, masks
            return ()
        raise ModelError(
            f"{name} in {calling_module()()} has no rule for LRP; use Conservative Propagation, which has rules for "
            "transformers, or a method that needs none, such as Integrated Gradients"
        )

    def after(self, call: Call, result: Any, replaced: bool) -> None:
        """Notes which layer made the result, and what is behind a layer with weights."""
        made = [each for each in tensors_in([result, *call.args[: call.in_place]]) if each.requires_grad]
        if self._making is not None:
            self._making.version = result._version
            if self._making.foldable:
                self._weighted[result] = self._making
        if self._making is not None or any(each in self._behind for each in call.tensors()):
            for each in made:
                self._behind[each] = True

    def _through_weights(self, call: Call) -> Backward:
        """A convolution or linear layer, by the rule of its kind or that of first layers."""
        x, convolution = call.args[0], call.name in _CONVOLUTIONS
        layer = _linear_layer(call) if call.name not in ("matmul", "mm") else _product(call)
        usual = self._rule.convolution if convolution else self._rule.dense
        rule = (None if x in self._behind else self._rule.first) or usual
        foldable = call.name in ("conv1d", "conv2d", "conv3d") or (call.name == "linear" and x.ndim == 2)
        weighted = self._making = _Weighted(layer, foldable)

        def pass_on(plain: Tensor, arriving: Tensor) -> Tensor:
            return self._pass_on(rule, weighted.folded(arriving), arriving)

        return _change(call, x, pass_on)

    def _through_sum(self, call: Call) -> Backward:
        """A mean, a sum, an average pool: in proportion to the summands."""

        def apply(a: Tensor, w: Tensor | None) -> Tensor:
            found: Tensor = call.function(a, *call.args[1:], **call.kwargs)
            return found

        layer = LinearLayer(_copy(call.args[0]), None, None, apply)
        return _change(call, call.args[0], lambda plain, arriving: self._pass_on(_EPSILON, layer, arriving))

    def _through_addition(self, call: Call) -> tuple[Backward, ...]:
        """A residual sum: in proportion to the two summands."""
        first, second = (_copy(each) for each in call.args)
        second = _SIGNS[call.name] * second

        def share(summand: Tensor, plain: Tensor, arriving: Tensor) -> Tensor:
            z = first + second
            part = arriving / stabilized(z, _EPSILON.epsilon)
            if summand is first:  # once for both
                self._note(arriving, (arriving - part * z).sum(dtype=torch.float64))
            return (summand * part).sum_to_size(summand.shape)

        return tuple(_change(call, x, partial(share, each)) for x, each in zip(call.args, (first, second), strict=True))

    def _beside_constants(self, call: Call, dependent: list[Tensor]) -> tuple[Change, ...]:
        """Relevance that arrives at constants, such as padding or a class token, is absorbed there."""

        def arrived(signal: Tensor) -> None:
            self._note(signal, signal.sum(dtype=torch.float64))

        def moved(plain: Tensor, arriving: Tensor) -> Tensor:
            self._note(plain, -plain.sum(dtype=torch.float64))
            return plain

        written = call.args[0] if call.in_place else None
        return (Arrival(arrived), *(Backward(each, moved, apart=each is not written) for each in dependent))

    def _through_norm(self, call: Call) -> Backward:
        """A batch norm: part of the layer whose result it reads; by itself, each result has one input."""
        x, mean = call.args[0], call.argument(1, "running_mean")
        weighted: _Weighted | None = self._weighted.get(x)  # type: ignore[no-untyped-call]
        if weighted is None or weighted.version != x._version or call.function is not F.batch_norm or mean is None:
            return _change(call, x, _unchanged)
        weighted.norm = NormParameters(
            mean,
            call.argument(2, "running_var"),
            call.argument(3, "weight"),
            call.argument(4, "bias"),
            call.argument(7, "eps", 1e-5),
        )

        def note(plain: Tensor, arriving: Tensor) -> Tensor:
            weighted.passed = arriving
            return arriving

        return _change(call, x, note)

    def _pass_on(self, rule: LayerRule, layer: LinearLayer, arriving: Tensor) -> Tensor:
        found, absorbed = rule.passed_on(layer, arriving)
        self._note(arriving, absorbed)
        return found

    def _note(self, arriving: Tensor, absorbed: Tensor) -> None:
        """Adds what was absorbed at a call, and the size of what arrived there."""
        self._absorbed.append((absorbed, arriving.abs().sum(dtype=torch.float64)))


def _change(call: Call, argument: Tensor, passed_on: Callable[[Tensor, Tensor], Tensor]) -> Backward:
    """What an argument gets, also where the call is several operations for autograd."""
    return Backward(argument, passed_on, apart=not call.in_place)


def _unchanged(plain: Tensor, arriving: Tensor) -> Tensor:
    """All relevance, for each result has one input."""
    return arriving.sum_to_size(plain.shape)


def _linear_layer(call: Call) -> LinearLayer:
    """A call of (input, weight, bias, ...), in the input's type: under autocast, weights are of another."""
    kind = call.args[0].dtype
    weight, bias = call.argument(1, "weight").to(kind), call.argument(2, "bias")
    options = {key: value for key, value in call.kwargs.items() if key not in ("weight", "bias")}

    def apply(a: Tensor, w: Tensor | None) -> Tensor:
        found: Tensor = call.function(a, w, None, *call.args[3:], **options)
        return found

    return LinearLayer(_copy(call.args[0]), weight, None if bias is None else _beside(bias.to(kind), weight), apply)


def _product(call: Call) -> LinearLayer:
    """A product of matrices, of which the second is constant."""

    def apply(a: Tensor, w: Tensor | None) -> Tensor:
        found: Tensor = call.function(a, w)
        return found

    weight = call.args[1] if len(call.args) > 1 else next(iter(call.kwargs.values()))
    return LinearLayer(_copy(call.args[0]), weight.to(call.args[0].dtype), None, apply)


def _beside(bias: Tensor, weight: Tensor) -> Tensor:
    """A bias in a shape that can be added to the results of a layer with these weights."""
    return bias.reshape(-1, *[1] * (weight.ndim - 2))


def _copy(tensor: Tensor) -> Tensor:
    """A copy, for later calls may overwrite the tensor."""
    copied = tensor.detach().clone()
    count_saved(copied)
    return copied
