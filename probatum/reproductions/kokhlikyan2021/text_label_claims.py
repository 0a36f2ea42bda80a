"""The paper's claims on text under permuted labels, and the rules that judge them."""

from pathlib import Path
from typing import Any

import numpy as np

from probatum.experiments.text.cascade import METRICS
from probatum.reproductions.base import Claim, Finding, read_facts, stored_arrays
from probatum.reproductions.kokhlikyan2021.judging import Judged, findings
from probatum.reproductions.kokhlikyan2021.text_permuted import MEMORIZED
from probatum.reproductions.kokhlikyan2021.text_subject import ALL_SENTENCES, TEXT
from probatum.reproductions.kokhlikyan2021.variants import IG_TITLES
from probatum.reproductions.rules import above, between, fact, measure, ratio

AGAIN, PERMUTED = range(2)
LEARNT_SHARE = {"sst2": 0.8, "sentences": 0.95}
"""Minimum test accuracy of a classifier."""
MUCH = 3.0
"""Factor, up or down, beyond which quality counts as changed."""


UNITS = ("training", "sentence")


def _claim(name: str, statement: str, paper: str, about: tuple[str, ...] = TEXT) -> Claim:
    return Claim(f"text-labels-{name}", "Figure 12, appendix B", statement, paper, about)


LEARNT = _claim(
    "learnt", "The classifiers learn the true labels.", "trained; accuracy not stated", (*TEXT, ALL_SENTENCES)
)
BY_HEART = _claim("memorized", "The classifiers memorize the permuted labels.", "trained; accuracy not stated")
DIFFERENT = {
    key: _claim(
        f"different-{key}",
        f"Explanations by {title} of a classifier trained on permuted labels differ from those of one trained on the "
        "true labels.",
        "pretty different, seen by eye",
    )
    for key, title in IG_TITLES.items()
}
SAME_QUALITY = {
    (key, metric): _claim(
        f"same-{metric}-{key}",
        f"Permuted labels do not change the {metric} of {title} much.",
        "seen in ten numbers",
    )
    for key, title in IG_TITLES.items()
    for metric in ("infidelity", "max-sensitivity")
}


def judge(folder: Path) -> list[Finding]:
    """Judge the claims on text under permuted labels."""
    facts, arrays = read_facts(folder), stored_arrays(folder)
    needed = LEARNT_SHARE[facts["data"]]
    right, by_heart = min(facts["accuracy"]) >= needed, min(facts["memorized"]) >= MEMORIZED
    live = np.where(arrays["constant"][:, :, :, None] > 0, np.nan, arrays["scores"])
    cosines = live[:, :, :, METRICS.index("cosine")]  # (training, network, method, sentence)
    quality = arrays["quality"]  # (training, network, method, metric, sentence)
    trainings = f"{len(facts['accuracy'])} trainings"
    judged = [
        Judged(
            LEARNT,
            fact(right, f"{span(facts['accuracy'])} of test sentences ({trainings})", f"all at least {needed}"),
        ),
        Judged(
            BY_HEART,
            fact(
                by_heart,
                f"{span(facts['memorized'])} of {facts['memorized_sentences']} permuted training labels ({trainings})",
                f"all at least {MEMORIZED}",
            ),
        ),
    ]
    for m, key in enumerate(IG_TITLES):
        what = (
            "cosine with the scores under true labels, of a second training on true labels less that of permuted ones"
        )
        gap = measure(what, cosines[:, AGAIN, m] - cosines[:, PERMUTED, m], *UNITS)
        judged.append(Judged(DIFFERENT[key], above(gap, 0.0)))
        for k, metric in enumerate(("infidelity", "max-sensitivity")):
            before, after = quality[:, 0, m, k], quality[:, 1, m, k]
            change = ratio(f"{metric} under permuted / true labels", after, before, *UNITS)
            judged.append(Judged(SAME_QUALITY[key, metric], between(change, 1 / MUCH, MUCH)))
    return findings(facts, judged, "; ".join(_notes(facts, arrays, right and by_heart)))


def span(shares: list[float]) -> str:
    """The lowest and the highest of several shares."""
    ends = [f"{end:.3f}" for end in (min(shares), max(shares))]
    return " to ".join(dict.fromkeys(ends))


def _notes(facts: dict[str, Any], arrays: dict[str, np.ndarray], learnt: bool) -> list[str]:
    notes = [] if learnt else ["training did not reach the required accuracy"]
    if constant := int((arrays["constant"] > 0).sum()):
        notes.append(f"{constant} of {arrays['constant'].size} comparisons had constant scores")
    if undefined := int(np.isnan(arrays["quality"]).sum()):
        notes.append(f"{undefined} of {arrays['quality'].size} infidelities and max-sensitivities are undefined")
    if facts["memorized_sentences"] < facts["training_sentences"]:
        notes.append(
            f"permuted labels of {facts['memorized_sentences']} of the {facts['training_sentences']} training sentences"
        )
    return notes
