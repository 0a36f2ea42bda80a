"""Which layer's output is a map of the image: found by one forward pass that is watched, layer by layer."""

import math
import warnings
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.autograd.graph import GradientEdge, get_gradient_edge
from torch.utils._pytree import tree_leaves
from torch.utils.hooks import RemovableHandle

from probatum.engine.layouts import Layout, Tokens, channels_first, space_of
from probatum.engine.places import Places, PlaceTracker
from probatum.engine.precision import computing
from probatum.engine.prepared_model import PreparedModel
from probatum.engine.trace import find_layer
from probatum.errors import ModelError

if TYPE_CHECKING:
    from probatum.engine.evaluate import Evaluation

Vertex = tuple[torch.autograd.graph.Node, int]
"""An operation of the graph, and which of its results."""


@dataclass(frozen=True)
class FeatureMap:
    """The output of a layer as a map of the image.

    Args:
        path: dotted path of the layer.
        layout: of its output.
    """

    path: str
    layout: Layout

    def read(self, at: "Evaluation") -> tuple[Tensor, Tensor]:
        """The features A and ∂ logit / ∂ A, each (rows, channel, *space), without tokens that belong to no place."""
        activation, gradient = at.layer(self.path)
        return channels_first(activation, self.layout), channels_first(gradient, self.layout)


@dataclass(frozen=True)
class LayerOutput:
    """The output of a layer that a forward pass calls once, if a tensor in it depends on the image.

    Args:
        path: dotted path of the layer.
        shape: of the output for one image.
        layout: of the output, as the forward pass shows it; None where it shows none.
        order: how many layers of this kind follow, or None: every path from the image to the logits passes the output.
        makes_features: no pooling, which makes none, and no classifier applied at every place, which is behind them.
        live: for outputs with three axes: which steps along the second have a gradient.
        alone: whether the layer returns this one tensor and nothing else.
    """

    path: str
    shape: tuple[int, ...]
    layout: Layout | None
    order: int | None
    makes_features: bool
    live: tuple[bool, ...] | None
    alone: bool

    @property
    def may_be_map(self) -> bool:
        """True if the output has a layout, named or not, in which its map need not be constant."""
        return sum(size > 1 for size in self.shape) > 1 and (self.live is None or sum(self.live) > 1)

    def fault(self, layout: Layout, dims: int) -> str | None:
        """Why the output is no map of an image with so many axes of space; None where it is one."""
        space = space_of(self.shape, layout)
        if space is None or len(space) != dims:
            return f"returns shape {self.shape} for one image, which is no {layout} feature map of the image"
        if math.prod(space) == 1:
            return f"returns shape {self.shape} for one image, so its map could only be constant"
        if (
            isinstance(layout, Tokens)
            and self.live is not None
            and any(self.live)
            and not any(self.live[layout.prefix :])
        ):
            return (
                f"reaches the logits through its first {layout.prefix} tokens alone, so its map could only be constant"
            )
        return None


def find_feature_map(
    prepared: PreparedModel, images: Tensor, layer: str | nn.Module | None = None, layout: Layout | None = None
) -> FeatureMap:
    """Finds the feature map that Grad-CAM reads, and its layout.

    Without a layer, it is the last output before the logits that every path from the image passes and that has more
    than one place: not a branch, a shortcut, a gate, an adapter. Poolings, which make no features, and classifiers that
    are applied at every place are passed over, as are tokens of whose places the logits take no account (those behind
    the last attention to them, where only the class token is read).

    Args:
        prepared: the model.
        images: (batch, channel, *space); the first one is the probe.
        layer: dotted path of the layer, or the layer itself.
        layout: of the layer's output; None takes what the forward pass shows.

    Raises:
        UnknownName: no layer has this path.
        ModelError: no layer will do, the layout cannot be told, or the map could only be constant.
    """
    outputs, dims = layer_outputs(prepared, images), images.ndim - 2
    if layer is None:
        return _last_map(prepared.name, outputs, layout, dims)
    path = layer if isinstance(layer, str) else prepared.path_of(layer)
    find_layer(prepared.model, path)
    prepared.require_unfolded(path)
    found = next((each for each in outputs if each.path == path and each.alone), None)
    if found is None:  # the evaluation says what is wrong with it
        return FeatureMap(path, layout or "nchw")
    layout = layout or found.layout
    where = f"layer {path!r} of {prepared.name}"
    if layout is None and len(found.shape) > 2:
        raise ModelError(f"the layout of {where} {_UNSEEN}")
    fault = found.fault(layout or "nchw", dims)
    if fault:
        raise ModelError(f"{where} {fault}; name another layer")
    return FeatureMap(path, layout or "nchw")


