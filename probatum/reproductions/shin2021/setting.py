"""Networks, methods and rank correlation of all experiments, and what the pretrained networks explain."""

from dataclasses import replace
from pathlib import Path
from statistics import mean

import numpy as np
from jaxtyping import Float

from probatum.attributions import GradCAM, Method, SmoothGrad
from probatum.data import EXTENSIONS, Preprocessing, image_files
from probatum.errors import InvalidInput
from probatum.metrics import Metric, get_metric
from probatum.models.shin import VGG11, WideAlexNet
from probatum.report import Interval
from probatum.reproductions.base import Context, Inputs
from probatum.reproductions.setting import PHOTOGRAPHS, PRETRAINED
from probatum.reproductions.subjects import Subject, first_named, pretrained

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

IMAGES = (PRETRAINED, PHOTOGRAPHS)
"""What claims on the pretrained networks are about."""

INPUTS = Inputs(photographs=True, networks=tuple(NETWORKS))
SHOWN = "broccoli"  # the photograph of Figures 2 and 5, where it is among the given ones


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


def sentence(words: str) -> str:
    """Words as a further sentence of a caption or a reason; nothing where there are none."""
    return f" {words[0].upper()}{words[1:]}." if words else ""


def photograph_subjects(context: Context, count: int) -> list[Subject]:
    """Networks of ImageNet with up to `count` photographs: AlexNet and VGG-11, or the one that is named.

    Raises:
        InvalidInput: no photographs, or a network that takes none.
        ModelError: published weights that cannot be had.
    """
    config = context.config
    files = photographs(context, count)
    names = tuple(NETWORKS) if config.model is None else (config.model,)
    return [pretrained(context, name, config.weights, files, tuple(NETWORKS)) for name in names]


def photographs(context: Context, count: int) -> list[Path]:
    """`count` files spread evenly over the sorted folder, the photograph of broccoli first where there is one."""
    given = context.config.photographs
    folder = Path(given) if given is not None else context.data_folder("imagenet-samples")
    if folder is None or not folder.is_dir():
        raise InvalidInput(
            f"there are no photographs{f' at {folder}' if folder else ''}; give a folder with --photographs, "
            "or imagenet-samples/ in the folder of --data-dir"
        )
    files = image_files(folder)
    if not files:
        raise InvalidInput(f"the folder {folder} holds no image ({', '.join(EXTENSIONS)})")
    first = first_named(files, (SHOWN,))
    others = [file for file in files if file not in first]
    wanted = min(count - len(first), len(others))
    return first + [others[index * len(others) // wanted] for index in range(wanted)]
