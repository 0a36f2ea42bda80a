"""Verdicts, numbers and notes, written alike in the findings of all papers."""

from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Float

from probatum.report import Interval, bootstrap_interval
from probatum.reproductions.base import NOT_COMPARABLE, NOT_REPRODUCED, REPRODUCED, Claim, Finding, Verdict


def verdict(holds: bool | np.bool_) -> Verdict:
    """Return the verdict of a rule that is met or missed."""
    return REPRODUCED if holds else NOT_REPRODUCED


def not_computed(claims: Sequence[Claim], missing: str) -> list[Finding]:
    """Make the findings of an experiment that could not run, given what is missing."""
    return [Finding(claim, "not computed", NOT_COMPARABLE, missing) for claim in claims]


def mean_over_images(scores: Float[np.ndarray, "*leading images"]) -> Interval:
    """Mean over the last axis, the images, with its 95 % bootstrap interval; NaN is left out."""
    return bootstrap_interval(scores[..., None].astype(np.float64))


def two_decimals(value: float) -> str:
    """Write a number with two decimals and a true minus sign."""
    return f"{value:.2f}".replace("-", "−")


def estimate(interval: Interval, write: Callable[[float], str] = two_decimals) -> str:
    """Write a mean with its interval: "mean [low, high]".

    Args:
        interval: of one mean.
        write: formats each number.
    """
    mean, low, high = (write(float(value)) for value in interval)
    return f"{mean} [{low}, {high}]"


def joined(*notes: str) -> str:
    """Join the notes that are not empty by semicolons."""
    return "; ".join(filter(None, notes))
