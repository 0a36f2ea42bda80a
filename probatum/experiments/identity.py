"""What determines the numbers of a run, and in what two runs differ."""

import hashlib
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

import probatum
from probatum.engine.budget import default_budget
from probatum.experiments.config import CheckConfig
from probatum.experiments.setup import Setup, weights_hash

_NUMERICS = ("attributions", "engine", "experiments/sanity.py", "maps.py", "metrics", "models", "randomization")
_SHOWN = 5  # differences that a message names
_GIB = 1 << 30


def identity_of(config: CheckConfig, setup: Setup) -> dict[str, Any]:
    """Everything that determines the numbers of a check, as JSON values."""
    device = setup.images.device
    return {
        "config": config.to_json(),
        "weights": weights_hash(setup.model),
        "images": tensor_hash(setup.images),
        "image names": list(setup.data.image_names),
        "targets": setup.targets.tolist(),
        "device": device.type,
        "torch": torch.__version__,
        "numpy": np.__version__,
        "probatum": f"{probatum.__version__} {numerics_hash()[:16]}",
    }


def circumstances_of(config: CheckConfig, device: torch.device) -> dict[str, int | None]:
    """What decides how sums are cut into parts, and so their rounding; a run that is continued keeps to it.

    Returns:
        the threads of the CPU, and on CUDA, where it would depend on what is free at the moment, the memory budget.
    """
    if device.type == "cpu":
        return {"threads": torch.get_num_threads(), "memory_budget": None}
    if config.memory_budget is not None:
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


def tensor_hash(tensor: Tensor) -> str:
    """SHA-256 of a tensor's type, shape and numbers."""
    digest = hashlib.sha256(f"{tensor.dtype} {tuple(tensor.shape)}\n".encode())
    digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


@lru_cache(maxsize=1)
def numerics_hash() -> str:
    """SHA-256 of the package's sources that a number of a check depends on."""
    root = Path(probatum.__file__).parent
    digest = hashlib.sha256()
    for room in _NUMERICS:
        for path in sorted((root / room).rglob("*.py")) if (root / room).is_dir() else [root / room]:
            digest.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def _short(value: Any) -> str:
    text = ",".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)
    return text if len(text) <= 60 else f"{text[:24]}… ({len(text)} characters)"
