"""One model call: a forward pass on some points and the backward passes that the methods need there."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.autograd.graph import GradientEdge, get_gradient_edge

from probatum.engine.attention import attention_weights
from probatum.engine.batch_norm import lay_out_gradients
from probatum.engine.budget import is_measuring
from probatum.engine.external import ExternalMaps
from probatum.engine.multipliers import multipliers
from probatum.engine.prefix import Prefix, SharedWeights
from probatum.engine.prepared_model import PreparedModel
from probatum.engine.rules import BackwardRule, RuledPass
from probatum.engine.sampling import Rows, per_row
from probatum.engine.statistics import accumulation_dtype
from probatum.engine.targets import Targets
from probatum.engine.trace import find_layer
from probatum.errors import ModelError


@dataclass(frozen=True)
class InputGradient:
    """The gradient of the target's logit with respect to the points.

    Args:
        rule: what the backward pass does differently at some calls; None is the plain gradient.
    """

    rule: BackwardRule | None = None


@dataclass(frozen=True)
class LayerGradient:
    """A layer's output and the gradient of the target's logit with respect to it."""

    path: str


@dataclass(frozen=True)
class Logit:
    """The target's logit. Where nothing else is measured, the forward pass builds no graph."""


@dataclass(frozen=True)
class Multipliers:
    """DeepLIFT's multipliers of the target's logit between the points and their baselines, checked for completeness."""


@dataclass(frozen=True)
class AttentionWeights:
    """The attention weights of every layer, averaged over the heads, and the tokens that the logits read."""


Measurement = InputGradient | LayerGradient | Logit | Multipliers | AttentionWeights | ExternalMaps
PLAIN = InputGradient()
LOGIT = Logit()
MULTIPLIERS = Multipliers()
ATTENTION = AttentionWeights()


class _Output(NamedTuple):
    """A layer's output.

    Args:
        activation: a copy of it as it left the layer.
        edge: the place in the graph where its gradient arrives, which in-place operations do not move.
        left: the tensor itself.
        version: of that tensor when it left the layer.
    """

    activation: Tensor
    edge: GradientEdge
    left: Tensor
    version: int


@dataclass(frozen=True)
class Evaluation:
    """Measurements at some points; a method's formula for one point reads them.

    Args:
        rows: the points, their origins, images and baselines.
        results: (rows, ...) tensors by measurement; a pair of them for a layer; for multipliers, and under a rule with
            a law of conservation, also the two numbers of the check.
    """

    rows: Rows
    results: Mapping[Measurement, tuple[Tensor, ...]]

    @classmethod
    def of(cls, rows: Rows, results: Mapping[Measurement, tuple[Tensor, ...]]) -> "Evaluation":
        """In float32 at least: products of what a half-precision model gives would under- or overflow in its type."""
        wide = {
            need: tuple(each.to(accumulation_dtype(each.dtype)) for each in found) for need, found in results.items()
        }
        return cls(rows.to(accumulation_dtype(rows.points.dtype)), wide)

    @property
    def points(self) -> Float[Tensor, "rows *shape"]:
        """Where the model was evaluated."""
        return self.rows.points

    @property
    def origins(self) -> Float[Tensor, "rows *shape"]:
        """The explained inputs: the images, or their noisy versions under SmoothGrad."""
        return self.rows.origins

    @property
    def baselines(self) -> Float[Tensor, "rows *shape"]:
        """Where each row's path begins."""
        assert self.rows.baselines is not None, "the method's chain of expansions has no path"
        return self.rows.baselines

    @property
    def shares(self) -> Float[Tensor, "rows *shape"]:
        """The part of each row's logit that belongs to each input value."""
        assert self.rows.shares is not None, "the method's chain of expansions shares no logits out"
        return self.rows.shares

    @property
    def logit(self) -> Float[Tensor, "rows *ones"]:
        """The target's logit, of a shape that multiplies rows: (rows, 1, ..., 1)."""
        return per_row(self.results[LOGIT][0], self.points)

    @property
    def gradient(self) -> Float[Tensor, "rows *shape"]:
        """∂ logit / ∂ point."""
        return self.results[PLAIN][0]

    def gradient_under(self, rule: BackwardRule) -> Float[Tensor, "rows *shape"]:
        """The signal that a backward pass under a rule brings to the point."""
        return self.results[InputGradient(rule)][0]

    @property
    def multipliers(self) -> Float[Tensor, "rows *shape"]:
        """Δ logit shared out: Σ m ⊙ (point − baseline) is the change of the logit."""
        return self.results[MULTIPLIERS][0]

    @property
    def attention(self) -> tuple[Float[Tensor, "rows layers tokens tokens"], Float[Tensor, "rows tokens"]]:
        """Attention weights, first layer first, and the share of each token among those that the logits read."""
        weights, read = self.results[ATTENTION]
        return weights, read

    def layer(self, path: str) -> tuple[Tensor, Tensor]:
        """The layer's output A and ∂ logit / ∂ A."""
        activation, gradient = self.results[LayerGradient(path)]
        return activation, gradient


