"""Reading of state dicts from files, as tensors only: nothing in a file is executed."""

import os
import re
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from probatum.errors import InvalidInput, MissingFile
from probatum.models.safetensors import is_safetensors, read_safetensors
from probatum.storage import require_stored

CONTAINERS = ("state_dict", "model_state_dict", "model", "net", "model_ema", "state_dict_ema", "ema")
"""The keys under which training programs nest a state dict; where a file has several, the first of these is read."""

_DEEPEST = 3  # dicts within dicts
_OTHER_FORMATS = (
    (b"<", "it is a web page, not the file that it links to; download the file itself"),
    (b"version https://git-lfs", "it is a pointer of Git LFS; fetch the file with git lfs pull"),
    (b"\x89HDF", "it is an HDF5 file, as Keras writes; convert it to a PyTorch state dict"),
    (b"\x1f\x8b", "it is compressed by gzip; unpack it"),
    (b"GGUF", "it is a GGUF file; convert it to a PyTorch state dict"),
)
_REFUSED_CLASS = re.compile(r"GLOBAL (\S+)")


def read_state(path: Path) -> Mapping[str, Tensor]:
    """Read the state dict of a file of `torch.save` or safetensors, also one that is nested under one of `CONTAINERS`.

    Raises:
        InvalidInput: no such file, a file of another kind, or no state dict in it.
    """
    if not os.path.isfile(path):
        raise MissingFile("checkpoint file", path)
    with open(path, "rb") as file:
        start = file.read(64)
    content: Any = read_safetensors(path) if is_safetensors(start) else read_torch_file(path)
    state = _find_state(content)
    if state is None:
        keys = ", ".join(map(repr, list(content)[:8])) if isinstance(content, dict) else f"a {type(content).__name__}"
        raise InvalidInput(
            f"{path} contains no state dict (found: {keys or 'nothing'}); "
            "write it with torch.save(model.state_dict(), path)"
        )
    nested = next((key for key, value in state.items() if value.is_nested), None)
    if nested is not None:
        raise InvalidInput(f"{path}: {nested} is a nested tensor, which no weight is; save tensors of one shape each")
    return state


def read_torch_file(path: Path) -> Any:
    """Read a file of `torch.save`: tensors and plain values, on the CPU; nothing in it is executed.

    Raises:
        InvalidInput: a file of another kind.
    """
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                require_stored(archive, path.stat().st_size)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # warnings about old formats; unreadable files raise
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch.load raises many kinds of errors on foreign files
        raise InvalidInput(f"{path} is not a file of tensors: {_reason(path, error)}") from error


def _reason(path: Path, error: Exception) -> str:
    """Why torch does not read a file as tensors, and the way out."""
    with open(path, "rb") as file:
        start = file.read(64)
    if not start:
        return "it is empty; download or write it again"
    for mark, reason in _OTHER_FORMATS:
        if start.lstrip().startswith(mark):
            return reason
    names = _names_in_archive(path)
    if any(name.endswith("/constants.pkl") for name in names):
        return (
            "it is TorchScript, whose operations cannot be seen; save the state_dict() of the module it was made from"
        )
    if isinstance(error, InvalidInput):
        return str(error)
    refused = _REFUSED_CLASS.search(str(error))
    if refused:
        return (
            f"it holds a pickled {refused[1]}, a whole model or a setting beside the weights, which only its own code "
            "can read; if you trust the file, load it with torch.load(path, weights_only=False) and write the weights "
            "alone with torch.save(model.state_dict(), path)"
        )
    if names and not any(name.endswith("/data.pkl") for name in names):
        return "it is an archive of something else"
    return "torch.load(path, weights_only=True) does not read it; write it with torch.save(model.state_dict(), path)"


def _names_in_archive(path: Path) -> list[str]:
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.namelist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        return []


def _find_state(content: Any, depth: int = 0) -> Mapping[str, Tensor] | None:
    if not isinstance(content, dict) or depth > _DEEPEST:
        return None
    if _is_state(content):
        return content
    inner = (_find_state(content.get(key), depth + 1) for key in (*CONTAINERS, "module"))
    return next((state for state in inner if state is not None), None)


def _is_state(content: dict[Any, Any]) -> bool:
    return bool(content) and all(isinstance(key, str) and _is_plain(value) for key, value in content.items())


def _is_plain(value: Any) -> bool:
    """Return True if a value is a dense CPU tensor of real numbers."""
    return (
        isinstance(value, Tensor)
        and value.layout == torch.strided
        and value.device.type == "cpu"
        and not (value.is_quantized or value.dtype.is_complex)
    )
