"""The claims of figures 3 and 4, each with its rule: training of the networks, and similarity of their maps."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from probatum.data import DATASETS
from probatum.reproductions.base import Claim, read_facts, stored_arrays
from probatum.reproductions.rules import Mean, Outcome, above, all_of, below, between, fact, measure, proportion
from probatum.reproductions.setting import Setting, judge
from probatum.reproductions.shin2021.labels import MODELS
from probatum.reproductions.shin2021.setting import METHODS, NETWORKS, TITLES

WIDTH = "the printed widths"
PERMUTED, TRUE_AGAIN = 0, 2  # positions of the comparisons with the network of true labels
SMOOTHGRAD, GRAD_CAM = range(2)  # positions of the methods


class Labels:
    """Stored results of the experiment."""

    def __init__(self, folder: Path) -> None:
        self.facts = read_facts(folder)
        self.scores = stored_arrays(folder)["scores"]  # (metric, network, comparison, method, image)
        mnist, width = self.facts["data"] == DATASETS["mnist"].title, self.facts["width"]
        self.setting = Setting(
            stand_ins=() if mnist else (f"{self.facts['data']} instead of MNIST",),
            smaller={} if width == 1 else {WIDTH: f"{width:g} of the widths"},
        )

    def training(self, network: str, key: str) -> dict[str, Any]:
        """The training of a network, `key` of `MODELS`."""
        run: dict[str, Any] = self.facts["training"][network][key]
        return run

    def magnitudes(self, network: str, method: int, comparison: int = PERMUTED) -> Float[np.ndarray, " image"]:
        """SRC of magnitudes."""
        found: np.ndarray = self.scores[0, list(NETWORKS).index(network), comparison, method]
        return found


def _memorized(labels: Labels) -> Outcome:
    least = min(labels.training(network, key)["train"] for network in NETWORKS for key in MODELS)
    return fact(least >= 0.95, f"least training accuracy {least:.3g}", "every training reaches 0.95, in eval mode")


def _tested(key: str, rule: Callable[[Mean, float], Outcome], bound: float, labels: Labels) -> Outcome:
    """The test accuracy of both networks."""
    return all_of(
        rule(proportion(TITLES[name], labels.training(name, key)["test"], labels.facts["tested"]), bound)
        for name in NETWORKS
    )


def _slower(labels: Labels) -> Outcome:
    epochs = {name: [labels.training(name, key)["epochs"] for key in ("permuted", "true")] for name in NETWORKS}
    ours = ", ".join(f"{TITLES[name]} {first} and {second} epochs" for name, (first, second) in epochs.items())
    rule = "more epochs until 0.95, or until the end of training, for both networks"
    return fact(all(first > second for first, second in epochs.values()), ours, rule)


def _near(method: int, value: float, labels: Labels) -> Outcome:
    """SRC of both networks within 0.2 of the paper's; the control tells what other first weights do."""
    control = "two networks of true labels with other first weights"

    def judged(network: str) -> Outcome:
        again = np.nanmean(labels.magnitudes(network, method, TRUE_AGAIN))
        own = measure(f"{TITLES[network]} ({control} {again:.2f})", labels.magnitudes(network, method), "image")
        return between(own, value - 0.2, value + 0.2)

    return all_of(map(judged, NETWORKS))


def _grad_cam_below(labels: Labels) -> Outcome:
    return all_of(
        above(
            measure(
                f"SmoothGrad less Grad-CAM of {TITLES[network]}",
                labels.magnitudes(network, SMOOTHGRAD) - labels.magnitudes(network, GRAD_CAM),
                "image",
            ),
            0.0,
        )
        for network in NETWORKS
    )


def _deeper_below(labels: Labels) -> Outcome:
    """One training each, so the interval is over images alone."""
    return all_of(
        above(
            measure(
                f"AlexNet less VGG-11, {title}, of one training each",
                labels.magnitudes("alexnet", method) - labels.magnitudes("vgg11", method),
                "image",
            ),
            0.0,
        )
        for method, title in enumerate(METHODS.values())
    )


judge_labels = judge(
    Labels,
    (
        Claim(
            "memorized",
            "Section 4.1, B.6, B.7",
            "Each network learns 95 % of its training labels, true and permuted.",
            "AlexNet 0.962 and 0.950, VGG-11 0.963 and 0.955",
            (WIDTH,),
        ),
        _memorized,
    ),
    (
        Claim(
            "generalized",
            "B.6, B.7",
            "A network of true labels recognizes new digits.",
            "test accuracy of AlexNet 0.92, of VGG-11 0.94",
            (WIDTH,),
        ),
        partial(_tested, "true", above, 0.82),
    ),
    (
        Claim(
            "guessed",
            "Section 4.1, B.6, B.7",
            "A network of permuted labels is no better than guessing on new digits.",
            "test accuracy of AlexNet 0.14, of VGG-11 0.15",
        ),
        partial(_tested, "permuted", below, 0.2),
    ),
    (
        Claim(
            "slower",
            "B.6, B.7",
            "Permuted labels take more epochs to learn than true ones.",
            "AlexNet 203 and 25 epochs, VGG-11 68 and 9",
        ),
        _slower,
    ),
    (
        Claim(
            "smoothgrad",
            "Figure 4",
            "SmoothGrad's maps of true and permuted labels correlate highly.",
            "about 0.8",
            role="main result",
        ),
        partial(_near, SMOOTHGRAD, 0.8),
    ),
    (
        Claim(
            "grad-cam",
            "Figure 4",
            "Grad-CAM's maps of true and permuted labels are unrelated.",
            "close to 0",
            role="main result",
        ),
        partial(_near, GRAD_CAM, 0.0),
    ),
    (
        Claim("grad-cam-below", "Figure 4", "Grad-CAM's correlation is below SmoothGrad's.", "0 against 0.8"),
        _grad_cam_below,
    ),
    (
        Claim("vgg-below", "Figure 4", "VGG-11's correlations are below AlexNet's, for both methods.", "lower SRC"),
        _deeper_below,
    ),
)