class Shared:
    """Computations that the versions of a model share at some points.

    Args:
        weights: which of their weights are equal.
        points: (rows, ...).
        measurements: what is measured there.
    """

    def __init__(self, weights: SharedWeights, points: Tensor, measurements: frozenset[Measurement]) -> None:
        self.prefix = Prefix(weights, points)
        # Its hooks are part of the graph that is shared.
        self.ruled = RuledPass(rule for rule in _rules(measurements) if not rule.alone)
        self.first = True  # whether this is the first version, whose operations are all its own

    def variant(self, number: int) -> "Shared":
        """Argument `shared` of `evaluate` for one version."""
        self.prefix.variant(number)
        self.first = number == 0
        return self


def evaluate(
    prepared: PreparedModel,
    points: Float[Tensor, "rows *shape"],
    targets: Targets | None,
    measurements: frozenset[Measurement],
    baselines: Float[Tensor, "rows *shape"] | None = None,
    shared: Shared | None = None,
    image: Int64[Tensor, " rows"] | None = None,
) -> tuple[dict[Measurement, tuple[Tensor, ...]], Int64[Tensor, " rows"]]:
    """Measures `measurements` at each point: one forward pass, a plain backward pass, and one under each rule.

    Rules that stand alone take a forward pass each. Multipliers take two forward passes and a backward pass of their
    own, because their rules need the baselines; attention weights take a forward pass. Rows do not meet inside the
    model, so the gradient of the sum of their logits holds every row's own gradient.

    With `shared`, what the versions of a model compute alike at these points is computed once. `image` is that of each
    point, as in `PreparedModel.logits`.

    Returns:
        the results by measurement, and the classes aimed at: the predicted ones where no targets are given.
    """
    if measurements == {LOGIT}:
        logits = predict(prepared, points, image, with_graph=is_measuring())
        classes = _classes(logits, targets)
        return {LOGIT: (_target_logits(logits, classes),)}, classes
    if MULTIPLIERS in measurements:
        assert baselines is not None, "the method's chain of expansions has no baselines"
        found, classes = multipliers(prepared, points, baselines, targets, image)
        others = measurements - {MULTIPLIERS}
        rest = evaluate(prepared, points, targets, others, shared=shared, image=image)[0] if others else {}
        return {**rest, MULTIPLIERS: found}, classes
    if ATTENTION in measurements:
        *seen, logits = attention_weights(prepared, points, image)
        others = measurements - {ATTENTION}
        rest = evaluate(prepared, points, targets, others, shared=shared, image=image)[0] if others else {}
        return {**rest, ATTENTION: tuple(seen)}, _classes(logits, targets)
    alone = {each for each in measurements if isinstance(each, InputGradient) and each.rule and each.rule.alone}
    together = measurements - alone
    if alone and (shared is not None or together - {LOGIT} or len(alone) > 1):
        results: dict[Measurement, tuple[Tensor, ...]] = {}
        for part in (*([together] if together else []), *(frozenset({each}) for each in alone)):
            share = shared if part is together else None
            measured, classes = evaluate(prepared, points, targets, part, shared=share, image=image)
            results |= measured
        return results, classes
    paths = [each.path for each in measurements if isinstance(each, LayerGradient)]
    rules = _rules(measurements)
    leaf = points.detach().requires_grad_() if shared is None else shared.prefix.leaf
    sole = len(rules) == 1 and not paths and PLAIN not in measurements
    ruled = RuledPass(rules, sole=sole) if shared is None else shared.ruled
    with ExitStack() as stack:
        captured = {path: stack.enter_context(_capture(prepared, path)) for path in paths}
        # The prefix comes last, so that it is asked first and what it holds is hooked already.
        with ruled if rules else nullcontext(), nullcontext() if shared is None else shared.prefix:
            # A copy, because the model's first operation may work in place.
            closed = not rules and not paths and shared is None and not is_measuring()
            logits = prepared.logits(leaf.clone(), image, closed=closed)
        classes = _classes(logits, targets)
        of_targets = _target_logits(logits, classes)
        selected = of_targets.sum()
        if not selected.requires_grad:
            raise _unconnected(prepared)
        lay_out_gradients(selected)

        results = {LOGIT: (of_targets.detach(),)} if LOGIT in measurements else {}
        if paths or PLAIN in measurements:
            outputs = {path: _single(prepared, path, captured[path]) for path in paths}
            results |= _plain(
                prepared, selected, leaf, outputs, PLAIN in measurements, bool(rules) or shared is not None
            )
        for rule in rules:
            # The last backward pass lets go of the graph.
            again = shared is not None or rule is not rules[-1]
            signal = _connected(prepared, ruled.backward(rule, selected, leaf, again=again))
            if shared is None or shared.first:
                ruled.of(rule).require(prepared.name)
            prepared.unseen.update(ruled.of(rule).unseen)
            lacking = ruled.of(rule).lacking(points.detach(), signal, of_targets.detach())
            results[InputGradient(rule)] = (signal, *lacking)
    return results, classes


