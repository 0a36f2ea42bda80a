"""pytorch-grad-cam: maps as NumPy arrays, each scaled to [0, 1]; Guided Backprop one image at a time."""

from importlib import import_module
from typing import Any

import torch
from torch import Tensor, nn

from probatum.engine import copy_model, find_layer


def trainable_copy(model: nn.Module) -> nn.Module:
    """A model as the library needs it: its parameters require gradients, and it may be changed."""
    return copy_model(model).requires_grad_(True)


CAMS = {
    "grad-cam": "GradCAM",
    "grad-cam-plus-plus": "GradCAMPlusPlus",
    "hires-cam": "HiResCAM",
    "layer-cam": "LayerCAM",
}
"""The library's classes of our methods."""


def cam_map(name: str, model: nn.Module, images: Tensor, targets: Tensor, layer: str) -> Tensor:
    """The class activation map of each image, scaled to [0, 1]: (batch, 1, height, width).

    Args:
        name: of the method, in `CAMS`.
        model: from `trainable_copy`.
        images: (batch, channel, height, width).
        targets: class indices (batch,).
        layer: dotted path.
    """
    library: Any = import_module("pytorch_grad_cam")
    aims: Any = import_module("pytorch_grad_cam.utils.model_targets")
    with getattr(library, CAMS[name])(model=model, target_layers=[find_layer(model, layer)]) as cam:
        maps = cam(input_tensor=images, targets=[aims.ClassifierOutputTarget(target) for target in targets.tolist()])
    return torch.as_tensor(maps)[:, None]


def guided_map(model: nn.Module, images: Tensor, targets: Tensor) -> Tensor:
    """Guided Backprop of each image: (batch, channel, height, width); it explains the first image of a batch only."""
    library: Any = import_module("pytorch_grad_cam")
    guided = library.GuidedBackpropReLUModel(model=model, device=images.device)
    maps = [guided(image[None].clone(), target) for image, target in zip(images, targets.tolist(), strict=True)]
    return torch.stack([torch.as_tensor(each).permute(2, 0, 1) for each in maps])
