"""The findings of figures 3 and 4: training of the networks, and similarity of their maps."""

from pathlib import Path
from typing import Any

import numpy as np

from probatum.data import DATASETS
from probatum.report import Interval
from probatum.reproductions.base import Claim, Finding, read_facts, stored_arrays
from probatum.reproductions.findings import estimate, mean_over_images, verdict
from probatum.reproductions.shin2021.labels import constants
from probatum.reproductions.shin2021.setting import METHODS, NETWORKS, TITLES, sentence

MEMORIZED = Claim(
    "memorized",
    "Section 4.1, B.6, B.7",
    "Each network learns 95 % of its training labels, true and permuted.",
    "AlexNet 0.962 and 0.950, VGG-11 0.963 and 0.955",
)
GENERALIZED = Claim(
    "generalized",
    "B.6, B.7",
    "A network of true labels recognizes new digits.",
    "test accuracy of AlexNet 0.92, of VGG-11 0.94",
)
GUESSED = Claim(
    "guessed",
    "Section 4.1, B.6, B.7",
    "A network of permuted labels is no better than guessing on new digits.",
    "test accuracy of AlexNet 0.14, of VGG-11 0.15",
)
SLOWER = Claim(
    "slower",
    "B.6, B.7",
    "Permuted labels take more epochs to learn than true ones.",
    "AlexNet 203 and 25 epochs, VGG-11 68 and 9",
)
SMOOTHGRAD = Claim(
    "smoothgrad", "Figure 4", "SmoothGrad's maps of true and permuted labels correlate highly.", "about 0.8"
)
GRAD_CAM = Claim("grad-cam", "Figure 4", "Grad-CAM's maps of true and permuted labels are unrelated.", "close to 0")
ORDER = Claim("grad-cam-below", "Figure 4", "Grad-CAM's correlation is below SmoothGrad's.", "0 against 0.8")
DEPTH = Claim("vgg-below", "Figure 4", "VGG-11's correlations are below AlexNet's, for both methods.", "lower SRC")


def judge(folder: Path) -> list[Finding]:
    """Judges the claims of section 4.1."""
    facts, arrays = read_facts(folder), stored_arrays(folder)
    return [*_judge_training(facts), *_judge_scores(facts, arrays)]


def _judge_training(facts: dict[str, Any]) -> list[Finding]:
    training: dict[str, dict[str, dict[str, Any]]] = facts["training"]
    true, permuted = ({network: runs[key] for network, runs in training.items()} for key in ("true", "permuted"))

    def listed(what: str, *groups: dict[str, dict[str, Any]]) -> str:
        return ", ".join(
            f"{TITLES[network]} {' and '.join(f'{group[network][what]:.3g}' for group in groups)}"
            for network in training
        )

    least = min(run["train"] for runs in training.values() for run in runs.values())
    note = _note(facts)
    return [
        Finding(
            MEMORIZED,
            f"{listed('train', true, permuted)}; the least of all trainings {least:.3g}",
            verdict(least >= 0.95),
            f"rule: every training reaches 0.95, measured in eval mode.{note}",
        ),
        Finding(
            GENERALIZED,
            listed("test", true),
            verdict(all(run["test"] >= 0.82 for run in true.values())),
            f"rule: at least 0.82, 0.1 below the paper's, on {facts['tested']} test images.{note}",
        ),
        Finding(
            GUESSED,
            listed("test", permuted),
            verdict(all(run["test"] <= 0.2 for run in permuted.values())),
            f"rule: at most 0.2, twice the rate of guessing; {facts['agreement']:.2f} of the permuted labels are "
            f"true.{note}",
        ),
        Finding(
            SLOWER,
            listed("epochs", permuted, true),
            verdict(all(permuted[network]["epochs"] > true[network]["epochs"] for network in training)),
            f"rule: more epochs until 0.95, or until the end of training, for both networks.{note}",
        ),
    ]


def _note(facts: dict[str, Any]) -> str:
    """Name the substitutions for the paper's networks and data."""
    scale = "" if facts["width"] == 1 else f"the networks have {facts['width']:g} of the printed widths"
    data = "" if facts["data"] == DATASETS["mnist"].title else f"{facts['data']} instead of MNIST"
    return sentence("; ".join(filter(None, (scale, data))))


def _judge_scores(facts: dict[str, Any], arrays: dict[str, np.ndarray]) -> list[Finding]:
    scores = arrays["scores"]  # (metric, network, comparison, method, image)
    magnitude = scores[0, :, 0]
    controls = mean_over_images(scores[0, :, 2])
    means = mean_over_images(magnitude)  # (network, method)

    def listed(method: int) -> str:
        return ", ".join(
            f"{TITLES[n]} {estimate(Interval(*(end[row, method] for end in means)))}" for row, n in enumerate(NETWORKS)
        )

    def against(method: int) -> str:
        return " and ".join(f"{float(controls.mean[row, method]):.2f}" for row in range(len(NETWORKS)))

    signed = " and ".join(f"{float(value):.2f}" for value in mean_over_images(scores[1, :, 0, 0]).mean)
    source = _note(facts)
    ceiling = " and ".join(f"{float(value):.2f}" for value in mean_over_images(arrays["ceiling"][0]).mean)
    below = mean_over_images(magnitude[:, 0] - magnitude[:, 1])  # SmoothGrad less Grad-CAM
    deeper = mean_over_images(magnitude[0] - magnitude[1])  # AlexNet less VGG-11
    control = "Two networks of true labels with other first weights"
    return [
        Finding(
            SMOOTHGRAD,
            f"{listed(0)}; of signed values {signed}",
            verdict(bool((abs(means.mean[:, 0] - 0.8) <= 0.2).all())),
            f"rule: mean SRC of magnitudes within 0.2 of 0.8 for both networks. {control} reach "
            f"{against(0)}: only a lower value is due to the labels. Under other noise the same network reaches "
            f"{ceiling}.{source}",
        ),
        Finding(
            GRAD_CAM,
            f"{listed(1)}; left out, for one map is constant: {constants(arrays)}",
            verdict(bool((abs(means.mean[:, 1]) <= 0.2).all())),
            f"rule: mean SRC within 0.2 of 0 for both networks. {control} reach {against(1)}.{source}",
        ),
        Finding(
            ORDER,
            ", ".join(
                f"{TITLES[n]} {estimate(Interval(*(end[row] for end in below)))} less" for row, n in enumerate(NETWORKS)
            ),
            verdict(bool((below.low > 0).all())),
            f"rule: the 95 % interval of the difference, paired by image, is above 0.{source}",
        ),
        Finding(
            DEPTH,
            ", ".join(
                f"{title} {estimate(Interval(*(end[m] for end in deeper)))} less"
                for m, title in enumerate(METHODS.values())
            ),
            verdict(bool((deeper.low > 0).all())),
            "rule: the 95 % interval of AlexNet less VGG-11, paired by image, is above 0 for both methods; one "
            f"training each, so the interval is over images alone.{source}",
        ),
    ]
