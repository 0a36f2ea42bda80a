"""Pretrained networks as the papers' experiments explain them."""

import torch
from torch import Tensor, nn

from probatum.models.last_relu import last_relu, without_last_relu

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
