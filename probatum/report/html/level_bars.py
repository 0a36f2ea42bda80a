"""The levels of a verdict as places on an axis: chance, score with its interval, ceiling."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from probatum.experiments.verdicts import Judgement, Summary
from probatum.report.html.words import number

WIDTH = 200.0  # of a bar's axis
MARGIN = 7.0


@dataclass(frozen=True)
class Bar:
    """Places on the axis of one method, from 0 to `WIDTH`; NaN where a level does not exist.

    Args:
        chance: of maps that have nothing in common.
        score: after the last stage.
        ceiling: of the method against itself.
        low: lower end of the interval of the score.
        high: upper end.
        words: the levels, for readers who do not see the bar.
    """

    chance: float
    score: float
    ceiling: float
    low: float
    high: float
    words: str

    @property
    def track(self) -> tuple[float, float] | None:
        """Start and length of the track: from chance to the ceiling."""
        if math.isnan(self.chance) or math.isnan(self.ceiling):
            return None
        return min(self.chance, self.ceiling), abs(self.ceiling - self.chance)

    @property
    def fill(self) -> tuple[float, float] | None:
        """Start and length of the filled part: from chance to the score."""
        if self.track is None or math.isnan(self.score):
            return None
        return min(self.chance, self.score), abs(self.score - self.chance)


def lowest_level(judgement: Judgement) -> float:
    """The left end of the axis that all similarities share; the right end is 1."""
    levels = [
        level
        for each in judgement.summaries.values()
        if each.leading.kind == "similarity"
        for level in (each.leading.chance, each.leading.score, each.leading.ceiling)
        if math.isfinite(level)
    ]
    return min([-0.1, *levels])


def bar_of(summary: Summary, lowest: float) -> Bar | None:
    """The levels of the metric that decided, on the axis of all similarities; distances and rises have their own."""
    verdict = summary.leading
    room = verdict.ceiling - verdict.chance
    if verdict.kind == "rise":
        low, high = verdict.ceiling + verdict.low, verdict.ceiling + verdict.high
        chance = math.nan
    else:
        low, high = verdict.chance + verdict.low * room, verdict.chance + verdict.high * room
        chance = verdict.chance
    levels = {"chance": chance, "score": verdict.score, "ceiling": verdict.ceiling}
    known = [level for level in (*levels.values(), low, high) if math.isfinite(level)]
    if not math.isfinite(verdict.score):
        return None
    ends = (lowest, 1.0) if verdict.kind == "similarity" else (min(0.0, *known), max(0.0, *known) or 1.0)
    words = ", ".join(f"{name} {number(level)}" for name, level in levels.items() if math.isfinite(level))
    chance, score, ceiling, low, high = (_place(level, ends) for level in (*levels.values(), low, high))
    return Bar(chance, score, ceiling, low, high, f"{verdict.metric}: {words}")


def _place(level: float, ends: Sequence[float]) -> float:
    """The horizontal place of a level on the axis."""
    share = (level - ends[0]) / (ends[1] - ends[0])
    return round(MARGIN + min(1.0, max(0.0, share)) * (WIDTH - 2 * MARGIN), 1) if math.isfinite(share) else math.nan
