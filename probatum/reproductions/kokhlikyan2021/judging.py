"""From judged claims to findings that name every substitution, and the statistics that rules use."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from probatum.reproductions.base import Claim, Finding
from probatum.reproductions.rules import Mean, Outcome, above, all_of, between, ratio
from probatum.reproductions.setting import PHOTOGRAPHS, PRETRAINED, Setting, conclude

BATCH_NORM = "batch norm"
BERT = "BERT"
STEPS = "50 steps of IG"
POINTS = "161 points of a line"
IMAGES = (PRETRAINED, PHOTOGRAPHS)
"""What every claim on Inception v3 is about."""
SCALE = (*IMAGES, BATCH_NORM)
"""What claims on infidelity under randomization are about: without batch norm it follows the scale of the logit."""


class Judged(NamedTuple):
    """A claim and what its rule says."""

    claim: Claim
    outcome: Outcome


def findings(facts: dict[str, Any], judged: Sequence[Judged], note: str = "") -> list[Finding]:
    """Make the findings of an experiment in the setting that its facts describe.

    Args:
        facts: with `setting`.
        judged: the claims.
        note: added to all reasons.
    """
    setting = Setting.from_json(facts["setting"])
    return [conclude(claim, outcome, setting, note) for claim, outcome in judged]


def smaller(**sizes: tuple[int, int]) -> dict[str, str]:
    """Sizes below the paper's, for `Setting`: of steps and points, (ours, theirs)."""
    known = {"steps": (STEPS, "{} steps"), "points": (POINTS, "{} points")}
    return {known[key][0]: known[key][1].format(ours) for key, (ours, theirs) in sizes.items() if ours < theirs}


def worst(what: str, stages: Sequence[str], means: Callable[[str, int], Mean], first: int, *, high: bool) -> Mean:
    """The mean at the stage, from row `first` on, whose interval reaches furthest against the rule.

    Args:
        what: is measured.
        stages: names of the rows.
        means: of a description and a row.
        first: row from which on the rule has to hold; the last one where there are fewer.
        high: True if high values break the rule.
    """
    rows = range(min(first, len(stages) - 1), len(stages))
    found = [means(f"{what}, {stages[row]}", row) for row in rows]
    if high:
        return max(found, key=lambda mean: np.nan_to_num(mean.high, nan=np.inf))
    return min(found, key=lambda mean: np.nan_to_num(mean.low, nan=-np.inf))


def over_images(scores: Float[np.ndarray, "*leading image trial"]) -> Float[np.ndarray, "*leading trial"]:
    """The mean over the images that have a score; NaN where none has."""
    count = np.isfinite(scores).sum(axis=-2)
    means: Float[np.ndarray, "*leading trial"] = np.where(
        count > 0, np.nansum(scores, axis=-2) / np.maximum(count, 1), np.nan
    )
    return means


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


def rising(what: str, stages: Sequence[str], scores: Float[np.ndarray, "stage image trial"], first: int) -> Outcome:
    """The score is above that of the trained network, row 0, at every stage from row `first` on."""

    def of(words: str, row: int) -> Mean:
        return ratio(words, scores[row], scores[0], "image", "trial")

    return above(worst(f"{what} / that of the trained network", stages, of, first, high=False), 1.0)


def unchanged(what: str, stages: Sequence[str], scores: Float[np.ndarray, "stage image trial"]) -> Outcome:
    """The score stays within a factor of `UNCHANGED` of the trained network's, row 0, at every stage."""

    def of(words: str, row: int) -> Mean:
        return ratio(words, scores[row], scores[0], "image", "trial")

    title = f"{what} / that of the trained network"
    ends = [worst(title, stages, of, 1, high=high) for high in (False, True)]
    return all_of(between(mean, 1 / UNCHANGED, UNCHANGED) for mean in ends)
