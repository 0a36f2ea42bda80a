"""A contest: several ways to do the same work, each judged for what it returns before it is timed."""

import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from probatum.benchmarks.record import OURS, Entry
from probatum.benchmarks.timing import Stopwatch, interleave

BARE = "bare"
MACHINE = "machine"


@dataclass(frozen=True)
class Contestant:
    """One way to do the work.

    Args:
        who: "probatum", "bare", "machine", or a rival.
        work: does it once.
        variant: how it is called.
        judge: measures the error of its result on a small part of the work; None where there is nothing to judge.
        gradients: see `Entry`.
        maps: see `Entry`.
        flops: see `Entry`.
        traffic: see `Entry`.
        note: see `Entry`.
        long: a call takes so long that judging is all the warming up there is, and one call is a window.
    """

    who: str
    work: Callable[[], object]
    variant: str = ""
    judge: Callable[[], float | None] | None = None
    gradients: int | None = None
    maps: int | None = None
    flops: int | None = None
    traffic: int | None = None
    note: str = ""
    long: bool = False

    @property
    def name(self) -> str:
        """Who, and how."""
        return f"{self.who}, {self.variant}" if self.variant else self.who


@dataclass(frozen=True)
class Arena:
    """Where contests are held.

    Args:
        stopwatch: what times them.
        rounds: windows of each contestant, or None for the contest's own.
        progress: called with what is being done.
    """

    stopwatch: Stopwatch
    rounds: int | None = None
    progress: Callable[[str], None] = lambda what: None

    def compete(self, contest: str, contestants: Sequence[Contestant], rounds: int) -> tuple[list[Entry], list[str]]:
        """Judges and times all contestants.

        Returns:
            an entry for each, and a line for each rival that failed; what fails in probatum is raised.
        """
        lines: list[str] = []
        errors: dict[str, float | None] = {}
        works: dict[str, tuple[Callable[[], object], int]] = {}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # rivals warn about hooks and gradients at every call
            for one in contestants:
                self.progress(f"{contest}: checking {one.name}")
                try:
                    error = one.judge() if one.judge is not None else None
                    works[one.name] = (one.work, 1 if one.long else self.stopwatch.repeats(one.work))
                except Exception as failure:  # a rival may fail in any way, and the others go on without it
                    if one.who in (OURS, BARE, MACHINE):
                        raise
                    reason = " ".join(str(failure).split())[:200]
                    lines.append(f"{contest}: {one.name} failed: {type(failure).__name__}: {reason}")
                    continue
                errors[one.name] = error if error is None or math.isfinite(error) else None
            times = interleave(
                works, self.rounds or rounds, self.stopwatch, lambda name: self.progress(f"{contest}: timing {name}")
            )
        entries = [
            Entry(
                contest,
                one.who,
                one.variant,
                times[one.name],
                gradients=one.gradients,
                maps=one.maps,
                flops=one.flops,
                traffic=one.traffic,
                error=errors[one.name],
                note=one.note,
            )
            for one in contestants
            if one.name in times
        ]
        return entries, lines
