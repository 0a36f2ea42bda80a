"""Stages of any model, found by watching which torch functions use its parameters in a forward pass."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils.weak import WeakTensorKeyDictionary

from probatum.engine.copying import frozen_copy, written_module
from probatum.engine.extra import Extra, accepted_extra, require_rows
from probatum.engine.outputs import Output
from probatum.engine.trace import model_inputs, used_parameters
from probatum.errors import ModelError
from probatum.randomization.stages import (
    Stage,
    StagePlan,
    assign,
    module_sizes,
    named_tensors,
    shortest_paths,
    untouched,
)


def automatic_stages(
    model: nn.Module, images: Float[Tensor, "batch *shape"], output: Output | None = None, extra: Extra = ()
) -> StagePlan:
    """Make one stage per layer, in reverse order of execution: the output first.

    A layer is a module that owns parameters, whether it is called or not: fused attention and functional calls bypass
    modules, so the uses of the parameters themselves are watched. Parameters used together by one torch function form
    one layer (`in_proj_weight` and `out_proj` of `nn.MultiheadAttention`). Two kinds of parameters form no stage of
    their own:

    1. vectors (normalization layers, slopes, scales) join the layer whose output they are applied to;
    2. parameters that a container owns next to its layers (class token, position embedding, layer scale, position-bias
       table), and vectors not applied directly to a layer's output, join the layer used before them inside the smallest
       enclosing module that has one, or else the first layer after them.

    Args:
        model: any module in any mode; it is not changed, and runs as a copy in eval mode.
        images: inputs that the model accepts. Pass all images to be explained if the model routes inputs differently.
        output: position of the logits in the model's output; see `engine.prepare`.
        extra: further inputs of the model; see `engine.prepare`.

    Returns:
        The stages, named by the paths of their layers. `unused` lists what no image's forward pass uses (auxiliary
        heads).

    Raises:
        ModelError: no parameter is used, or the logits depend on a parameter that no watched torch function uses.
    """
    extra = accepted_extra(extra, images.device)
    require_rows(extra, images)
    model = written_module(model)
    kind = type(model).__name__
    first, others = [each[:1] for each in extra], [each[1:] for each in extra]
    layers = _watch(model, images[:1], first)
    left = set(untouched(model, [name for layer in layers for name in layer.names]))
    if layers and left and used_parameters(model, images[1:], left, output, others):
        layers = _watch(model, images, extra)
    if not layers:
        raise ModelError(f"the forward pass of {kind} uses no parameters; there is nothing to randomize")
    left = set(untouched(model, [name for layer in layers for name in layer.names]))
    hidden = used_parameters(model, images, left, output, extra)
    if hidden:
        raise ModelError(f"{min(hidden)} of {kind} is used in a way that cannot be observed; give a table of stages")
    merged = _merge(layers, named_tensors(model))
    idle = untouched(model, [name for names in merged.values() for name in names])
    owners = {_owner(name) for name in named_tensors(model)}
    sizes = module_sizes(model)
    stages = [Stage(path, shortest_paths(sizes, names, within=owners)) for path, names in merged.items()]
    plan = StagePlan(tuple(reversed(stages)), shortest_paths(sizes, idle))
    assign(model, plan)
    return plan


_READS = frozenset({"item", "tolist", "numpy", "__float__", "__int__", "__bool__", "__array__"})


@dataclass(eq=False)
class _Layer:
    """Parameters of one module, or of several used by one torch function, in the order of their first use."""

    path: str
    names: list[str] = field(default_factory=list)
    source: "_Layer | None" = None


class _Watch(TorchFunctionMode):
    """Collects layers while a forward pass runs."""

    def __init__(self, tensors: dict[str, Tensor]) -> None:
        super().__init__()
        self.names: dict[int, list[str]] = {}
        for name, tensor in tensors.items():
            self.names.setdefault(id(tensor), []).append(name)
        self.running: list[str] = []
        self.layers: dict[str, _Layer] = {}
        self.seen: set[str] = set()
        self.order: list[_Layer] = []
        self.position = 0
        self.made_by = WeakTensorKeyDictionary()

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        outputs = list(_tensors(result))
        inputs = list(_tensors((args, kwargs)))
        names = [self.alias(tensor) for tensor in inputs if id(tensor) in self.names]
        # Reading a parameter's shape or dtype does not count as a use.
        if names and (outputs or getattr(func, "__name__", "") in _READS):
            layer = self.layer(names)
            sources = [self.made_by[tensor] for tensor in inputs if tensor in self.made_by]
            layer.source = layer.source or next((source for source in sources if source is not layer), None)
            for output in outputs:
                self.made_by[output] = layer
        return result

    def alias(self, tensor: Tensor) -> str:
        """Return the name of a tied tensor in the module that runs now."""
        names = self.names[id(tensor)]
        return next((name for name in names if self.running and _owner(name) == self.running[-1]), names[0])

    def layer(self, names: list[str]) -> _Layer:
        """Return the layer of parameters that were used together."""
        # A model may own all its weights directly; then each of them is a layer.
        owners = [_owner(name) or name for name in names]
        layer = next((self.layers[owner] for owner in owners if owner in self.layers), _Layer(owners[0]))
        if layer not in self.order:
            self.order.insert(self.position, layer)
        self.position = max(self.position, self.order.index(layer) + 1)
        for name, owner in zip(names, owners, strict=True):
            self.layers.setdefault(owner, layer)
            if name not in self.seen:
                self.seen.add(name)
                layer.names.append(name)
        return layer


def _watch(model: nn.Module, images: Tensor, extra: Extra) -> list[_Layer]:
    """Return the layers in order of first use, passing the images one by one through a frozen copy."""
    prepared = frozen_copy(model)
    watch = _Watch(named_tensors(prepared))

    def enter(path: str, module: nn.Module, inputs: object) -> None:
        watch.running.append(path)

    def leave(module: nn.Module, inputs: object, output: object) -> None:
        watch.running.pop()

    for path, module in prepared.named_modules():
        module.register_forward_pre_hook(partial(enter, path))
        module.register_forward_hook(leave)
    devices = [images.device] if images.is_cuda else []
    with torch.random.fork_rng(devices), torch.inference_mode(False), torch.enable_grad():
        for image, *others in zip(
            *(torch.split(each, 1) for each in model_inputs(prepared, images, extra)), strict=True
        ):
            watch.position = 0  # a layer that only this image uses comes after those that it used before
            with watch:
                # A gradient keeps transformers off their fused path.
                prepared(image.requires_grad_(True).clone(), *others)
    return [layer for layer in watch.order if layer.names]


def _merge(layers: list[_Layer], tensors: dict[str, Tensor]) -> dict[str, list[str]]:
    """Merge vectors and containers' own parameters into the other layers, in order of first use."""
    owners = {_owner(name) for name in tensors}

    def is_container(path: str) -> bool:
        return any(owner.startswith(path + ".") if path else owner for owner in owners)

    def within(scope: str, others: list[_Layer]) -> list[_Layer]:
        return [other for other in others if not scope or other.path.startswith(scope + ".")]

    def scope_of(layer: _Layer) -> str:
        return layer.path if is_container(layer.path) else layer.path.rpartition(".")[0]

    # A matrix in a leaf module forms a layer; a matrix in a container forms one if the container has no such leaf.
    in_leaves = [
        layer
        for layer in layers
        if any(tensors[name].ndim >= 2 and not is_container(_owner(name)) for name in layer.names)
    ]
    in_containers = [
        layer
        for layer in layers
        if any(sum(size > 1 for size in tensors[name].shape) >= 2 for name in layer.names)
        and not within(scope_of(layer), in_leaves)
    ]
    real = [layer for layer in layers if layer in in_leaves or layer in in_containers] or layers
    home = {layer: layer for layer in real}
    for position, layer in enumerate(layers):
        if layer in home:
            continue
        if layer.source in home and all(tensors[name].ndim <= 1 for name in layer.names):
            home[layer] = home[layer.source]
            continue
        scope = scope_of(layer)
        while not (near := within(scope, real)):
            scope = scope.rpartition(".")[0]
        before = [other for other in near if layers.index(other) < position]
        home[layer] = before[-1] if before else near[0]
    joined = {layer: list(layer.names) for layer in real}
    for layer in layers:
        if layer not in joined:
            joined[home[layer]] += layer.names
    return {layer.path: names for layer, names in joined.items()}


def _tensors(values: Any) -> Iterator[Tensor]:
    """Yield the tensors in nested arguments of a torch function."""
    if isinstance(values, Tensor):
        yield values
    elif isinstance(values, (tuple, list)):
        for value in values:
            yield from _tensors(value)
    elif isinstance(values, dict):
        yield from _tensors(list(values.values()))


def _owner(name: str) -> str:
    """Return the path of the module that owns a parameter; a parametrized layer owns its weights."""
    return name.partition(".parametrizations.")[0] if ".parametrizations." in name else name.rpartition(".")[0]
