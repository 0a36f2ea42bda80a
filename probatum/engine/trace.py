"""Observations of a forward pass: which layers it calls, in which order, and which parameters reach the logits."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from probatum.engine.copying import frozen_copy
from probatum.engine.extra import Extra, accepted_extra, require_rows
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


def execution_order(model: nn.Module, images: Tensor, extra: Extra = ()) -> tuple[LayerCall, ...]:
    """Lists the layers of a model in the order in which a forward pass on `images` first calls them.

    Listed are leaf modules and every module that owns parameters directly. A module that a fused operation bypasses
    (`out_proj` of `nn.MultiheadAttention`) is not called and so not listed; its owner is. `extra` is as in `prepare`.
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
    _forward(prepared, model_inputs(prepared, images[:1], [each[:1] for each in extra]))
    return tuple(LayerCall(path, kinds[path], number) for path, number in calls.items())


def used_parameters(
    model: nn.Module,
    images: Tensor,
    among: Collection[str] | None = None,
    output: Output | None = None,
    extra: Extra = (),
) -> frozenset[str]:
    """Names the parameters that the logits of any image depend on, by autograd; auxiliary heads are left out.

    A model may send images on different ways (mixture of experts, early exit), so they pass one by one until every
    parameter has been met.

    Args:
        model: any module; only read.
        images: (batch, ...).
        among: the names to look for; None looks for all.
        output: where the logits are, as in `prepare`.
        extra: further inputs of the model, as in `prepare`.
    """
    prepared = frozen_copy(model)
    inputs = model_inputs(prepared, images, extra)
    unmet = {
        name: p.requires_grad_()
        for name, p in prepared.named_parameters(remove_duplicate=False)
        # Integers have no gradient and may not ask for one.
        if p.is_floating_point() and (among is None or name in among)
    }
    used: set[str] = set()
    for row in range(len(images)):
        answer = _forward(prepared, [each[row : row + 1] for each in inputs])
        logits = find_logits(answer, output, type(prepared).__name__)
        if unmet and logits.requires_grad:
            # The sum of the logits, which must not be taken where the caller has switched gradients off.
            gradients = torch.autograd.grad(logits, list(unmet.values()), torch.ones_like(logits), allow_unused=True)
            met = {name for name, gradient in zip(unmet, gradients, strict=True) if gradient is not None}
            used |= met
            unmet = {name: parameter for name, parameter in unmet.items() if name not in met}
        if not unmet:
            break
    return frozenset(used)


def model_inputs(model: nn.Module, images: Tensor, extra: Extra = ()) -> list[Tensor]:
    """Copies of images and further inputs in the model's floating-point type, without a graph or a subclass of Tensor.

    Raises:
        InvalidInput: a further input is no tensor on the images' device with one row an image.
    """
    extra = accepted_extra(extra, images.device)
    require_rows(extra, images)
    dtype = next((p.dtype for p in model.parameters() if p.is_floating_point()), None)
    with torch.inference_mode(False):  # autograd cannot use a tensor that was made in inference mode
        copies = [each.as_subclass(Tensor).detach().clone() for each in (images, *extra)]
        return [each.to(dtype) if each.is_floating_point() and dtype is not None else each for each in copies]


def _forward(prepared: nn.Module, inputs: Sequence[Tensor]) -> Any:
    devices = [inputs[0].device] if inputs[0].is_cuda else []
    with torch.random.fork_rng(devices), torch.inference_mode(False), torch.enable_grad():
        image, *extra = (each.clone() for each in inputs)  # which the model may overwrite
        # Images that require a gradient keep transformers off their fused inference path, which calls no submodule.
        return prepared(image.requires_grad_(True).clone(), *extra)
