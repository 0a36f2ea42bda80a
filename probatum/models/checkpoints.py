"""Weights on disk: plain state dicts, written whole or not at all, read strictly."""

import os
import re
import warnings
import zipfile
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.utils import consume_prefix_in_state_dict_if_present

from probatum.errors import InvalidInput
from probatum.storage import require_stored, whole_file

_OLD_DENSENET_KEY = re.compile(r"(denselayer\d+\.(?:norm|conv))\.([12]\.)")


def save_checkpoint(model: nn.Module, path: str | os.PathLike[str]) -> None:
    """Write the state dict of `model`, on the CPU; an older file is replaced only once the new one is complete."""
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    state = model.state_dict()  # an OrderedDict whose version numbers must go along
    for key, value in state.items():
        state[key] = value.detach().cpu()
    try:
        with whole_file(target) as file:
            torch.save(state, file)
    except RuntimeError as error:  # as torch's writer calls a disk that is full
        raise OSError(f"{target} cannot be written: {error}") from error


def load_checkpoint(model: nn.Module, path: str | os.PathLike[str], ignore: tuple[str, ...] = ()) -> None:
    """Load a state dict that fits `model` exactly.

    A dict that holds the weights under "state_dict" or "model", the prefix "module." of parallel training, and the key
    names of torchvision's published DenseNets are understood.

    Args:
        model: changed in place.
        path: a file written by `torch.save` of tensors; nothing in it is executed.
        ignore: dotted module paths whose entries are passed over.

    Raises:
        InvalidInput: no such file, no tensors in it, values that are not finite, or keys or shapes that differ.
    """
    state, expected = read_state(Path(path), ignore), model.state_dict()
    shared = [key for key in expected if key in state]
    if any(expected[key].shape != state[key].shape for key in shared):
        raise InvalidInput(f"{path} does not fit the model: {_misfit(expected, state)}")
    try:
        for key in shared:  # the others may claim to be of any size
            if state[key].is_floating_point() and not bool(torch.isfinite(state[key]).all()):
                raise InvalidInput(f"{path}: {key} holds values that are not finite")
        model.load_state_dict(state, strict=True)
    except InvalidInput:
        raise
    except Exception as error:  # a crafted file may hold tensors of any type
        raise InvalidInput(f"{path} does not fit the model: {_misfit(expected, state) or error}") from error


def read_state(path: Path, ignore: tuple[str, ...] = ()) -> dict[str, Tensor]:
    """Reads the state dict of a file: see `load_checkpoint`."""
    if not os.path.isfile(path):
        raise InvalidInput(f"there is no checkpoint file {path}")
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                require_stored(archive, path.stat().st_size)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about old formats: what cannot be read raises
            content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch.load fails in a dozen ways on a file that is none of its own
        raise InvalidInput(
            f"{path} is not a file of tensors that torch.load(weights_only=True) reads; "
            "write it with torch.save(model.state_dict(), path)"
        ) from error
    if isinstance(content, dict):
        content = next((content[key] for key in ("state_dict", "model") if _is_state(content.get(key))), content)
    if not _is_state(content):
        raise InvalidInput(f"{path} holds no state dict; write it with torch.save(model.state_dict(), path)")
    return known_state(content, ignore)


def known_state(content: Mapping[str, Tensor], ignore: tuple[str, ...] = ()) -> dict[str, Tensor]:
    """A state dict under the names that models have today, without the entries of some modules."""
    state = OrderedDict(content)
    # Version numbers, which some modules need, are an attribute of the dict.
    versions = getattr(content, "_metadata", None)
    if isinstance(versions, dict) and all(_is_version(*entry) for entry in versions.items()):
        setattr(state, "_metadata", OrderedDict(versions))  # noqa: B010
    consume_prefix_in_state_dict_if_present(state, "module.")
    for key in list(state):
        new_key = _OLD_DENSENET_KEY.sub(r"\1\2", key)
        if new_key != key:
            state[new_key] = state.pop(key)
        if key.startswith(tuple(f"{module}." for module in ignore)):
            del state[key]
    return state


def _is_state(content: Any) -> bool:
    return (
        isinstance(content, dict)
        and bool(content)
        and all(isinstance(key, str) and _is_plain(value) for key, value in content.items())
    )


def _is_plain(value: Any) -> bool:
    """Whether a value is a tensor of real numbers: not sparse, quantized or without storage."""
    return (
        isinstance(value, Tensor)
        and value.layout == torch.strided
        and value.device.type == "cpu"
        and not (value.is_quantized or value.dtype.is_complex)
    )


def _is_version(module: Any, facts: Any) -> bool:
    return isinstance(module, str) and isinstance(facts, dict) and isinstance(facts.get("version", 1), int)


def _misfit(expected: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> str:
    """The first key of each kind that does not fit."""
    missing = [key for key in expected if key not in found]
    unexpected = [key for key in found if key not in expected]
    misshapen = [key for key in expected if key in found and expected[key].shape != found[key].shape]
    parts = []
    if missing:
        parts.append(f"it lacks {len(missing)} entries, first {missing[0]}")
    if unexpected:
        parts.append(f"it has {len(unexpected)} others, first {unexpected[0]}")
    if misshapen:
        key = misshapen[0]
        parts.append(
            f"{len(misshapen)} have another shape, first {key}: "
            f"{tuple(found[key].shape)} in the file, {tuple(expected[key].shape)} in the model"
        )
    return "; ".join(parts)
