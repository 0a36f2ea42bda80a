"""One model call: a forward pass on some points and the backward passes that the methods need there."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.autograd.graph import GradientEdge, get_gradient_edge

from probatum.engine.multipliers import multipliers
from probatum.engine.precision import computing
from probatum.engine.prefix import Prefix, SharedWeights
from probatum.engine.prepared_model import PreparedModel, prepare
from probatum.engine.relu import GuidedReLU, ReLUCoverage
from probatum.engine.sampling import Rows
from probatum.engine.targets import Targets
from probatum.engine.trace import find_layer
from probatum.errors import ModelError


@dataclass(frozen=True)
class InputGradient:
    """The gradient of the target's logit with respect to the points, under a backward rule."""

    rule: Literal["plain", "guided"] = "plain"


@dataclass(frozen=True)
class LayerGradient:
    """A layer's output and the gradient of the target's logit with respect to it."""

    path: str


@dataclass(frozen=True)
class Multipliers:
    """DeepLIFT's multipliers of the target's logit between the points and their baselines, checked for completeness."""


Measurement = InputGradient | LayerGradient | Multipliers
PLAIN = InputGradient("plain")
GUIDED = InputGradient("guided")
MULTIPLIERS = Multipliers()


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
    """What was measured at some points; a method's formula for one point reads it.

    Args:
        rows: the points, their origins, images and baselines.
        results: (rows, ...) tensors by need; a pair of them for a layer; for multipliers also the two of their check.
    """

    rows: Rows
    results: Mapping[Measurement, tuple[Tensor, ...]]

    @property
    def points(self) -> Float[Tensor, "rows *shape"]:
        """Where the model was evaluated."""
        return self.rows.points

    @property
    def origins(self) -> Float[Tensor, "rows *shape"]:
        """What is explained: the images, or their noisy versions under SmoothGrad."""
        return self.rows.origins

    @property
    def baselines(self) -> Float[Tensor, "rows *shape"]:
        """Where each row's path begins."""
        assert self.rows.baselines is not None, "the method's chain of expansions has no path"
        return self.rows.baselines

    @property
    def gradient(self) -> Float[Tensor, "rows *shape"]:
        """∂ logit / ∂ point."""
        return self.results[PLAIN][0]

    @property
    def guided_gradient(self) -> Float[Tensor, "rows *shape"]:
        """The same under the guided rule at each ReLU."""
        return self.results[GUIDED][0]

    @property
    def multipliers(self) -> Float[Tensor, "rows *shape"]:
        """Δ logit shared out: Σ m ⊙ (point − baseline) is the change of the logit."""
        return self.results[MULTIPLIERS][0]

    def layer(self, path: str) -> tuple[Tensor, Tensor]:
        """The layer's output A and ∂ logit / ∂ A."""
        activation, gradient = self.results[LayerGradient(path)]
        return activation, gradient


class Shared:
    """What the versions of a model share at some points.

    Args:
        weights: which of their weights are equal.
        points: (rows, ...).
    """

    def __init__(self, weights: SharedWeights, points: Tensor) -> None:
        self.prefix = Prefix(weights, points)
        self.guide = GuidedReLU()  # whose hooks are part of the graph that is shared

    def variant(self, number: int) -> "Shared":
        """What `evaluate` takes for a version."""
        self.prefix.variant(number)
        return self


def evaluate(
    prepared: PreparedModel,
    points: Float[Tensor, "rows *shape"],
    targets: Targets | None,
    measurements: frozenset[Measurement],
    baselines: Float[Tensor, "rows *shape"] | None = None,
    shared: Shared | None = None,
) -> tuple[dict[Measurement, tuple[Tensor, ...]], Int64[Tensor, " rows"]]:
    """Measures `measurements` at each point with one forward pass and at most two backward passes.

    Multipliers take two forward passes and a backward pass of their own, because their rules change the gradient.
    Rows do not meet inside the model, so the gradient of the sum of their logits holds every row's own gradient.

    With `shared`, what the versions of a model compute alike at these points is computed once.

    Returns:
        the results by need, and the classes aimed at: the predicted ones where no targets are given.
    """
    if MULTIPLIERS in measurements:
        assert baselines is not None, "the method's chain of expansions has no baselines"
        found, classes = multipliers(prepared, points, baselines, targets)
        others = measurements - {MULTIPLIERS}
        rest = evaluate(prepared, points, targets, others, shared=shared)[0] if others else {}
        return {**rest, MULTIPLIERS: found}, classes
    paths = [need.path for need in measurements if isinstance(need, LayerGradient)]
    leaf = points.detach().requires_grad_() if shared is None else shared.prefix.leaf
    with ExitStack() as stack:
        captured = {path: stack.enter_context(_capture(prepared, path)) for path in paths}
        guide = None
        if GUIDED in measurements:
            guide = GuidedReLU() if shared is None else shared.guide
        # The prefix comes last, so that it is asked first and what it holds is guided already.
        with guide or nullcontext(), nullcontext() if shared is None else shared.prefix:
            # A copy, because the model's first operation may work in place.
            logits = prepared.logits(leaf.clone())
        if guide is not None:
            guide.coverage.require(prepared.name)
        if targets is not None:
            targets.require(logits.shape[1])
        classes = logits.detach().argmax(1) if targets is None else targets.classes
        selected = logits.gather(1, classes[:, None]).sum()
        if not selected.requires_grad:
            raise ModelError(f"the logits of {prepared.name} do not depend on its input by differentiable operations")

        outputs = [_single(prepared, path, captured[path]) for path in paths]
        edges = [output.edge for output in outputs]
        wanted = [get_gradient_edge(leaf), *edges] if PLAIN in measurements else edges
        results: dict[Measurement, tuple[Tensor, ...]] = {}
        retain = guide is not None or shared is not None
        if wanted:
            gradients = torch.autograd.grad(selected, wanted, retain_graph=retain, allow_unused=True)
            of_layers = gradients[1:] if PLAIN in measurements else gradients
            for path, output, gradient in zip(paths, outputs, of_layers, strict=True):
                if gradient is None:
                    raise _detached(prepared, path)
                results[LayerGradient(path)] = (output.activation.to(prepared.dtype), gradient.to(prepared.dtype))
            if PLAIN in measurements:
                results[PLAIN] = (_connected(prepared, gradients[0]),)
        if guide is not None:
            again = shared is not None
            gradients = guide.backward(
                lambda: torch.autograd.grad(selected, [leaf], retain_graph=again, allow_unused=True)
            )
            results[GUIDED] = (_connected(prepared, gradients[0]),)
    return results, classes


def predict(
    prepared: PreparedModel, points: Float[Tensor, "rows *shape"], *, with_graph: bool = False
) -> Float[Tensor, "rows classes"]:
    """Returns the logits; only for the sake of measuring does the pass build a graph."""
    with torch.set_grad_enabled(with_graph):
        return prepared.logits(points.detach().requires_grad_(with_graph).clone()).detach()


def relu_coverage(model: nn.Module | PreparedModel, images: Tensor) -> ReLUCoverage:
    """Counts the ReLU calls of one forward pass, all of which Guided Backprop guides, and the activations it cannot."""
    prepared = prepare(model)
    guide = GuidedReLU()
    with computing(prepared.device), guide:
        prepared.logits(prepared.accept(images[:1]).clone().requires_grad_().clone())
    return guide.coverage


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
        raise ModelError(f"the logits of {prepared.name} do not depend on its input by differentiable operations")
    return gradient
