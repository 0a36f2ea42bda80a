"""scikit-image and scipy in a loop over images: how the metrics of a sanity check are usually written."""

from collections.abc import Callable
from importlib import import_module
from typing import Any

import numpy as np
from jaxtyping import Float

Pixels = Float[np.ndarray, "channel height width"]


def ssim(a: Pixels, b: Pixels) -> float:
    """SSIM as in the notebook of Adebayo et al. 2018."""
    metrics: Any = import_module("skimage.metrics")
    return float(metrics.structural_similarity(a, b, channel_axis=0, gaussian_weights=True, data_range=2.0))


def spearman(a: Pixels, b: Pixels) -> float:
    """Rank correlation of the values."""
    stats: Any = import_module("scipy.stats")
    return float(stats.spearmanr(a.ravel(), b.ravel()).statistic)


def spearman_abs(a: Pixels, b: Pixels) -> float:
    """Rank correlation of the absolute values."""
    return spearman(np.abs(a), np.abs(b))


def hog_pearson(a: Pixels, b: Pixels, cell_size: int = 16) -> float:
    """Correlation of the histograms of oriented gradients."""
    feature: Any = import_module("skimage.feature")
    stats: Any = import_module("scipy.stats")
    described = [feature.hog(each, pixels_per_cell=(cell_size, cell_size), channel_axis=0) for each in (a, b)]
    return float(stats.pearsonr(*described).statistic)


LOOPS: dict[str, Callable[[Pixels, Pixels], float]] = {
    "ssim": ssim,
    "spearman": spearman,
    "spearman-abs": spearman_abs,
    "hog-pearson": hog_pearson,
}
