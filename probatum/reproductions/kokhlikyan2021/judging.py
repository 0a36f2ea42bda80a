"""From judged claims to findings: what every finding on a network other than the paper's says."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from probatum.report import Interval, bootstrap_interval
from probatum.reproductions.base import Claim, Finding, Verdict


class Judged(NamedTuple):
    """A claim, our number in words, whether its rule is met, and the rule."""

    claim: Claim
    ours: str
    holds: bool
    rule: str


def findings(facts: dict[str, Any], judged: Sequence[Judged], note: str = "") -> list[Finding]:
    """The findings of an experiment on the network that its facts describe.

    Args:
        facts: with `trained` and `substitution`.
        judged: the claims.
        note: added to all rules.
    """
    found = []
    for claim, ours, holds, why in judged:
        verdict: Verdict = "reproduced" if holds else "not reproduced"
        if not facts["trained"]:
            verdict, why = "not comparable", "the network has random weights: nothing learnt is destroyed"
        elif facts["substitution"]:
            why = f"{why}; judged on {facts['substitution']}"
        found.append(Finding(claim, ours, verdict, f"{why}; {note}" if note else why))
    return found


def ratios(scores: Float[np.ndarray, "*stages image trial"], base: Float[np.ndarray, "image trial"]) -> Interval:
    """Geometric mean over images and trials of scores / base, with its 95 % bootstrap interval.

    A pair in which either score is undefined or 0 has no ratio and takes no part.
    """
    pairs = (scores > 0) & (base > 0)  # False for NaN
    logarithms = np.log(np.where(pairs, scores, np.nan)) - np.log(np.where(pairs, base, np.nan))
    mean, low, high = (np.exp(values) for values in bootstrap_interval(logarithms))
    return Interval(mean, low, high)


def counted(facts: dict[str, Any], trials: int | None = None) -> str:
    """How many images and trials scores are of; by default those of the facts."""
    images, trials = len(facts["images"]), trials or facts["trials"]
    return f"{images} images" + (f" × {trials} trials" if trials > 1 else "")


def number(value: float) -> str:
    """Three digits, of very large and very small numbers with a power of ten."""
    return f"{value:.3g}" if 1e-3 <= abs(value) < 1e4 or value == 0 else f"{value:.1e}"


def told(ratio: Interval) -> str:
    """A single ratio with its interval."""
    mean, low, high = (number(float(value)) for value in ratio)
    return f"{mean} [{low}, {high}]"


def defined_mean(scores: Float[np.ndarray, "*stages image trial"]) -> Float[np.ndarray, "*stages"]:
    """Over the images and trials whose score is defined; NaN where there is none."""
    defined = ~np.isnan(scores)
    sums, counts = np.where(defined, scores, 0.0).sum(axis=(-2, -1)), defined.sum(axis=(-2, -1))
    means: Float[np.ndarray, "*stages"] = sums / np.where(counts > 0, counts, np.nan)
    return means


def undefined_note(scores: np.ndarray) -> str:
    """How many scores are undefined, or 0 and so in no ratio or geometric mean; "" where there are none."""
    missing, zero = int(np.isnan(scores).sum()), int((scores == 0).sum())
    parts = (
        f"{missing} of {scores.size} scores were undefined and left out" if missing else "",
        f"{zero} of {scores.size} scores are 0 and in no ratio or geometric mean" if zero else "",
    )
    return "; ".join(filter(None, parts))


def geometric_mean(scores: Float[np.ndarray, "..."]) -> float:
    """Of the scores above 0; NaN where there is none."""
    positive = scores[scores > 0]  # neither NaN
    return float(np.exp(np.log(positive).mean())) if positive.size else float("nan")


def span(scores: Float[np.ndarray, "stage image trial"], first: int) -> str:
    """The geometric means of the trained network and, from row `first` on, of the randomized ones, in words."""
    means = [geometric_mean(row) for row in scores]
    later = [value for value in means[min(first, len(means) - 1) :] if value == value] or [float("nan")]
    return f"{number(means[0])} → {number(min(later))} to {number(max(later))}"


UNCHANGED = 2.0
"""The factor within which a score counts as almost unchanged; the paper's go up by 1.6 at most."""


def rising(scores: Float[np.ndarray, "stage image trial"], first: int) -> tuple[float, float, bool]:
    """The least and the largest ratio to the trained network, row 0, from row `first` on, and whether all are above 1.

    Of fewer rows the last alone counts. A ratio is above 1 where its interval is.
    """
    found = ratios(scores[min(first, len(scores) - 1) :], scores[0])
    return float(found.mean.min()), float(found.mean.max()), bool((found.low > 1).all())


def unchanged(scores: Float[np.ndarray, "stage image trial"]) -> tuple[float, float]:
    """The least and the largest mean over images and trials of any stage, in units of the trained network's, row 0.

    Stages without a defined score take no part; both are NaN where none has one.
    """
    means = defined_mean(scores)
    found = means[1:] / means[0]
    found = found[~np.isnan(found)]
    return (float(found.min()), float(found.max())) if found.size else (float("nan"), float("nan"))


def flat_rule(which: str) -> str:
    """The rule of `unchanged` in words."""
    return (
        f"rule: the mean over images and trials is between 1/{UNCHANGED:g} and {UNCHANGED:g} times the trained "
        f"network's at every stage, for {which}"
    )
