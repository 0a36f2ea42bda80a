"""Every row of the table of methods once more: one image, one sample and one step at a time, from the papers' formulas.

Nothing here comes from the engine but the noise, without which a random method has no answer to compare with.
"""

import itertools
import math
from collections.abc import Callable

import numpy as np
import torch
from attributions.deeplift_reference import multipliers
from attributions.guided_reference import deconvolved_relus, guided_relus
from attributions.table import GIVEN
from nets import SHAPE
from skimage import filters
from torch import Tensor
from torch.nn import functional as F

from probatum.engine.noise import image_keys, splitmix64, standard_normal, uniform

Map = Callable[[torch.nn.Module, Tensor, int, Tensor, int], Tensor]  # model, image, target, clean image, seed


def gradient(model, image, target, clean, seed):
    leaf = image.clone().requires_grad_()
    return torch.autograd.grad(model(leaf.clone()[None])[0, target], leaf)[0]


def input_x_gradient(model, image, target, clean, seed):
    return image * gradient(model, image, target, clean, seed)


def guided(model, image, target, clean, seed):
    with guided_relus():
        return gradient(model, image, target, clean, seed)


def deconvolved(model, image, target, clean, seed):
    with deconvolved_relus():
        return gradient(model, image, target, clean, seed)


def grad_cam(layer: str, relu: bool = True) -> Map:
    def replica(model, image, target, clean, seed):
        activation = up_to(model, image[None], layer)[0].detach().requires_grad_()
        slope = torch.autograd.grad(from_layer(model, activation[None], layer)[0, target], activation)[0]
        cam = torch.zeros_like(activation[0])
        for k in range(len(activation)):
            cam += sum(slope[k].flatten().tolist()) / slope[k].numel() * activation[k].detach()
        return enlarge(cam.clamp(min=0) if relu else cam, *SHAPE[1:])[None]

    return replica


def guided_grad_cam(layer: str) -> Map:
    return lambda *arguments: guided(*arguments) * grad_cam(layer)(*arguments)


ORDER = ["conv1", "bn1", "conv2", "conv3"]


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


def integrated_gradients(path: list[tuple[float, float]], baseline, multiply: bool = True) -> Map:
    def replica(model, image, target, clean, seed):
        start = baseline(clean)
        total = torch.zeros_like(image)
        for alpha, weight in path:
            total += weight * gradient(model, start + alpha * (image - start), target, clean, seed)
        return (image - start) * total if multiply else total

    return replica


def mean(image: Tensor) -> Tensor:
    return image.mean((1, 2), keepdim=True).expand_as(image)


def blurred(image: Tensor, sigma: float = 10.0) -> Tensor:
    for axis in (1, 2):
        reach = min(round(3 * sigma), image.shape[axis] - 1)
        kernel = [math.exp(-((k / sigma) ** 2) / 2) for k in range(-reach, reach + 1)]
        padded = np.pad(image.numpy(), [(reach, reach) if a == axis else (0, 0) for a in range(3)], mode="reflect")
        slices = [np.take(padded, range(k, k + image.shape[axis]), axis) for k in range(2 * reach + 1)]
        image = torch.from_numpy(sum(w * s for w, s in zip(kernel, slices, strict=True)) / sum(kernel))
    return image


def smooth(inner: Map, samples: int, statistic: str = "mean", fraction: float = 0.15, absolute=None) -> Map:
    def replica(model, image, target, clean, seed):
        sigma = fraction * float(image.max() - image.min()) if absolute is None else absolute
        key = image_keys(image[None], seed)
        maps = []
        for k in range(samples):
            epsilon = standard_normal(key, torch.tensor([k]), image.shape, torch.float64)[0]
            maps.append(inner(model, image + sigma * epsilon, target, clean, seed))
        mean = sum(maps) / samples
        if statistic == "mean":
            return mean
        if statistic == "square":
            return sum(m**2 for m in maps) / samples
        return sum((m - mean) ** 2 for m in maps) / samples

    return replica


def deeplift(baseline, multiply: bool = True) -> Map:
    def replica(model, image, target, clean, seed):
        start = baseline(clean)
        m = multipliers(model, image, start, target)
        return (image - start) * m if multiply else m

    return replica


def stream(clean: Tensor, seed: int, purpose: int) -> Tensor:
    return splitmix64(image_keys(clean[None], seed) + purpose)


def noisy(center, fraction: float):
    """The k-th noisy baseline of an image."""

    def baseline(clean, seed, k):
        epsilon = standard_normal(stream(clean, seed, 1), torch.tensor([k]), clean.shape, torch.float64)[0]
        return center(clean) + fraction * (clean.max() - clean.min()) * epsilon

    return baseline


def given(clean, seed, k):
    return GIVEN[k]


def deeplift_shap(baseline, count: int, multiply: bool = True) -> Map:
    def replica(model, image, target, clean, seed):
        maps = []
        for k in range(count):
            one = deeplift(lambda clean, k=k: baseline(clean, seed, k), multiply)
            maps.append(one(model, image, target, clean, seed))
        return sum(maps) / count

    return replica


def gradient_shap(samples: int, baseline, count: int, noise: float = 0.0, multiply: bool = True, first: int = 0) -> Map:
    def replica(model, image, target, clean, seed):
        total = torch.zeros_like(image)
        for k in range(first, first + samples):
            number = torch.tensor([k])
            choice, alpha = (float(uniform(stream(clean, seed, p), number, torch.float64)) for p in (2, 3))
            epsilon = standard_normal(stream(clean, seed, 4), number, clean.shape, torch.float64)[0]
            end = image + noise * (clean.max() - clean.min()) * epsilon
            start = baseline(clean, seed, int(choice * count))
            slope = gradient(model, start + alpha * (end - start), target, clean, seed)
            total += (end - start) * slope if multiply else slope
        return total / samples

    return replica


