"""scikit-image and scipy in a loop over images: how the metrics of a sanity check are usually written."""

from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import Float
from scipy.stats import pearsonr, spearmanr
from skimage.feature import hog
from skimage.metrics import structural_similarity

Pixels = Float[np.ndarray, "channel height width"]


def ssim(a: Pixels, b: Pixels) -> float:
    """SSIM as in the notebook of Adebayo et al. 2018."""
    similarity: Any = structural_similarity
    return float(similarity(a, b, channel_axis=0, gaussian_weights=True, data_range=2.0))


def spearman(a: Pixels, b: Pixels) -> float:
    """Rank correlation of the values."""
    return float(spearmanr(a.ravel(), b.ravel()).statistic)


def spearman_abs(a: Pixels, b: Pixels) -> float:
    """Rank correlation of the absolute values."""
    return float(spearmanr(np.abs(a).ravel(), np.abs(b).ravel()).statistic)


def hog_pearson(a: Pixels, b: Pixels, cell_size: int = 16) -> float:
    """Correlation of the histograms of oriented gradients."""
    described = [hog(each, pixels_per_cell=(cell_size, cell_size), channel_axis=0) for each in (a, b)]
    return float(pearsonr(*described).statistic)


LOOPS: dict[str, Callable[[Pixels, Pixels], float]] = {
    "ssim": ssim,
    "spearman": spearman,
    "spearman-abs": spearman_abs,
    "hog-pearson": hog_pearson,
}
