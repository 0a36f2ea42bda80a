"""The state of a module: layers, modes, hooks, parameters and buffers, compared with those of another."""

from collections.abc import Iterator
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

Aspect = Literal["layers", "mode", "hooks", "weights", "requires_grad"]
_HOOKS = ("_forward_pre_hooks", "_forward_hooks", "_backward_pre_hooks", "_backward_hooks")


class Difference(NamedTuple):
    """A difference between two modules.

    Args:
        aspect: what differs.
        words: where and how, for messages.
    """

    aspect: Aspect
    words: str


def differences(model: nn.Module, original: nn.Module) -> Iterator[Difference]:
    """What distinguishes a module from the one that it was copied from."""
    found, expected = dict(model.named_modules()), dict(original.named_modules())
    for path in {**expected, **found}:
        if type(found.get(path)) is not type(expected.get(path)):
            yield Difference("layers", f"layer {path!r} was added, removed or replaced")
    for path in (path for path in expected if path in found):
        here = f"layer {path!r}" if path else "the model"
        if found[path].training != expected[path].training:
            yield Difference("mode", f"{here} is in {'training' if found[path].training else 'eval'} mode")
        counts = [sum(len(getattr(each, name)) for name in _HOOKS) for each in (found[path], expected[path])]
        if counts[0] != counts[1]:
            yield Difference("hooks", f"{here} has {counts[0]} hooks where it had {counts[1]}")
    tensors, kept = _tensors(model), _tensors(original)
    for name in {**kept, **tensors}:
        if name not in tensors or name not in kept or not same_values(tensors[name], kept[name]):
            yield Difference("weights", f"{name} has other values")
        elif tensors[name].requires_grad != kept[name].requires_grad:
            yield Difference("requires_grad", f"requires_grad of {name} is {tensors[name].requires_grad}")


def first_difference(model: nn.Module, original: nn.Module) -> str | None:
    """In words, what first distinguishes a module from the one that it was copied from; `requires_grad` may differ."""
    return next((each.words for each in differences(model, original) if each.aspect != "requires_grad"), None)


def same_values(found: Tensor, expected: Tensor) -> bool:
    """True if two tensors are equal bit for bit up to the sign of zero; NaN equals NaN."""
    if found.shape != expected.shape or found.dtype != expected.dtype or found.device != expected.device:
        return False
    if torch.equal(found, expected):
        return True
    return bool(((found == expected) | (found.isnan() & expected.isnan())).all())


def _tensors(model: nn.Module) -> dict[str, Tensor]:
    named = [*model.named_parameters(remove_duplicate=False), *model.named_buffers(remove_duplicate=False)]
    return dict(named)