def smooth_gradient_shap(samples: int, noisy_images: int) -> Map:
    """Each noisy image has draws of its own, so that it is one SmoothGrad of one sample after the other."""

    def replica(model, image, target, clean, seed):
        sigma = 0.15 * (image.max() - image.min())
        key = image_keys(image[None], seed)
        total = torch.zeros_like(image)
        for k in range(noisy_images):
            epsilon = standard_normal(key, torch.tensor([k]), image.shape, torch.float64)[0]
            inner = gradient_shap(samples, given, len(GIVEN), first=k * samples)
            total += inner(model, image + sigma * epsilon, target, clean, seed)
        return total / noisy_images

    return replica


def smooth_joint(baseline, samples: int) -> Map:
    """One drawn point of the path from each noisy image, on the k-th stratum for the k-th."""

    def replica(model, image, target, clean, seed):
        sigma = 0.15 * (image.max() - image.min())
        key = image_keys(image[None], seed)
        total, start = torch.zeros_like(image), baseline(clean)
        for k in range(samples):
            number = torch.tensor([k])
            end = image + sigma * standard_normal(key, number, image.shape, torch.float64)[0]
            alpha = (k + float(uniform(key, number, torch.float64))) / samples
            total += (end - start) * gradient(model, start + alpha * (end - start), target, clean, seed)
        return total / samples

    return replica


def occlusion(window, stride, baseline) -> Map:
    """Windows and strides along all axes, the channels' first."""

    def replica(model, image, target, clean, seed):
        total, windows = torch.zeros_like(image), torch.zeros_like(image)
        starts = [range(0, n - w + s, s) for n, w, s in zip(image.shape, window, stride, strict=True)]
        for start in itertools.product(*starts):
            place = tuple(slice(first, first + w) for first, w in zip(start, window, strict=True))
            occluded = image.clone()
            occluded[place] = baseline(clean)[place]
            total[place] += model(image[None])[0, target] - model(occluded[None])[0, target]
            windows[place] += 1
        return total / windows

    return replica


def edges(model, image, target, clean, seed):
    return torch.from_numpy(np.stack([filters.sobel(channel) for channel in image.numpy()]))


def midpoints(steps: int) -> list[tuple[float, float]]:
    return [((k + 0.5) / steps, 1 / steps) for k in range(steps)]


_NODE = math.sqrt(3 / 5)
zero = torch.zeros_like
ig3 = integrated_gradients(midpoints(3), zero)
REPLICAS: dict[str, Map] = {
    "gradient": gradient,
    "input-x-gradient": input_x_gradient,
    "guided-backprop": guided,
    "deconvnet": deconvolved,
    "grad-cam": grad_cam("conv3"),
    "grad-cam-bn1": grad_cam("bn1", relu=False),
    "guided-grad-cam": guided_grad_cam("conv1"),
    "integrated-gradients": integrated_gradients(midpoints(5), zero),
    "integrated-gradients-local": integrated_gradients(
        [(0, 1 / 6), (1 / 3, 1 / 3), (2 / 3, 1 / 3), (1, 1 / 6)], zero, multiply=False
    ),
    "integrated-gradients-gauss": integrated_gradients(
        [((1 - _NODE) / 2, 5 / 18), (1 / 2, 8 / 18), ((1 + _NODE) / 2, 5 / 18)],
        mean,
    ),
    "integrated-gradients-black": integrated_gradients(
        [(1 / 3, 1 / 3), (2 / 3, 1 / 3), (1, 1 / 3)], lambda image: torch.full_like(image, -1)
    ),
    "integrated-gradients-blurred": integrated_gradients(midpoints(3), blurred),
    "smoothgrad": smooth(gradient, 7),
    "smoothgrad-squared": smooth(gradient, 7, "square"),
    "vargrad": smooth(gradient, 7, "variance"),
    "smoothgrad-absolute": smooth(gradient, 3, absolute=0.2),
    "input-x-gradient-sg": smooth(input_x_gradient, 7),
    "integrated-gradients-sg": smooth(ig3, 4),
    "integrated-gradients-sg-joint": smooth_joint(zero, 6),
    "integrated-gradients-vargrad": smooth(ig3, 4, "variance"),
    "guided-backprop-sg": smooth(guided, 3),
    "grad-cam-sg": smooth(grad_cam("conv1"), 3),
    "deeplift": deeplift(zero),
    "deeplift-local": deeplift(mean, multiply=False),
    "deeplift-sg": smooth(deeplift(zero), 3),
    "deeplift-shap": deeplift_shap(noisy(zero, 0.2), 4),
    "deeplift-shap-local": deeplift_shap(given, 3, multiply=False),
    "gradient-shap": gradient_shap(5, noisy(mean, 0.1), 3, noise=0.1),
    "gradient-shap-local": gradient_shap(4, given, 3, multiply=False),
    "gradient-shap-sg": smooth_gradient_shap(2, 3),
    "occlusion": occlusion((SHAPE[0], 1, 1), (SHAPE[0], 1, 1), zero),
    "occlusion-cut-off": occlusion((SHAPE[0], 4, 3), (SHAPE[0], 3, 2), mean),
    "occlusion-by-channel": occlusion((1, 5, 4), (1, 5, 3), zero),
    "occlusion-sg": smooth(occlusion((SHAPE[0], 5, 5), (SHAPE[0], 3, 3), zero), 3),
    "edge-detector": edges,
}
