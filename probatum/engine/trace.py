"""What a forward pass really does: which layers it calls, in which order, and which parameters reach the logits."""

from collections.abc import Collection
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from probatum.engine.copying import frozen_copy
from probatum.engine.outputs import Output, find_logits
from probatum.errors import UnknownName


@dataclass(frozen=True)
class LayerCall:
    """A layer that a forward pass called.

    Args:
        path: its dotted path in the model ("" is the model itself).
        kind: the name of its class.
        calls: how often one forward pass calls it.
    """

    path: str
    kind: str
    calls: int


def find_layer(model: nn.Module, path: str) -> nn.Module:
    """Returns the module at an exact dotted path; UnknownName suggests the nearest paths where there is none."""
    modules: dict[str, nn.Module] = dict(model.named_modules())
    if path not in modules or not path:
        raise UnknownName(f"layer of {type(model).__name__}", path, (name for name in modules if name))
    return modules[path]


def execution_order(model: nn.Module, images: Tensor) -> tuple[LayerCall, ...]:
    """Lists the layers of a model in the order in which a forward pass on `images` first calls them.

    Listed are leaf modules and every module that owns parameters directly. A module that a fused operation bypasses
    (`out_proj` of `nn.MultiheadAttention`) is not called and so not listed; its owner is.
    """
    prepared = frozen_copy(model)
    calls: dict[str, int] = {}

    def count(path: str, module: nn.Module, inputs: object) -> None:
        calls[path] = calls.get(path, 0) + 1

    kinds = {}
    for path, module in prepared.named_modules():
        if next(module.children(), None) is None or next(module.parameters(recurse=False), None) is not None:
            kinds[path] = type(module).__name__
            module.register_forward_pre_hook(partial(count, path))
    _forward(prepared, images[:1])
    return tuple(LayerCall(path, kinds[path], number) for path, number in calls.items())


def used_parameters(
    model: nn.Module, images: Tensor, among: Collection[str] | None = None, output: Output | None = None
) -> frozenset[str]:
    """Names the parameters that the logits of any image depend on, by autograd; auxiliary heads are left out.

    A model may send images on different ways (mixture of experts, early exit), so they pass one by one until every
    parameter has been met.

    Args:
        model: any module; only read.
        images: (batch, ...).
        among: the names to look for; None looks for all.
        output: where the logits are, as in `prepare`.
    """
    prepared = frozen_copy(model)
    unmet = {
        name: p.requires_grad_()
        for name, p in prepared.named_parameters(remove_duplicate=False)
        # Integers have no gradient and may not ask for one.
        if p.is_floating_point() and (among is None or name in among)
    }
    used: set[str] = set()
    for row in range(len(images)):
        logits = find_logits(_forward(prepared, images[row : row + 1]), output, type(prepared).__name__)
        if unmet and logits.requires_grad:
            # The sum of the logits, which must not be taken where the caller has switched gradients off.
            gradients = torch.autograd.grad(logits, list(unmet.values()), torch.ones_like(logits), allow_unused=True)
            met = {name for name, gradient in zip(unmet, gradients, strict=True) if gradient is not None}
            used |= met
            unmet = {name: parameter for name, parameter in unmet.items() if name not in met}
        if not unmet:
            break
    return frozenset(used)


def plain_images(model: nn.Module, images: Tensor) -> Tensor:
    """A copy of images in the model's floating-point type, without a graph and without a subclass of Tensor."""
    copied = images.as_subclass(Tensor).detach().clone()
    dtype = next((p.dtype for p in model.parameters() if p.is_floating_point()), copied.dtype)
    return copied.to(dtype) if copied.is_floating_point() else copied


def _forward(prepared: nn.Module, images: Tensor) -> Any:
    # Images that require a gradient keep transformers off their fused inference path, which calls no submodule.
    devices = [images.device] if images.is_cuda else []
    with torch.random.fork_rng(devices), torch.inference_mode(False), torch.enable_grad():
        return prepared(plain_images(prepared, images).requires_grad_(True).clone())
