"""Zennit: a composite of rules by the kind of module, registered as hooks while an attributor is open."""

from importlib import import_module
from typing import Any

import torch
from torch import Tensor, nn
from torchvision.models import ResNet

COMPOSITES = {"guided-backprop": "GuidedBackprop", "deconvnet": "DeconvNet", "lrp": "EpsilonPlusFlat"}
"""The library's composites of our methods."""


def zennit_map(name: str, model: nn.Module, images: Tensor, targets: Tensor) -> Tensor:
    """The maps of one method, (batch, channel, height, width).

    Args:
        name: of the method, in `COMPOSITES`.
        model: in eval mode.
        images: (batch, channel, height, width).
        targets: class indices (batch,).
    """
    attribution: Any = import_module("zennit.attribution")
    composites: Any = import_module("zennit.composites")
    composite = getattr(composites, COMPOSITES[name])(canonizers=_canonizers(model) if name == "lrp" else None)

    def start(logits: Tensor) -> Tensor:
        one_hot = torch.zeros_like(logits).scatter_(1, targets[:, None], 1)
        return logits * one_hot if name == "lrp" else one_hot

    with attribution.Gradient(model, composite) as attributor:
        return attributor(images, start)[1].detach()  # type: ignore[no-any-return]


def _canonizers(model: nn.Module) -> list[Any]:
    """What folds batch norms into convolutions, and makes a module of each sum of a ResNet."""
    found: Any = import_module("zennit.torchvision")
    return [found.ResNetCanonizer() if isinstance(model, ResNet) else found.SequentialMergeBatchNorm()]
