"""A cascading sanity check as it is usually written: Captum for the maps, scikit-image and scipy for the scores."""

import copy
from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Float
from torch import Tensor, nn

from probatum.benchmarks.config import Sizes
from probatum.benchmarks.rivals.captum import captum_panel
from probatum.benchmarks.rivals.loops import hog_pearson, spearman, spearman_abs, ssim

Pixels = Float[np.ndarray, "channel height width"]


def usual_check(
    model: nn.Module,
    images: Tensor,
    targets: Tensor,
    stages: int,
    randomize: Callable[[nn.Module, int], None],
    methods: tuple[str, ...],
    layer: str,
    sizes: Sizes,
) -> Float[np.ndarray, "method metric stage image"]:
    """Maps of the trained model and of a copy of it for each stage, compared image by image.

    Args:
        model: trained.
        images: (batch, channel, height, width).
        targets: class indices (batch,).
        stages: of the cascade.
        randomize: gives a copy the weights of a stage, counted from 1.
        methods: by name.
        layer: that Grad-CAM reads.
        sizes: samples and steps.

    Returns:
        the scores under SSIM, Spearman without and with absolute values, and Pearson of HOGs.
    """
    trained = captum_panel(methods, model, images, targets, layer, sizes)
    scores = np.zeros((len(methods), 4, stages, len(images)))
    for stage in range(stages):
        randomized = copy.deepcopy(model)
        randomize(randomized, stage + 1)
        maps = captum_panel(methods, randomized, images, targets, layer, sizes)
        for row, method in enumerate(methods):
            for image in range(len(images)):
                pair = [each[method][image].cpu().numpy() for each in (trained, maps)]
                scores[row, :, stage, image] = compare(*pair)
    return scores


def compare(a: Pixels, b: Pixels) -> Sequence[float]:
    """The four scores of a pair of maps, each after the normalization that belongs to it."""
    cell = max(1, min(16, min(a.shape[1:]) // 7))
    return (
        ssim(_unit(a), _unit(b)),
        spearman(_diverging(a), _diverging(b)),
        spearman_abs(_absolute(a), _absolute(b)),
        hog_pearson(_unit(a), _unit(b), cell),
    )


def _unit(pixels: Pixels) -> Pixels:
    span = pixels.max() - pixels.min()
    return (pixels - pixels.min()) / span if span > 0 else np.zeros_like(pixels)


def _absolute(pixels: Pixels) -> Pixels:
    total = np.abs(pixels).sum(axis=0, keepdims=True)
    return _unit(np.minimum(total, np.percentile(total, 99)))


def _diverging(pixels: Pixels) -> Pixels:
    total = pixels.sum(axis=0, keepdims=True)
    span = np.percentile(np.abs(total), 99)
    return np.clip(total / span, -1, 1) if span > 0 else np.zeros_like(total)