def _classes(logits: Tensor, targets: Targets | None) -> Tensor:
    """The classes aimed at: the predicted ones where no targets are given."""
    if targets is None:
        return logits.detach().argmax(1)
    targets.require(logits.shape[1])
    return targets.classes


def _target_logits(logits: Tensor, classes: Tensor) -> Tensor:
    return logits.gather(1, classes[:, None])[:, 0]


def _rules(measurements: frozenset[Measurement]) -> list[BackwardRule]:
    """The backward rules that are asked for."""
    return [each.rule for each in measurements if isinstance(each, InputGradient) and each.rule is not None]


def _plain(
    prepared: PreparedModel, selected: Tensor, leaf: Tensor, outputs: dict[str, _Output], of_points: bool, again: bool
) -> dict[Measurement, tuple[Tensor, ...]]:
    """The gradients of layers, and of the points where they are asked for, by one plain backward pass."""
    results: dict[Measurement, tuple[Tensor, ...]] = {}
    edges = [output.edge for output in outputs.values()]
    if of_points:
        edges.append(get_gradient_edge(leaf))
    gradients = torch.autograd.grad(selected, edges, retain_graph=again, allow_unused=True)
    for (path, output), gradient in zip(outputs.items(), gradients, strict=False):
        if gradient is None:
            raise _detached(prepared, path)
        results[LayerGradient(path)] = (output.activation.to(prepared.dtype), gradient.to(prepared.dtype))
    if of_points:
        results[PLAIN] = (_connected(prepared, gradients[-1]),)
    return results


def predict(
    prepared: PreparedModel,
    points: Float[Tensor, "rows *shape"],
    image: Int64[Tensor, " rows"] | None = None,
    *,
    with_graph: bool = False,
) -> Float[Tensor, "rows classes"]:
    """Returns the logits; only for the sake of measuring does the pass build a graph. `image` is as in `logits`."""
    with torch.set_grad_enabled(with_graph):
        points = points.detach().requires_grad_(with_graph).clone()
        return prepared.logits(points, image, closed=not with_graph).detach()


@contextmanager
def _capture(prepared: PreparedModel, path: str) -> Iterator[list[_Output]]:
    """Collects a layer's outputs as they leave it, whatever the model writes into them later, and changes nothing."""
    outputs: list[_Output] = []

    def keep(module: nn.Module, inputs: object, output: object) -> None:
        if not isinstance(output, Tensor):
            raise ModelError(f"layer {path!r} of {prepared.name} returns a {type(output).__name__}, not one tensor")
        if not output.requires_grad:
            raise ModelError(
                f"layer {path!r} of {prepared.name} does not depend on the input by differentiable operations; "
                "name another layer"
            )
        outputs.append(_Output(output.detach().clone(), get_gradient_edge(output), output, output._version))

    prepared.require_unfolded(path)
    handle = find_layer(prepared.model, path).register_forward_hook(keep)
    try:
        yield outputs
    finally:
        handle.remove()
        outputs.clear()


def _single(prepared: PreparedModel, path: str, outputs: list[_Output]) -> _Output:
    if len(outputs) != 1:
        raise ModelError(
            f"layer {path!r} of {prepared.name} is called {len(outputs)} times in a forward pass, so its gradient is "
            "not that of one activation; name a layer that is called once"
        )
    if outputs[0].left._is_view() and outputs[0].left._version != outputs[0].version:
        raise _detached(prepared, path)  # who reads the overwritten view is not behind the edge
    return outputs[0]


def _detached(prepared: PreparedModel, path: str) -> ModelError:
    return ModelError(
        f"the logits of {prepared.name} do not depend on layer {path!r}, or its output is a view that the model "
        "overwrites; name another layer"
    )


def _connected(prepared: PreparedModel, gradient: Tensor | None) -> Tensor:
    if gradient is None:
        raise _unconnected(prepared)
    return gradient


def _unconnected(prepared: PreparedModel) -> ModelError:
    return ModelError(f"the logits of {prepared.name} do not depend on its input by differentiable operations")
