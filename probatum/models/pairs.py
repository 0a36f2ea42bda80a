"""A small network for images of any size, and published weights under a new last layer."""

import os
from collections import OrderedDict

import torch
from torch import nn

from probatum.models.registry import load_model


class PairCNN(nn.Sequential):
    """Three convolutions with 32, 64 and 128 filters, a global mean, and one dense layer.

    Takes (batch, channels, height, width), returns logits (batch, num_classes). A substitute for ResNet-18 when
    published weights are not available; no paper uses it.
    """

    def __init__(self, channels: int, num_classes: int) -> None:
        super().__init__(
            OrderedDict(
                conv1=nn.Conv2d(channels, 32, kernel_size=5, padding=2),
                relu1=nn.ReLU(),
                maxpool1=nn.MaxPool2d(2),
                conv2=nn.Conv2d(32, 64, kernel_size=3, padding=1),
                relu2=nn.ReLU(),
                maxpool2=nn.MaxPool2d(2),
                conv3=nn.Conv2d(64, 128, kernel_size=3, padding=1),
                relu3=nn.ReLU(),
                mean=nn.AdaptiveAvgPool2d(1),
                flatten=nn.Flatten(),
                linear=nn.Linear(128, num_classes),
            )
        )


def make_pair_cnn(channels: int, num_classes: int, seed: int = 0) -> PairCNN:
    """Make a `PairCNN` in eval mode whose weights depend only on the seed; the global random state does not change."""
    with torch.device("cpu"), torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        model = PairCNN(channels, num_classes)
    model.eval()
    return model


def load_pretrained(
    name: str, weights: str | os.PathLike[str], num_classes: int, seed: int = 0
) -> tuple[nn.Module, nn.Module]:
    """Load a pretrained network, and a copy of it with a random last layer of `num_classes` outputs.

    Args:
        name: a key of `MODELS`.
        weights: see `load_model`.
        num_classes: of the copy.
        seed: of the copy's last layer.

    Returns:
        Both in eval mode, on the CPU.
    """
    pretrained = load_model(name, weights, seed=seed)
    copy = load_model(name, "none", num_classes, seed)
    state = copy.state_dict()
    known = pretrained.state_dict()
    state.update({key: known[key] for key, value in state.items() if key in known and known[key].shape == value.shape})
    copy.load_state_dict(state)
    return pretrained, copy
