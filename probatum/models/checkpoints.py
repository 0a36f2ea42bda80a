"""Weights on disk: plain state dicts, written atomically, and read under the key names that occur in the wild."""

import os
import re
from collections import OrderedDict
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.utils import consume_prefix_in_state_dict_if_present

from probatum.errors import InvalidInput
from probatum.models.state_files import read_state
from probatum.storage import whole_file

PREFIXES = ("module.", "model.", "net.", "network.", "backbone.", "_orig_mod.")
"""What data parallelism, Lightning modules, wrappers and `torch.compile` put in front of the keys of a network."""

_COMPILED = "_orig_mod."
_WAY_OUT = "name the model that the file was saved from, or save the entries of this model alone"
_OTHER_THAN_WEIGHTS = ("n_averaged", "criterion.", "loss.", "loss_fn.", "loss_function.")
_OLD_DENSENET_KEY = re.compile(r"(denselayer\d+\.(?:norm|conv))\.([12]\.)")


def save_checkpoint(model: nn.Module, path: str | os.PathLike[str]) -> None:
    """Write the state dict of `model`, on the CPU; an existing file is replaced only when the new one is complete."""
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    state = model.state_dict()  # an OrderedDict; its version numbers must be kept
    for key, value in state.items():
        state[key] = value.detach().cpu()
    try:
        with whole_file(target) as file:
            torch.save(state, file)
    except RuntimeError as error:  # raised by torch's writer when the disk is full
        raise OSError(f"{target} cannot be written: {error}") from error


def load_checkpoint(model: nn.Module, path: str | os.PathLike[str], ignore: tuple[str, ...] = ()) -> None:
    """Load a state dict that fits `model` exactly, under the key names that `known_state` knows.

    Args:
        model: changed in place.
        path: a file of tensors written by `torch.save`, or a safetensors file; it is never executed.
        ignore: dotted paths of modules whose entries are skipped.

    Raises:
        InvalidInput: no such file, no tensors in it, values that are not finite, or different keys or shapes.
    """
    load_state(model, read_state(Path(path)), path, ignore)


def load_state(
    model: nn.Module, state: Mapping[str, Tensor], path: str | os.PathLike[str], ignore: tuple[str, ...] = ()
) -> None:
    """Load what `read_state` read from a file; see `load_checkpoint`."""
    expected = model.state_dict()
    state = known_state(state, expected, ignore)
    shared = [key for key in expected if key in state]
    if any(expected[key].shape != state[key].shape for key in shared):
        raise InvalidInput(f"{path} does not fit the model: {_misfit(expected, state)}; {_WAY_OUT}")
    try:
        for key in shared:  # unexpected entries may claim any size
            if state[key].is_floating_point() and not bool(torch.isfinite(state[key]).all()):
                raise InvalidInput(f"{path}: {key} holds values that are not finite")
        model.load_state_dict(state, strict=True)
    except InvalidInput:
        raise
    except Exception as error:  # a crafted file may contain tensors of any type
        raise InvalidInput(f"{path} does not fit the model: {_misfit(expected, state) or error}; {_WAY_OUT}") from error


def known_state(
    content: Mapping[str, Tensor], expected: Collection[str], ignore: tuple[str, ...] = ()
) -> "OrderedDict[str, Tensor]":
    """Return a state dict under the key names of a model.

    Left out are prefixes that all entries have (`PREFIXES`) while the model knows none of the keys, the weights of a
    loss function, the counter of averaged weights, and the entries of some modules. The old key names of torchvision's
    DenseNets become the new ones.

    Args:
        content: what a file holds.
        expected: the keys of the model.
        ignore: dotted paths of modules whose entries are left out.
    """
    state = OrderedDict(content)
    # Some modules need version numbers, which are an attribute of the dict.
    versions = getattr(content, "_metadata", None)
    if isinstance(versions, dict) and all(_is_version(*entry) for entry in versions.items()):
        setattr(state, "_metadata", OrderedDict(versions))  # noqa: B010
    for key in list(state):
        if key.startswith(_OTHER_THAN_WEIGHTS) and key not in expected:
            del state[key]
    if not any(_COMPILED in key for key in expected):  # also parts of a model may be compiled
        _rename(state, lambda key: key.replace(_COMPILED, ""))
    while state and not any(key in state for key in expected):
        prefix = next((prefix for prefix in PREFIXES if all(key.startswith(prefix) for key in state)), None)
        if prefix is None:
            break
        consume_prefix_in_state_dict_if_present(state, prefix)
    _rename(state, lambda key: _OLD_DENSENET_KEY.sub(r"\1\2", key))
    for key in list(state):
        if key.startswith(tuple(f"{module}." for module in ignore)):
            del state[key]
    return state


def other_classes(expected: Mapping[str, Tensor], state: Mapping[str, Tensor]) -> int | None:
    """Return the number of classes of a state that differs from a model in the width of its last layers alone.

    Args:
        expected: of the model.
        state: with the model's keys.

    Returns:
        The first axis of all entries whose shape differs, where they differ in that axis alone and agree; else None.
    """
    pairs = [(value, state[key]) for key, value in expected.items() if key in state and value.shape != state[key].shape]
    widths = {(*own.shape[:1], *given.shape[:1]) for own, given in pairs}
    same_inside = all(own.shape[1:] == given.shape[1:] and own.ndim == given.ndim for own, given in pairs)
    if len(widths) != 1 or not same_inside or not all(_is_whole(given) for _, given in pairs):
        return None
    return int(pairs[0][1].shape[0]) or None


def _is_whole(tensor: Tensor) -> bool:
    """Return True if every value of a tensor has a place of its own in memory."""
    return tensor.numel() * tensor.element_size() <= tensor.untyped_storage().nbytes()


def _rename(state: "OrderedDict[str, Tensor]", new_name: Callable[[str], str]) -> None:
    """Rename the keys, and the modules whose version numbers are kept."""
    for key in list(state):
        if new_name(key) != key:
            state[new_name(key)] = state.pop(key)
    versions: dict[str, Any] = getattr(state, "_metadata", {})
    for module in list(versions):
        versions[new_name(f"{module}.").removesuffix(".")] = versions.pop(module)


def _is_version(module: Any, facts: Any) -> bool:
    return isinstance(module, str) and isinstance(facts, dict) and isinstance(facts.get("version", 1), int)


def _misfit(expected: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> str:
    """Describe the first missing, unexpected and misshapen key."""
    missing = [key for key in expected if key not in found]
    unexpected = [key for key in found if key not in expected]
    misshapen = [key for key in expected if key in found and expected[key].shape != found[key].shape]
    parts = []
    if missing:
        parts.append(f"{len(missing)} entries are missing, first {missing[0]}")
    if unexpected:
        parts.append(f"{len(unexpected)} entries are unexpected, first {unexpected[0]}")
    if misshapen:
        key = misshapen[0]
        parts.append(
            f"{len(misshapen)} have another shape, first {key}: "
            f"{tuple(found[key].shape)} in the file, {tuple(expected[key].shape)} in the model"
        )
    return "; ".join(parts)