_UNSEEN = "does not show in the forward pass; give layout='nchw', 'nhwc' or Tokens(prefix, grid)"


def _last_map(name: str, outputs: tuple[LayerOutput, ...], layout: Layout | None, dims: int) -> FeatureMap:
    """The last output that separates the image from the logits and is a map."""
    separating = [each for each in outputs if each.order is not None and each.makes_features]
    for each in sorted(separating, key=lambda each: each.order or 0):
        chosen = layout or each.layout
        if chosen is not None and each.fault(chosen, dims) is None:
            if each.alone:
                return FeatureMap(each.path, chosen)
            raise ModelError(
                f"layer {each.path!r} of {name}, the last that every path from the image passes, returns more than one "
                f"tensor, which Grad-CAM cannot read; name another layer, with layout={str(chosen)!r}"
            )
        if chosen is None and each.may_be_map:
            raise ModelError(
                f"the layout of layer {each.path!r} of {name}, the last that every path from the image passes, "
                f"{_UNSEEN}, or name another layer"
            )
    raise ModelError(
        f"no layer of {name} is a feature map that every path from the image to the logits passes; "
        "name one yourself: layer='...', with layout='nchw', 'nhwc' or Tokens(prefix, grid)"
    )


def layer_outputs(prepared: PreparedModel, images: Tensor) -> tuple[LayerOutput, ...]:
    """Watches a forward pass on the first image, once for each prepared model and shape of the inputs."""
    key = prepared.shapes(images)
    if key not in prepared.seen_layers:
        with computing(prepared.device, prepared.compute.precision), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the model gives its warnings again in the passes that count
            prepared.seen_layers[key] = _watch(prepared, prepared.accept(images[:1]))
    found: tuple[LayerOutput, ...] = prepared.seen_layers[key]
    return found


@dataclass(frozen=True)
class _Seen:
    """A layer's output as a hook saw it.

    Args:
        path: of the layer.
        output: the tensor.
        shape: of it, as it left the layer.
        places: of its elements, as far as they were known then.
        vertex: the operation that made it.
        alone: whether the layer returned nothing else.
    """

    path: str
    output: Tensor
    shape: tuple[int, ...]
    places: Places | None
    vertex: Vertex
    alone: bool

    def layout(self, tracker: PlaceTracker) -> Layout | None:
        """The layout of the output; operations behind it may be evidence, too."""
        places = self.places or tracker.of(self.output)
        return None if places is None else places.layout()


def _watch(prepared: PreparedModel, image: Tensor) -> tuple[LayerOutput, ...]:
    leaf = image.requires_grad_()
    points = leaf.clone()  # which the model may overwrite
    tracker = PlaceTracker(points)
    with _outputs_of_layers(prepared, tracker) as calls, tracker:
        logits = prepared.logits(points)
    if not logits.requires_grad:
        raise ModelError(f"the logits of {prepared.name} do not depend on its input by differentiable operations")
    seen = [each for made in calls.values() for each in made if len(made) == 1 and each is not None]
    layouts = {each.path: each.layout(tracker) for each in seen}
    separators = separating_vertices(get_gradient_edge(logits), get_gradient_edge(leaf))
    order = {vertex: number for number, vertex in enumerate(separators)}
    gradients = _Gradients(logits)
    for each in seen:
        gradients.watch(each, layouts[each.path])
    gradients.measure(leaf, separators)
    makers: dict[Vertex, str] = {}  # of layers that hand a tensor on, the one that made it
    for each in sorted(seen, key=lambda each: not each.alone):
        makers.setdefault(each.vertex, each.path)
    return tuple(
        LayerOutput(
            path=each.path,
            shape=each.shape,
            layout=layouts[each.path],
            order=order.get(each.vertex) if makers[each.vertex] == each.path else None,
            makes_features="Pool" not in each.vertex[0].name() and each.path not in gradients.scores,
            live=gradients.live.get(each.path),
            alone=each.alone,
        )
        for each in seen
    )


@contextmanager
def _outputs_of_layers(prepared: PreparedModel, tracker: PlaceTracker) -> Iterator[dict[str, list[_Seen | None]]]:
    """Collects, by path, the first tensor that each call of each layer returns; None where it depends on no image."""
    calls: dict[str, list[_Seen | None]] = {}

    def keep(path: str, module: nn.Module, inputs: object, output: object) -> None:
        tensor = next(iter(tree_leaves(output)), None)
        found = None
        if isinstance(tensor, Tensor) and tensor.requires_grad:
            edge = get_gradient_edge(tensor)
            vertex = edge.node, edge.output_nr
            found = _Seen(path, tensor, tuple(tensor.shape), tracker.of(tensor), vertex, tensor is output)
        calls.setdefault(path, []).append(found)

    hidden = {path for each in prepared.folds for path in each.hidden}
    with ExitStack() as stack:
        for path, module in prepared.model.named_modules():
            if path and path not in hidden:
                stack.callback(module.register_forward_hook(partial(keep, path)).remove)
        yield calls


