"""From judged claims to findings that name every substitution, and the statistics that rules use."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from probatum.report import Interval, bootstrap_interval
from probatum.reproductions.base import Claim, Finding
from probatum.reproductions.findings import joined, verdict


class Judged(NamedTuple):
    """A claim, our number in words, True if its rule is met, and the rule."""

    claim: Claim
    ours: str
    holds: bool
    rule: str


def findings(facts: dict[str, Any], judged: Sequence[Judged], note: str = "") -> list[Finding]:
    """Make the findings of an experiment on the network that its facts describe.

    Args:
        facts: with `trained` and `substitution`.
        judged: the claims.
        note: added to all rules.
    """
    found = []
    for claim, ours, holds, why in judged:
        judgement = verdict(holds)
        if not facts["trained"]:
            judgement, why = "not comparable", "the network has random weights, so nothing learned is destroyed"
        elif facts["substitution"]:
            why = f"{why}; judged on {facts['substitution']}"
        found.append(Finding(claim, ours, judgement, joined(why, note)))
    return found


def ratios(scores: Float[np.ndarray, "*stages image trial"], base: Float[np.ndarray, "image trial"]) -> Interval:
    """Geometric mean over images and trials of scores / base, with its 95 % bootstrap interval.

    Pairs in which a score is undefined or 0 have no ratio and are left out.
    """
    pairs = (scores > 0) & (base > 0)  # False for NaN
    logarithms = np.log(np.where(pairs, scores, np.nan)) - np.log(np.where(pairs, base, np.nan))
    mean, low, high = (np.exp(values) for values in bootstrap_interval(logarithms))
    return Interval(mean, low, high)


def counted(facts: dict[str, Any], trials: int | None = None) -> str:
    """Write the number of images and trials; by default those of the facts."""
    images, trials = len(facts["images"]), trials or facts["trials"]
    return f"{images} images" + (f" × {trials} trials" if trials > 1 else "")


def number(value: float) -> str:
    """Write three digits, or a power of ten for very large and very small numbers."""
    return f"{value:.3g}" if 1e-3 <= abs(value) < 1e4 or value == 0 else f"{value:.1e}"


def defined_mean(scores: Float[np.ndarray, "*stages image trial"]) -> Float[np.ndarray, "*stages"]:
    """Mean over the images and trials with a defined score; NaN if there is none."""
    defined = ~np.isnan(scores)
    sums, counts = np.where(defined, scores, 0.0).sum(axis=(-2, -1)), defined.sum(axis=(-2, -1))
    means: Float[np.ndarray, "*stages"] = sums / np.where(counts > 0, counts, np.nan)
    return means


def undefined_note(scores: np.ndarray) -> str:
    """Report the number of scores that are undefined, or 0 and so in no ratio or geometric mean; "" if none."""
    missing, zero = int(np.isnan(scores).sum()), int((scores == 0).sum())
    parts = (
        f"{missing} of {scores.size} scores were undefined and left out" if missing else "",
        f"{zero} of {scores.size} scores are 0 and in no ratio or geometric mean" if zero else "",
    )
    return "; ".join(filter(None, parts))


def geometric_mean(scores: Float[np.ndarray, "..."]) -> float:
    """Geometric mean of the scores above 0; NaN if there is none."""
    positive = scores[scores > 0]  # excludes NaN
    return float(np.exp(np.log(positive).mean())) if positive.size else float("nan")


def span(scores: Float[np.ndarray, "stage image trial"], first: int) -> str:
    """Write the geometric means of the trained network and, from row `first` on, of the randomized ones."""
    means = [geometric_mean(row) for row in scores]
    later = [value for value in means[min(first, len(means) - 1) :] if value == value] or [float("nan")]
    return f"{number(means[0])} → {number(min(later))} to {number(max(later))}"


UNCHANGED = 2.0
"""Factor within which a score counts as almost unchanged; the paper's increase by at most 1.6."""


def rising(scores: Float[np.ndarray, "stage image trial"], first: int) -> tuple[float, float, bool]:
    """Return the smallest and largest ratio to the trained network from row `first` on, and True if all exceed 1.

    Row 0 is the trained network; with fewer rows only the last one counts. A ratio exceeds 1 if its interval does.
    """
    found = ratios(scores[min(first, len(scores) - 1) :], scores[0])
    return float(found.mean.min()), float(found.mean.max()), bool((found.low > 1).all())


def unchanged(scores: Float[np.ndarray, "stage image trial"]) -> tuple[float, float]:
    """Return the smallest and largest mean of any stage over images and trials, relative to the trained network, row 0.

    Stages without a defined score are left out; both are NaN if no stage has one.
    """
    means = defined_mean(scores)
    found = means[1:] / means[0]
    found = found[~np.isnan(found)]
    return (float(found.min()), float(found.max())) if found.size else (float("nan"), float("nan"))


def flat_rule(which: str) -> str:
    """Write the rule of `unchanged`."""
    return (
        f"rule: the mean over images and trials is between 1/{UNCHANGED:g} and {UNCHANGED:g} times the trained "
        f"network's at every stage, for {which}"
    )
