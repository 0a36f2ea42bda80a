"""What claims are about, and the words and numbers that the findings of several experiments share."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from probatum.reproductions.base import NOT_COMPARABLE, joined
from probatum.reproductions.results import Results
from probatum.reproductions.rules import Outcome, above, at_stages, between, live, mean_over, worst
from probatum.reproductions.setting import PHOTOGRAPHS, PRETRAINED

ORIGINAL = "Original"
BERT = "BERT"
NOT_LEARNT = "training did not reach the required accuracy"
STEPS = "50 steps of IG"
POINTS = "161 points of a line"
IMAGES = (PRETRAINED, PHOTOGRAPHS)
"""What every claim on Inception v3 is about."""
UNITS = ("image", "trial")


class Stages(Results):
    """Results of a cascade of images: scores (method, metric, stage, image, trial) and where maps are constant."""

    @property
    def stages(self) -> list[str]:
        """The trained network and the stages of its randomization."""
        return [ORIGINAL, *self.facts["stages"]]

    @property
    def live(self) -> Float[np.ndarray, "method metric stage image trial"]:
        """The live scores, without a stage for the trained network."""
        return live(self.arrays["scores"], self.arrays["constant"])

    @property
    def note(self) -> str:
        """How many maps are constant and how many scores of quality are undefined."""
        return joined(
            some(self.arrays["constant"] > 0, "comparisons had a constant map, left out"),
            undefined_note(self.arrays["quality"]) if "quality" in self.arrays else "",
        )


def smaller(**sizes: tuple[int, int]) -> dict[str, str]:
    """Sizes below the paper's, for `Setting`: of steps and points, (ours, theirs)."""
    known = {"steps": (STEPS, "{} steps"), "points": (POINTS, "{} points")}
    return {known[key][0]: known[key][1].format(ours) for key, (ours, theirs) in sizes.items() if ours < theirs}


def counted(facts: dict[str, Any], trials: int | None = None) -> str:
    """Write the number of images and trials; by default those of the facts."""
    images, trials = len(facts["images"]), trials or facts["trials"]
    return f"{images} images" + (f" × {trials} trials" if trials > 1 else "")


def number(value: float) -> str:
    """Write three digits, or a power of ten for very large and very small numbers."""
    written = f"{value:.3g}" if 1e-3 <= abs(value) < 1e4 or value == 0 else f"{value:.1e}"
    return written.replace("-", "−")


def some(marked: Bool[np.ndarray, "..."], what: str) -> str:
    """How many of all are marked, such as "3 of 20 scores are 0"; "" if none is."""
    count = int(marked.sum())
    return f"{count} of {marked.size} {what}" if count else ""


def undefined_note(scores: np.ndarray) -> str:
    """Report the number of scores that are undefined, or 0 and so in no ratio or geometric mean; "" if none."""
    return joined(
        some(np.isnan(scores), "scores were undefined and left out"),
        some(scores == 0, "scores are 0 and in no ratio or geometric mean"),
    )


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
    what = f"{what} / that of the trained network"
    means = at_stages(what, stages, scores, *UNITS, first=first, base=scores[0])
    return worst(above(mean, 1.0) for mean in means)


def unchanged(what: str, stages: Sequence[str], scores: Float[np.ndarray, "stage image trial"]) -> Outcome:
    """The score stays within a factor of `UNCHANGED` of the trained network's, row 0, at every stage."""
    what = f"{what} / that of the trained network"
    means = at_stages(what, stages, scores, *UNITS, first=1, base=scores[0])
    return worst(between(mean, 1 / UNCHANGED, UNCHANGED) for mean in means)


FADED = 0.1
"""Response of a network, relative to the trained one's, below which their infidelities are not comparable.

Infidelity is a share of the mean squared response. At a tenth of the response, a map with the same share has a
hundredth of the infidelity, and the shares of eight methods on a trained network lie within a factor of three.
"""


def relative_responses(
    infidelity: Float[np.ndarray, "network image trial"], share: Float[np.ndarray, "network image trial"]
) -> Float[np.ndarray, " network"]:
    """Root mean square of the logit's response to infidelity's perturbations, √(infidelity / share), relative to row 0.

    Args:
        infidelity: of one method, the trained network first.
        share: the same relative to the mean squared response; NaN where the logit does not respond at all.
    """
    power = infidelity / np.where(share > 0, share, np.nan)  # a share of 0 does not tell the response
    power[np.isnan(share) & np.isfinite(infidelity)] = 0.0
    scale = np.sqrt(mean_over(power, 1, 2))
    relative: Float[np.ndarray, " network"] = scale / scale[0]
    return relative


def testable(outcome: Outcome, responses: Mapping[str, float]) -> Outcome:
    """The outcome of a rule on infidelity; "not comparable" where the logit hardly responds to the input any more.

    Args:
        outcome: of the rule.
        responses: of the compared networks, from `relative_responses`; by words that follow "the logit".
    """
    where, response = min(responses.items(), key=lambda item: np.nan_to_num(item[1], nan=np.inf))
    said = f"the logit {where} responds {number(response)} times as strongly as the trained network's"
    if not response < FADED:
        return outcome.noting(said)
    reason = f"{said}; below {FADED:g}, infidelity follows the response, not the maps"
    return replace(outcome, verdict=NOT_COMPARABLE, reason=reason)


def by_stage(
    stages: Sequence[str], responses: Float[np.ndarray, " stage"], first: int, last: int | None = None
) -> dict[str, float]:
    """Relative responses for `testable`, from row `first`, or the last one where there are fewer, to row `last`."""
    rows = range(len(stages))[min(first, len(stages) - 1) : last]
    return {f"at {stages[row]}": float(responses[row]) for row in rows}
