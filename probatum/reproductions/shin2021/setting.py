"""Networks, methods and rank correlation of all experiments."""

from dataclasses import replace
from statistics import mean

import numpy as np
from jaxtyping import Float

from probatum.attributions import GradCAM, Method, SmoothGrad
from probatum.data import Preprocessing
from probatum.metrics import Metric, get_metric
from probatum.models.shin import VGG11, WideAlexNet
from probatum.report import Interval

NETWORKS: dict[str, type[WideAlexNet] | type[VGG11]] = {"alexnet": WideAlexNet, "vgg11": VGG11}
TITLES = {"alexnet": "AlexNet", "vgg11": "VGG-11"}
LAYERS = {"alexnet": "features.11", "vgg11": "features.19"}
"""The last convolution, after its ReLU."""

METHODS = {"smoothgrad": "SmoothGrad", "grad-cam": "Grad-CAM"}
SAMPLES = 20
PIXEL_NOISE = 20 / 255

METRICS: dict[str, Metric] = {
    name: replace(get_metric("spearman"), name=name, title="Spearman rank correlation (SRC)", reduction=reduction)
    for name, reduction in (("magnitude", "absolute-sum"), ("signed", "signed"))
}
"""The paper does not say if signed values are ranked. Its 0.8 for SmoothGrad is that of magnitudes, judged here;
the signed correlation is also reported. Grad-CAM has no negative values. Ties share the mean of their ranks, where the
paper's formula (appendix D) holds without ties only; half of a Grad-CAM map may be tied at 0."""


def methods(preprocessing: Preprocessing, layer: str | None) -> dict[str, Method]:
    """The paper's two methods: SmoothGrad with n = 20 and σ = 20 of 255 pixel values (B.2, C.1), and Grad-CAM."""
    return {
        "smoothgrad": SmoothGrad(samples=SAMPLES, noise_std=noise_std(preprocessing)),
        "grad-cam": GradCAM(layer),
    }


def noise_std(preprocessing: Preprocessing, pixel_noise: float = PIXEL_NOISE) -> float:
    """A noise given in pixels, [0, 1], in units of the preprocessed input.

    Every channel gets the same noise there, pixel_noise / (mean of the channels' std): exact for the gray digits, and
    within 1.4 % of the pixel noise of each ImageNet channel.
    """
    return pixel_noise / mean(preprocessing.std)


def percentile_range(scores: Float[np.ndarray, " images"]) -> Interval:
    """The mean over images with the range that holds 95 % of them, the paper's error bars; NaN is left out."""
    defined = scores[~np.isnan(scores)]
    low, high, center = (*np.percentile(defined, (2.5, 97.5)), defined.mean()) if defined.size else (np.nan,) * 3
    return Interval(np.asarray(center), np.asarray(low), np.asarray(high))


def mean_of_defined(values: Float[np.ndarray, "rows *columns"]) -> Float[np.ndarray, "*columns"]:
    """The mean over the rows that are defined; NaN where none is."""
    count = np.isfinite(values).sum(axis=0)
    means: Float[np.ndarray, "*columns"] = np.where(count > 0, np.nansum(values, axis=0) / np.maximum(count, 1), np.nan)
    return means


def sentence(words: str) -> str:
    """Words as a further sentence of a caption or a reason; nothing where there are none."""
    return f" {words[0].upper()}{words[1:]}." if words else ""