class _Gradients:
    """Properties of layers' outputs in the gradient of the largest logit, measured during the backward pass.

    Args:
        logits: (1, classes).
    """

    def __init__(self, logits: Tensor) -> None:
        self.live: dict[str, tuple[bool, ...]] = {}
        self.scores: set[str] = set()
        self._classes = logits.shape[1]
        self._target = int(logits.argmax())
        self._logit = logits[0, self._target]
        self._handles: list[RemovableHandle] = []

    def watch(self, seen: _Seen, layout: Layout | None) -> None:
        """Asks for what is to be known of an output, if anything."""
        node, number = seen.vertex

        def look(arriving: tuple[Tensor | None, ...]) -> None:
            gradient = arriving[number]
            if gradient is None or tuple(gradient.shape) != seen.shape:
                return
            if gradient.ndim == 3:
                self.live[seen.path] = tuple(gradient[0].ne(0).any(1).tolist())
            if layout is not None and channels == self._classes:
                others = torch.arange(channels, device=gradient.device) != self._target
                if not bool(channels_first(gradient, layout)[0, others].any()):
                    self.scores.add(seen.path)

        channels = 0 if layout is None else seen.shape[1 if layout == "nchw" else -1]
        if len(seen.shape) == 3 or channels == self._classes:
            self._handles.append(node.register_prehook(look))

    def measure(self, leaf: Tensor, separators: Iterable[Vertex]) -> None:
        """Does the backward pass, if anything was asked for.

        Where a gradient has died out (behind a ReLU, or a last layer whose weights begin at zero), another takes its
        place, so that the measurements show the structure of the model.
        """
        watched = bool(self._handles)
        for node, number in separators if watched else ():
            self._handles.append(node.register_prehook(partial(_revived, number)))
        try:
            if watched:
                torch.autograd.grad(self._logit, leaf)
        finally:
            for handle in self._handles:
                handle.remove()


def _revived(number: int, arriving: tuple[Tensor | None, ...]) -> tuple[Tensor | None, ...] | None:
    """An arriving gradient of one result; numbers without a pattern where it is zero."""
    gradient = arriving[number]
    if gradient is None or bool(gradient.any()):
        return None
    other = torch.arange(1, gradient.numel() + 1, device=gradient.device).to(gradient.dtype).sin().view(gradient.shape)
    return (*arriving[:number], other, *arriving[number + 1 :])


def separating_vertices(logits: GradientEdge, image: GradientEdge) -> list[Vertex]:
    """The results of operations that every path of a graph from the logits to the image passes, in this order.

    In a topological order, every path passes a vertex if and only if no edge leads over it.
    """
    goal = (image.node, image.output_nr)
    ordered = _between((logits.node, logits.output_nr), goal)
    position = {vertex: number for number, vertex in enumerate(ordered)}
    separating, reach = [], 0
    for number, vertex in enumerate(ordered):
        if reach <= number:
            separating.append(vertex)
        reach = max([reach, *(position[each] for each in _next(vertex) if each in position)])
    return separating


def _between(start: Vertex, goal: Vertex) -> list[Vertex]:
    """The vertices on all paths from start to goal, each before those that it leads to."""
    leads: dict[Vertex, bool] = {goal: True}
    ordered, stack = [goal], [start]
    while stack:
        vertex = stack[-1]
        new = [] if vertex in leads else [each for each in _next(vertex) if each not in leads]
        if new:
            stack.extend(new)
            continue
        stack.pop()
        if vertex not in leads:
            leads[vertex] = any(leads[each] for each in _next(vertex))
            if leads[vertex]:
                ordered.append(vertex)
    return ordered[::-1]


def _next(vertex: Vertex) -> list[Vertex]:
    return [(node, number) for node, number in vertex[0].next_functions if node is not None]


def token_layouts(prepared: PreparedModel, images: Float[Tensor, "batch channel *space"]) -> frozenset[Tokens]:
    """The layouts of all layers of a model that hand on tokens of places in the image."""
    found = (each.layout for each in layer_outputs(prepared, images))
    return frozenset(each for each in found if isinstance(each, Tokens))
