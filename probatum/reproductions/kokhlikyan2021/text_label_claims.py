"""The paper's claims on text under permuted labels, and the rules that judge them."""

from pathlib import Path
from typing import Any

import numpy as np

from probatum.experiments.text.cascade import METRICS
from probatum.report import bootstrap_interval
from probatum.reproductions.base import Claim, Finding, read_facts, stored_arrays
from probatum.reproductions.kokhlikyan2021.judging import Judged, findings, number
from probatum.reproductions.kokhlikyan2021.text_permuted import MEMORIZED
from probatum.reproductions.kokhlikyan2021.variants import IG_TITLES

AGAIN, PERMUTED = range(2)
LEARNT_SHARE = {"sst2": 0.8, "sentences": 0.95}
"""Minimum test accuracy of a classifier."""
MUCH = 3.0
"""Factor, up or down, beyond which quality counts as changed."""


def _claim(name: str, statement: str, paper: str) -> Claim:
    return Claim(f"text-labels-{name}", "Figure 12, appendix B", statement, paper)


LEARNT = _claim(
    "learnt", "The classifiers learn the true labels and memorize the permuted labels.", "trained; accuracy not stated"
)
DIFFERENT = _claim(
    "different",
    "Explanations of a classifier trained on permuted labels differ from those of one trained on the true labels.",
    "pretty different, seen by eye",
)
SAME_QUALITY = _claim(
    "same-quality",
    "Permuted labels do not change infidelity and max-sensitivity of explanations much.",
    "seen in ten numbers",
)


def judge(folder: Path) -> list[Finding]:
    """Judge the three claims."""
    facts, arrays = read_facts(folder), stored_arrays(folder)
    needed = LEARNT_SHARE[facts["data"]]
    learnt = facts["accuracy"] >= needed and facts["memorized"] >= MEMORIZED
    cosines = arrays["scores"][:, :, METRICS.index("cosine")]  # (network, method, sentence)
    gaps = [bootstrap_interval((cosines[AGAIN, m] - cosines[PERMUTED, m])[:, None]) for m in range(len(IG_TITLES))]
    quality = np.nanmean(arrays["quality"], axis=3)  # (network, method, metric)
    ratios = quality[1] / quality[0]
    judged = [
        Judged(
            LEARNT,
            f"{facts['accuracy']:.3f} of test sentences, {facts['memorized']:.3f} of permuted training labels",
            learnt,
            f"rule: at least {needed} of the test sentences and {MEMORIZED} of the permuted labels",
        ),
        Judged(
            DIFFERENT,
            "; ".join(
                f"{IG_TITLES[key]}: mean cosine {cosines[PERMUTED, m].mean():.2f} (without sign "
                f"{np.abs(cosines[PERMUTED, m]).mean():.2f}), of a second training on true labels "
                f"{cosines[AGAIN, m].mean():.2f}"
                for m, key in enumerate(IG_TITLES)
            ),
            all(float(gap.low) > 0 for gap in gaps),
            "rule: the mean cosine with the scores under true labels is lower than that of a second training on true "
            "labels, with the 95 % interval of the difference above 0, for both variants",
        ),
        Judged(
            SAME_QUALITY,
            "; ".join(
                f"{IG_TITLES[key]}: infidelity × {number(ratios[m, 0])}, max-sensitivity × {number(ratios[m, 1])}"
                for m, key in enumerate(IG_TITLES)
            ),
            bool(((ratios <= MUCH) & (ratios >= 1 / MUCH)).all()),
            f"rule: the mean over sentences changes by a factor of at most {MUCH:g} either way, for both metrics and "
            "both variants; infidelity is a square of logits and grows with their scale",
        ),
    ]
    return findings(facts, judged, "; ".join(_notes(facts, arrays, learnt)))


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
