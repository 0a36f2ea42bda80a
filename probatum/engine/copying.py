"""Structural copies of a model that share its weights: what makes randomized and frozen versions cheap and safe."""

import copy
from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Mapping
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from probatum.errors import ModelError


def copy_model(model: nn.Module, *, own: Callable[[str], bool] | None = None) -> nn.Module:
    """Copies the structure of a model and shares its tensors with the original.

    The copy has module objects of its own, so that its mode, flags and hooks may change freely. Attributes that refer
    to another module or to a bound method refer to their copies; tied weights stay tied; `.grad` is not carried over.

    Args:
        model: any module; it is only read.
        own: tells by dotted name which parameters and buffers get storage of their own. A tensor with several names is
            cloned where any of its names is accepted. Without `own`, all storage is shared: write into none of it.

    Returns:
        the copy, in the same mode and with the same `requires_grad` flags as the original.

    Raises:
        ModelError: the model holds TorchScript, something else that cannot be copied, or lazy parameters without a
            shape.
    """
    scripted = [name for name, module in model.named_modules() if isinstance(module, torch.jit.ScriptModule)]
    if scripted:
        where = f"{type(model).__name__}{f'.{scripted[0]}' if scripted[0] else ''}"
        raise ModelError(f"{where} is TorchScript, whose operations cannot be seen; give the module it was made from")
    memo: dict[int, Any] = {}
    names: dict[int, list[str]] = defaultdict(list)
    for name, tensor in _named_tensors(model):
        if nn.parameter.is_lazy(tensor):
            raise ModelError(f"{name} of {type(model).__name__} is lazy and has no shape yet; run the model once first")
        names[id(tensor)].append(name)
        alias = _detached(tensor)
        if own is not None and any(own(each) for each in names[id(tensor)]):
            alias = alias.clone()
        is_parameter = isinstance(tensor, nn.Parameter)
        memo[id(tensor)] = nn.Parameter(alias, requires_grad=tensor.requires_grad) if is_parameter else alias
    # Other tensors are handed to deepcopy too, which refuses those that autograd made: activations that a model keeps,
    # the weight of old-style weight norm. A model may write into them, so a copy with storage of its own owns them too.
    for tensor in _kept_tensors(model):
        alias = _detached(tensor)
        memo.setdefault(id(tensor), alias if own is None else alias.clone())
    try:
        return copy.deepcopy(model, memo)
    except (TypeError, RuntimeError, AttributeError, NotImplementedError) as error:
        raise ModelError(f"{type(model).__name__} cannot be copied: {error}") from error


def written_module(model: nn.Module) -> nn.Module:
    """The module that somebody wrote, inside those of torch.compile and data parallelism.

    Hooks and dotted paths belong to it. The wrappers would compile operations away that have to be seen, run in threads
    that modes do not reach, or wait for other processes.
    """
    while True:
        if isinstance(inner := getattr(model, "_orig_mod", None), nn.Module):
            model = inner
        elif isinstance(model, (nn.DataParallel, nn.parallel.DistributedDataParallel)):
            model = model.module
        else:
            return model


def frozen_copy(model: nn.Module) -> nn.Module:
    """Copies a model for evaluation: eval mode, no parameter requires a gradient, weights shared, buffers its own."""
    original = written_module(model)
    buffers = {name for name, _ in original.named_buffers(remove_duplicate=False)}
    with torch.inference_mode(False):
        model = copy_model(original, own=buffers.__contains__)
        model.eval()  # an overridden train() may return nothing
        return model.requires_grad_(False)


def _detached(tensor: Tensor) -> Tensor:
    """These values without a graph; copied if made in inference mode, which autograd refuses."""
    return tensor.clone() if tensor.is_inference() else tensor.detach()


def _kept_tensors(model: nn.Module) -> Iterator[Tensor]:
    """The tensors in attributes of a model's modules, also those in containers and other objects there."""
    seen: set[int] = set()
    left: list[object] = [vars(module) for module in model.modules()]
    while left:
        value = left.pop()
        if id(value) in seen or isinstance(value, (nn.Module, type, ModuleType)):
            continue
        seen.add(id(value))
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, Mapping):
            left += value.values()
        elif isinstance(value, (list, tuple, set, frozenset, deque)):
            left += value
        elif not callable(value):
            left += getattr(value, "__dict__", {}).values()


def _named_tensors(model: nn.Module) -> Iterator[tuple[str, Tensor]]:
    yield from model.named_parameters(remove_duplicate=False)
    yield from model.named_buffers(remove_duplicate=False)
