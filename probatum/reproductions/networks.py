"""Pretrained networks and photographs as the papers' experiments explain them."""

from pathlib import Path

import torch
from torch import Tensor, nn

from probatum.data import image_files
from probatum.errors import InvalidInput
from probatum.models.last_relu import last_relu, without_last_relu
from probatum.reproductions.base import Context
from probatum.reproductions.inputs import PHOTOGRAPHS

FEW = 8  # images that tell whether a network ends in a ReLU


def before_last_relu(model: nn.Module, images: Tensor) -> tuple[nn.Module, str]:
    """The network whose logits are the values before its last ReLU, and that in words; as it is, and "", without one.

    SqueezeNet ends in a ReLU. Once its weights are random, about half of its logits are exactly 0, and so are their
    gradients and maps: nothing could be compared.

    Args:
        model: on its device; not changed.
        images: that it takes, of which a few are tried.
    """
    some = images[:FEW].to(next(model.parameters(), torch.empty(0)).device)
    name = last_relu(model, some)
    return (model, "") if name is None else (without_last_relu(model, name), f"values before the last ReLU, {name}")


def photograph_folders(context: Context) -> list[Path]:
    """The folder of `--photographs`, or those of the data folder: imagenet-demo/, the authors' own, comes first.

    imagenet-demo/ holds the photographs of the figures of Adebayo et al. (2018), which Wienecke and Hinrichs (2021)
    explain too.

    Raises:
        InvalidInput: there is no folder of the given name.
    """
    config = context.config
    if config.photographs is not None:
        given = Path(config.photographs)
        if not given.is_dir():
            raise InvalidInput(f"there is no folder of photographs {given}; give one with --photographs")
        return [given]
    root = Path(config.data_dir or "")
    names = [name for name in PHOTOGRAPHS if name not in context.absent and config.data_dir is not None]
    return [root / name for name in names if (root / name).is_dir()]


def photograph_files(context: Context) -> list[Path]:
    """The photographs of `photograph_folders`, folder by folder, by name."""
    return [file for folder in photograph_folders(context) for file in image_files(folder)]
