"""The identity of a run: what determines its numbers, and the differences between two runs."""

import hashlib
import platform
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torchvision
from torch import Tensor, nn

import probatum
from probatum.engine.budget import default_budget
from probatum.runs.fingerprint import tensor_hash, weights_hash

_NUMERICS = ("attributions", "engine", "experiments", "maps.py", "metrics", "models", "randomization")
_SHOWN = 5  # differences that a message names
_GIB = 1 << 30


def identity_of_inputs(model: nn.Module, images: Tensor, targets: Tensor) -> dict[str, Any]:
    """Weights, images and targets, by their hashes."""
    return {"weights": weights_hash(model), "images": tensor_hash(images), "targets": targets.tolist()}


def identity_of_software(device: torch.device, rooms: tuple[str, ...] = _NUMERICS) -> dict[str, Any]:
    """Software of a run: the kind of device, the libraries, and the package with a hash of its sources."""
    return {
        "device": device.type,
        "torch": torch.__version__,
        "torchvision": torchvision.__version__,
        "numpy": np.__version__,
        "probatum": f"{probatum.__version__} {numerics_hash(rooms)[:16]}",
    }


def software() -> dict[str, str]:
    """The versions of what computes."""
    return {
        "probatum": probatum.__version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "torchvision": torchvision.__version__,
        "numpy": np.__version__,
    }


def rounding_settings_of(memory_budget: str | None, device: torch.device) -> dict[str, int | None]:
    """Settings that decide how sums are cut into parts, and so their rounding; a resumed run keeps them.

    Returns:
        the threads of the CPU, and on CUDA, where it would depend on what is free at the moment, the memory budget.
    """
    if device.type == "cpu":
        return {"threads": torch.get_num_threads(), "memory_budget": None}
    if memory_budget is not None:
        return {"threads": None, "memory_budget": None}
    free = default_budget(device)
    return {"threads": None, "memory_budget": free - free % _GIB if free >= 4 * _GIB else free}


def differences(old: Any, new: Any, name: str = "") -> list[str]:
    """The values that differ, each as "name: old -> new"."""
    if isinstance(old, dict) and isinstance(new, dict):
        found = []
        for key in dict.fromkeys((*old, *new)):
            inner = f"{name} {key}".strip() if name != "config" else key
            found += differences(old.get(key), new.get(key), inner)
        return found
    return [] if old == new else [f"{name}: {_short(old)} -> {_short(new)}"]


def listed(found: list[str]) -> str:
    """The differences in a line."""
    more = f", and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    return ", ".join(found[:_SHOWN]) + more


@lru_cache(maxsize=4)
def numerics_hash(rooms: tuple[str, ...] = _NUMERICS) -> str:
    """SHA-256 of those sources of the package that a number depends on; of a check, where no others are named."""
    root = Path(probatum.__file__).parent
    digest = hashlib.sha256()
    for room in rooms:
        for path in sorted((root / room).rglob("*.py")) if (root / room).is_dir() else [root / room]:
            digest.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def _short(value: Any) -> str:
    text = ",".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)
    return text if len(text) <= 60 else f"{text[:24]}… ({len(text)} characters)"
