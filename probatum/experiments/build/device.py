"""From a configuration to its device."""

import torch

from probatum.errors import InvalidInput


def choose_device(name: str) -> torch.device:
    """Reads a device; "auto" is CUDA where there is one."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise InvalidInput(f"device {name!r} does not exist; write auto, cpu, cuda or cuda:1") from None
    if device.type == "cuda" and not torch.cuda.is_available():
        raise InvalidInput(f"device {name!r} was asked for, but torch sees no CUDA device here; use --device cpu")
    return device
