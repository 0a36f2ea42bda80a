"""The curves of the page: one small panel for each method, the others faint behind it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from probatum.metrics import Kind
from probatum.report.html.words import number
from probatum.report.intervals import Interval

WIDTH, HEIGHT = 260.0, 170.0  # units of a panel, about pixels
_LEFT, _RIGHT, _TOP, _BOTTOM = 30.0, 10.0, 10.0, 24.0


@dataclass(frozen=True)
class Scale:
    """The vertical axis of all panels of a metric.

    Args:
        low: score at the bottom.
        high: score at the top.
        ticks: scores with a line and a number.
    """

    low: float
    high: float
    ticks: tuple[float, ...]

    def y(self, score: float) -> float:
        """The vertical place of a score in a panel."""
        share = (score - self.low) / (self.high - self.low)
        return round(HEIGHT - _BOTTOM - share * (HEIGHT - _TOP - _BOTTOM), 2)

    def x(self, score: float, width: float, margin: float) -> float:
        """The horizontal place of a score on a line from `margin` to `width - margin`."""
        share = (score - self.low) / (self.high - self.low)
        return round(margin + min(1.0, max(0.0, share)) * (width - 2 * margin), 2)


@dataclass(frozen=True)
class Panel:
    """Content of one panel, in its own units.

    Args:
        line: points of the curve, broken where a mean does not exist.
        band: outline of the interval.
        dots: (x, y, what it says) of each stage.
        ceiling: height of the noise ceiling.
        chance: outline of the interval of the chance level, "" where it was not measured.
        ceiling_band: top and height of the interval of the noise ceiling.
    """

    line: str
    band: str
    dots: list[tuple[float, float, str]]
    ceiling: float | None
    chance: str = ""
    ceiling_band: tuple[float, float] | None = None


def scale_of(intervals: Sequence[Interval], extra: Sequence[float], kind: Kind) -> Scale:
    """A similarity from 0, or below where scores are negative, to 1; others from 0 or less to their largest score."""
    shown = np.concatenate([*(np.ravel(end) for one in intervals for end in one), np.asarray(extra, dtype=np.float64)])
    shown = shown[np.isfinite(shown)]
    least, most = (float(shown.min()), float(shown.max())) if shown.size else (0.0, 1.0)
    if kind == "similarity":
        low = math.floor(least * 4) / 4 if least < -0.02 else 0.0
        return Scale(low - 0.02, 1.04, tuple(k / 4 for k in range(round(low * 4), 5)))
    least, most = min(0.0, least), max(0.0, most)
    span = (most - least) or 1.0
    unit = 10 ** math.floor(math.log10(span))
    step = next(part * unit for part in (0.25, 0.5, 1, 2, 2.5) if 5 * part * unit >= span)
    ticks = tuple(float(step * k) for k in range(math.ceil(least / step), math.floor(most / step) + 1))
    return Scale(least - 0.03 * span, least + 1.04 * span, ticks)


def panel(
    interval: Interval,
    ceiling: float,
    scale: Scale,
    stages: Sequence[str],
    chance: Interval | None = None,
    ceiling_ends: tuple[float, float] = (math.nan, math.nan),
) -> Panel:
    """Lays out the curve of one method with its interval, between the bands of chance and ceiling."""
    places = stage_places(len(stages))
    line, dots = [], []
    joined = False
    for x, stage, mean, low, high in zip(places, stages, *interval, strict=True):
        if math.isnan(mean):
            joined = False
            continue
        line.append(f"{'L' if joined else 'M'}{x} {scale.y(mean)}")
        joined = True
        dots.append((x, scale.y(mean), f"{stage}: {number(mean)} [{number(low)}, {number(high)}]"))
    low, high = ceiling_ends
    return Panel(
        " ".join(line),
        _outline(interval, places, scale),
        dots,
        scale.y(ceiling) if math.isfinite(ceiling) else None,
        "" if chance is None else _outline(chance, places, scale),
        (scale.y(high), round(scale.y(low) - scale.y(high), 2)) if math.isfinite(low + high) else None,
    )


def _outline(interval: Interval, places: Sequence[float], scale: Scale) -> str:
    """The points round an interval, there along its upper end and back along the lower one."""
    kept = [(x, low, high) for x, low, high in zip(places, interval.low, interval.high, strict=True) if low == low]
    edge = [f"{x},{scale.y(high)}" for x, _, high in kept] + [f"{x},{scale.y(low)}" for x, low, _ in reversed(kept)]
    return " ".join(edge)


def stage_places(stages: int) -> list[float]:
    """The horizontal places of the stages."""
    if stages == 1:
        return [round((_LEFT + WIDTH - _RIGHT) / 2, 2)]
    step = (WIDTH - _LEFT - _RIGHT - 12) / (stages - 1)
    return [round(_LEFT + 6 + k * step, 2) for k in range(stages)]
