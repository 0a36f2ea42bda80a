"""Laws by name, and what came of one."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from probatum.conformance.subject import Subject

# Of maps that should be equal: an explainer may compute in float32 inside, which is the matter of `type-of-maps`. What
# breaks these laws is larger by orders of magnitude.
ROUNDING = 1e-6
Kind = Literal["independence", "randomness", "state", "correctness", "invariance", "types"]
Status = Literal["passed", "failed", "not applicable"]


class NotApplicable(Exception):
    """A law says nothing about this explainer; the message says why."""


@dataclass(frozen=True)
class Law:
    """A law of explainers.

    Args:
        name: in tables and in `expected_failed_checks`.
        kind: what it is about.
        tolerance: the largest measured number that keeps the law.
        measure: how far an explainer is from keeping it; raises `NotApplicable`, or what the explainer raises.
    """

    name: str
    kind: Kind
    tolerance: float
    measure: Callable[[Subject], float]

    @property
    def statement(self) -> str:
        """One sentence."""
        return (self.measure.__doc__ or "").strip().splitlines()[0]

    def check(self, subject: Subject) -> "Outcome":
        """Measures an explainer; an error of the explainer breaks the law."""
        try:
            measured = float(self.measure(subject))
        except NotApplicable as reason:
            return Outcome(self.name, "not applicable", math.nan, str(reason))
        except Exception as error:
            return Outcome(self.name, "failed", math.inf, f"{type(error).__name__}: {error}".splitlines()[0])
        return Outcome(self.name, "passed" if measured <= self.tolerance else "failed", measured)


@dataclass(frozen=True)
class Outcome:
    """What came of a law.

    Args:
        law: its name.
        status: "passed", "failed" or "not applicable".
        measured: the number that was compared with the tolerance; infinite where the explainer raised an error.
        words: the error, or why the law is not applicable.
    """

    law: str
    status: Status
    measured: float
    words: str = ""


LAWS: dict[str, Law] = {}


def law(kind: Kind, tolerance: float = 0.0) -> Callable[[Callable[[Subject], float]], Callable[[Subject], float]]:
    """Adds a function to the table of laws, under its own name."""

    def add(measure: Callable[[Subject], float]) -> Callable[[Subject], float]:
        name = measure.__name__.replace("_", "-")
        LAWS[name] = Law(name, kind, tolerance, measure)
        return measure

    return add


def distance(found: Tensor, expected: Tensor) -> float:
    """The largest difference, relative to the largest expected size; infinite where shapes differ or a value is NaN."""
    if found.shape != expected.shape:
        return math.inf
    found, expected = found.detach().to(expected), expected.detach()
    difference = float((found - expected).abs().max())
    size = float(expected.abs().max())
    if math.isnan(difference):
        return math.inf
    return difference / size if size > 0 else (0.0 if difference == 0 else math.inf)


def require(condition: bool, reason: str) -> None:
    """Raises `NotApplicable` unless a condition holds."""
    if not condition:
        raise NotApplicable(reason)


def targets(batch: int = 3) -> Tensor:
    """Class indices (batch,)."""
    return torch.arange(batch) % 4
