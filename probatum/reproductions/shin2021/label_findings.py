"""The findings of figures 3 and 4: training of the networks, and similarity of their maps."""

from pathlib import Path
from typing import Any

import numpy as np

from probatum.data import DATASETS
from probatum.reproductions.base import Claim, Finding, read_facts, stored_arrays
from probatum.reproductions.rules import above, between, fact, measure
from probatum.reproductions.setting import Setting, conclude
from probatum.reproductions.shin2021.labels import constants
from probatum.reproductions.shin2021.setting import METHODS, NETWORKS, TITLES

WIDTHS = "the printed widths"
MNIST = "MNIST"
ABOUT = (MNIST, WIDTHS)
MEMORIZED = {
    kind: Claim(
        f"memorized-{kind}", "Section 4.1, B.6, B.7", f"Each network learns 95 % of its {kind} labels.", paper, ABOUT
    )
    for kind, paper in (
        ("true", "AlexNet 0.962, VGG-11 0.963"),
        ("permuted", "AlexNet 0.950, VGG-11 0.955"),
    )
}
GENERALIZED = Claim(
    "generalized",
    "B.6, B.7",
    "A network of true labels recognizes new digits.",
    "test accuracy of AlexNet 0.92, of VGG-11 0.94",
    ABOUT,
)
GUESSED = Claim(
    "guessed",
    "Section 4.1, B.6, B.7",
    "A network of permuted labels is no better than guessing on new digits.",
    "test accuracy of AlexNet 0.14, of VGG-11 0.15",
    ABOUT,
)
SLOWER = Claim(
    "slower",
    "B.6, B.7",
    "Permuted labels take more epochs to learn than true ones.",
    "AlexNet 203 and 25 epochs, VGG-11 68 and 9",
    ABOUT,
)


def _for_each(name: str, statement: str, paper: str) -> dict[str, Claim]:
    return {
        network: Claim(f"{name}-{network}", "Figure 4", statement.format(title), paper, ABOUT)
        for network, title in TITLES.items()
    }


SMOOTHGRAD = _for_each(
    "smoothgrad", "SmoothGrad's maps of true and permuted labels correlate highly in {}.", "about 0.8"
)
GRAD_CAM = _for_each("grad-cam", "Grad-CAM's maps of true and permuted labels are unrelated in {}.", "close to 0")
ORDER = _for_each("grad-cam-below", "Grad-CAM's correlation is below SmoothGrad's in {}.", "0 against 0.8")
DEPTH = {
    method: Claim(
        f"vgg-below-{method}",
        "Figure 4",
        f"{title}'s correlation is lower in VGG-11 than in AlexNet.",
        "lower SRC",
        ABOUT,
    )
    for method, title in METHODS.items()
}
UNITS = ("training", "image")


def judge_labels(folder: Path) -> list[Finding]:
    """Judges the claims of section 4.1."""
    facts, arrays = read_facts(folder), stored_arrays(folder)
    setting = setting_of(facts)
    return [*_judge_training(facts, setting), *_judge_scores(arrays, setting)]


def setting_of(facts: dict[str, Any]) -> Setting:
    """What replaced the paper's networks, training and data."""
    smaller = {} if facts["width"] == 1 else {WIDTHS: f"{facts['width']:g} of them, trained with Adam"}
    if facts["data"] == DATASETS["mnist"].title:
        return Setting(smaller=smaller)
    lacks = {MNIST: f"{facts['data']} were used: give MNIST/ in the folder of --data-dir"}
    return Setting((f"{facts['data']} instead of MNIST",), lacks, smaller)


def _judge_training(facts: dict[str, Any], setting: Setting) -> list[Finding]:
    training: dict[str, dict[str, dict[str, Any]]] = facts["training"]

    def values(kind: str, what: str) -> dict[str, list[float]]:
        return {
            network: [float(run[what]) for key, run in runs.items() if key.startswith(kind)]
            for network, runs in training.items()
        }

    def listed(what: str, *kinds: str) -> str:
        return "; ".join(
            f"{TITLES[network]}, {kind} labels: {', '.join(f'{value:.3g}' for value in values(kind, what)[network])}"
            for network in training
            for kind in kinds
        )

    def each(kind: str, what: str) -> list[float]:
        return [value for found in values(kind, what).values() for value in found]

    slower = all(min(values("permuted", "epochs")[n]) > max(values("true", "epochs")[n]) for n in training)
    findings = [
        conclude(claim, fact(min(each(kind, "train")) >= 0.95, listed("train", kind), "every training reaches 0.95"),
                 setting)
        for kind, claim in MEMORIZED.items()
    ]  # fmt: skip
    tested = f"on {facts['tested']} test images"
    guessed = (
        f"at most 0.2 {tested}, twice the rate of guessing; {facts['agreement']:.2f} of the permuted labels are true"
    )
    return [
        *findings,
        conclude(
            GENERALIZED,
            fact(
                min(each("true", "test")) >= 0.82, listed("test", "true"), f"at least 0.82 {tested}, 0.1 below theirs"
            ),
            setting,
        ),
        conclude(GUESSED, fact(max(each("permuted", "test")) <= 0.2, listed("test", "permuted"), guessed), setting),
        conclude(
            SLOWER,
            fact(slower, listed("epochs", "permuted", "true"), "every training on permuted labels takes more epochs"),
            setting,
        ),
    ]


def _judge_scores(arrays: dict[str, np.ndarray], setting: Setting) -> list[Finding]:
    scores = arrays["scores"]  # (metric, network, comparison, training, method, image)
    findings = []
    for n, network in enumerate(NETWORKS):
        smooth, cam = (scores[0, n, 0, :, m] for m in range(len(METHODS)))
        signed = measure("of signed values", scores[1, n, 0, :, 0], *UNITS).words()
        controls = [measure("", scores[0, n, 2, :, m], *UNITS).words() for m in range(len(METHODS))]
        control = (
            "two networks of true labels with other first weights reach {}: only a lower value is due to the labels"
        )
        ceiling = f"under other noise the same network reaches {np.nanmean(arrays['ceiling'][0, n]):.2f}"
        findings += [
            conclude(
                SMOOTHGRAD[network],
                between(measure("SRC of magnitudes", smooth, *UNITS), 0.6, 1.0),
                setting,
                signed,
                control.format(controls[0]),
                ceiling,
            ),
            conclude(
                GRAD_CAM[network],
                between(measure("SRC", cam, *UNITS), -0.2, 0.2),
                setting,
                control.format(controls[1]),
                f"left out, for one map is constant: {constants(arrays)}",
            ),
            conclude(
                ORDER[network], above(measure("SRC, SmoothGrad less Grad-CAM", smooth - cam, *UNITS), 0.0), setting
            ),
        ]
    for m, claim in enumerate(DEPTH.values()):
        deeper = measure("SRC, AlexNet less VGG-11", scores[0, 0, 0, :, m] - scores[0, 1, 0, :, m], *UNITS)
        findings.append(conclude(claim, above(deeper, 0.0), setting))
    return findings
