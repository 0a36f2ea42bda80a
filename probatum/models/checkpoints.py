"""Weights on disk: plain state dicts, written atomically and read strictly."""

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
    """Load a state dict that fits `model` exactly.

    Also accepted: weights nested under "state_dict" or "model", the prefix "module." of parallel training, and the key
    names of torchvision's published DenseNets.

    Args:
        model: changed in place.
        path: a file of tensors written by `torch.save`; it is never executed.
        ignore: dotted paths of modules whose entries are skipped.

    Raises:
        InvalidInput: no such file, no tensors in it, values that are not finite, or different keys or shapes.
    """
    state, expected = read_state(Path(path), ignore), model.state_dict()
    shared = [key for key in expected if key in state]
    if any(expected[key].shape != state[key].shape for key in shared):
        raise InvalidInput(f"{path} does not fit the model: {_misfit(expected, state)}")
    try:
        for key in shared:  # unexpected entries may claim any size
            if state[key].is_floating_point() and not bool(torch.isfinite(state[key]).all()):
                raise InvalidInput(f"{path}: {key} holds values that are not finite")
        model.load_state_dict(state, strict=True)
    except InvalidInput:
        raise
    except Exception as error:  # a crafted file may contain tensors of any type
        raise InvalidInput(f"{path} does not fit the model: {_misfit(expected, state) or error}") from error


def read_state(path: Path, ignore: tuple[str, ...] = ()) -> dict[str, Tensor]:
    """Read the state dict of a file; see `load_checkpoint`."""
    if not os.path.isfile(path):
        raise InvalidInput(f"there is no checkpoint file {path}")
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                require_stored(archive, path.stat().st_size)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # warnings about old formats; unreadable files raise
            content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch.load raises many kinds of errors on foreign files
        raise InvalidInput(
            f"{path} is not a file of tensors that torch.load(weights_only=True) reads; "
            "write it with torch.save(model.state_dict(), path)"
        ) from error
    if isinstance(content, dict):
        content = next((content[key] for key in ("state_dict", "model") if _is_state(content.get(key))), content)
    if not _is_state(content):
        raise InvalidInput(f"{path} contains no state dict; write it with torch.save(model.state_dict(), path)")
    nested = next((key for key, value in content.items() if value.is_nested), None)
    if nested is not None:
        raise InvalidInput(f"{path}: {nested} is a nested tensor, which no weight is; save tensors of one shape each")
    return known_state(content, ignore)


def known_state(content: Mapping[str, Tensor], ignore: tuple[str, ...] = ()) -> dict[str, Tensor]:
    """Return a state dict with current key names, without the entries of some modules."""
    state = OrderedDict(content)
    # Some modules need version numbers, which are an attribute of the dict.
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
    """Return True if a value is a dense CPU tensor of real numbers."""
    return (
        isinstance(value, Tensor)
        and value.layout == torch.strided
        and value.device.type == "cpu"
        and not (value.is_quantized or value.dtype.is_complex)
    )


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
