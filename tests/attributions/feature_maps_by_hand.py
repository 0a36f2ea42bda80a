"""Grad-CAM of ConvNet without a hook: the network cut in two at a layer, and bilinear interpolation pixel by pixel."""

import torch
from torch import Tensor
from torch.nn import functional as F


def grad_cam(model, image: Tensor, target: int, layer: str, relu: bool) -> Tensor:
    """The map, (1, height, width)."""
    activation = up_to(model, image[None], layer)[0].detach().requires_grad_()
    slope = torch.autograd.grad(from_layer(model, activation[None], layer)[0, target], activation)[0]
    cam = torch.zeros_like(activation[0])
    for k in range(len(activation)):
        cam += sum(slope[k].flatten().tolist()) / slope[k].numel() * activation[k].detach()
    return enlarge(cam.clamp(min=0) if relu else cam, *image.shape[1:])[None]


def up_to(model, x, layer: str) -> Tensor:
    """ConvNet's forward pass as far as a layer, without operations in place."""
    x = model.conv1(x)
    if layer == "conv1":
        return x
    return model.bn1(x) if layer == "bn1" else _later(model, F.max_pool2d(model.bn1(x).relu(), 3, 2), layer)


def _later(model, x, layer: str) -> Tensor:
    return model.conv2(x) if layer == "conv2" else model.conv3((model.conv2(x) + x).relu())


def from_layer(model, x, layer: str) -> Tensor:
    """The rest of ConvNet's forward pass."""
    if layer == "conv1":
        return from_layer(model, model.bn1(x), "bn1")
    if layer == "bn1":
        return from_layer(model, _later(model, F.max_pool2d(x.relu(), 3, 2), "conv3"), "conv3")
    assert layer == "conv3"
    return model.head((x.relu().mean((2, 3)) - 0.01).relu())


def enlarge(small: Tensor, height: int, width: int) -> Tensor:
    """Bilinear interpolation between pixel centers, constant beyond the outer ones."""
    large = torch.empty(height, width, dtype=small.dtype)
    for i in range(height):
        for j in range(width):
            y, x = (
                min(max((n + 0.5) * s / size - 0.5, 0), s - 1)
                for n, s, size in [(i, small.shape[0], height), (j, small.shape[1], width)]
            )
            top, left = int(y), int(x)
            down, right = min(top + 1, small.shape[0] - 1), min(left + 1, small.shape[1] - 1)
            upper = (1 - x + left) * small[top, left] + (x - left) * small[top, right]
            lower = (1 - x + left) * small[down, left] + (x - left) * small[down, right]
            large[i, j] = (1 - y + top) * upper + (y - top) * lower
    return large
