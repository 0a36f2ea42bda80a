"""The scores of a check against the stages, a small panel for each method between the bands of chance and ceiling."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from probatum.errors import InvalidInput
from probatum.report import text
from probatum.report.intervals import Interval
from probatum.report.layout import caption_lines
from probatum.report.style import (
    FAINT_INK,
    INK,
    LINE_SPACING,
    PAGE_WIDTH,
    RULE,
    SMALL_SIZE,
    TITLE_SIZE,
    PageFigure,
    house_style,
    line_style,
)

COLUMNS = 4
_MARGIN, _LEFT, _GAP = 0.04, 0.34, 0.12  # inches
_PANEL_HEIGHT, _HEAD, _FOOT = 1.15, 0.2, 0.2  # inches of the plot, its title and the numbers of the stages
_GHOST = "#d4d4d4"
_CHANCE, _CEILING = "#9a9a9a", "#c9a227"


@dataclass(frozen=True, eq=False)
class MethodCurve:
    """Content of one method's panel.

    Args:
        title: of the method.
        scores: mean and interval at each stage; NaN leaves a gap.
        chance: interval of the chance level at each stage; None where it was not measured.
        ceiling: lower and upper end of the noise ceiling; None where there is none.
        hollow: the stages with scores that take no part; their markers are hollow.
        beside: scores of the same method in another run, black and dashed; None where there is none.
    """

    title: str
    scores: Interval
    chance: Interval | None
    ceiling: tuple[float, float] | None
    hollow: Bool[np.ndarray, " stages"]
    beside: Interval | None = None


def curve_panels_figure(
    curves: Sequence[MethodCurve], *, metric_title: str, column_titles: Sequence[str], caption: str | None = None
) -> Figure:
    """Draws one panel for each method, all on one scale; the other methods are faint behind each.

    Args:
        curves: of the methods.
        metric_title: name of the score.
        column_titles: names of the stages, which are numbered below the panels and named in the caption.
        caption: the protocol; what the marks mean and the stages are added.

    Returns:
        A figure of the width of an A4 page.

    Raises:
        InvalidInput: there is no method, or stages and titles differ in number.
    """
    if not curves:
        raise InvalidInput("there is no method to draw")
    if any(len(curve.scores.mean) != len(column_titles) for curve in curves):
        raise InvalidInput(f"a curve has another number of stages than there are titles, {len(column_titles)}")
    rows = -(-len(curves) // COLUMNS)
    stages = "; ".join(f"{number} {name}" for number, name in enumerate(column_titles, 1))
    bands = "Gray band: chance, maps with nothing in common. " * any(curve.chance is not None for curve in curves)
    bands += "Yellow band: noise ceiling. " * any(curve.ceiling is not None for curve in curves)
    marks = (
        f"Line: mean over images and trials with its interval. {bands}"
        "Hollow: constant maps take no part. Faint: the other methods."
    )
    words = caption_lines("\n".join([*([caption] if caption else []), marks, f"Stages: {stages}."]), PAGE_WIDTH - 0.25)
    pitch = _HEAD + _PANEL_HEIGHT + _FOOT
    height = 0.22 + rows * pitch + text.height(words, SMALL_SIZE) + 2 * _MARGIN
    bottom, top = _limits(curves)
    width = (PAGE_WIDTH - _MARGIN - COLUMNS * _LEFT - (COLUMNS - 1) * _GAP) / COLUMNS
    with house_style():
        figure = PageFigure(PAGE_WIDTH, height)
        plain: dict[str, Any] = {"parse_math": False, "linespacing": LINE_SPACING, "va": "top"}
        title = text.shorten(text.clean(metric_title), PAGE_WIDTH - 0.1, TITLE_SIZE)
        figure.text(_MARGIN / PAGE_WIDTH, 1 - _MARGIN / height, title, fontsize=TITLE_SIZE, fontweight="bold", **plain)
        for number, curve in enumerate(curves):
            row, column = divmod(number, COLUMNS)
            left = _LEFT + column * (width + _LEFT + _GAP)
            base = height - 0.22 - row * pitch - _HEAD - _PANEL_HEIGHT
            box = (left / PAGE_WIDTH, base / height, width / PAGE_WIDTH, _PANEL_HEIGHT / height)
            axes = figure.add_axes(box, label=f"panel {number}")
            axes.set_ylim(bottom, top)
            name = text.shorten(text.clean(curve.title), width, TITLE_SIZE)
            head = (base + _PANEL_HEIGHT + _HEAD - 0.04) / height
            figure.text(left / PAGE_WIDTH, head, name, fontsize=TITLE_SIZE, color=INK, **plain)
            for other in curves:
                if other is not curve:
                    axes.plot(_places(other), other.scores.mean, color=_GHOST, linewidth=0.6, zorder=1)
            _draw(axes, curve, number)
        foot = (text.height(words, SMALL_SIZE) + _MARGIN) / height
        figure.text(_MARGIN / PAGE_WIDTH, foot, words, fontsize=SMALL_SIZE, color=FAINT_INK, **plain)
    return figure


def _places(curve: MethodCurve) -> range:
    return range(1, len(curve.scores.mean) + 1)


def _draw(axes: Axes, curve: MethodCurve, number: int) -> None:
    """Draws the bands, the curve and thin axes into a panel."""
    line, places, stages = line_style(number), np.array(_places(curve)), len(curve.scores.mean)
    wide = 0.5 if stages == 1 else 0.0  # a single stage has bands of some width
    reach = np.concatenate([places - wide, places + wide]) if wide else places
    if curve.chance is not None:
        low, high = (np.concatenate([end, end]) if wide else end for end in (curve.chance.low, curve.chance.high))
        axes.fill_between(reach, low, high, color=_CHANCE, alpha=0.4, linewidth=0, zorder=2)
    if curve.ceiling is not None:
        axes.axhspan(*curve.ceiling, color=_CEILING, alpha=0.35, linewidth=0, zorder=2)
    axes.fill_between(places, curve.scores.low, curve.scores.high, color=line.color, alpha=0.2, linewidth=0, zorder=3)
    axes.vlines(places, curve.scores.low, curve.scores.high, colors=line.color, linewidth=0.6, alpha=0.6, zorder=3)
    axes.plot(places, curve.scores.mean, color=line.color, linewidth=1.1, zorder=4)
    for chosen, fill in ((~curve.hollow, line.color), (curve.hollow, "white")):
        points = np.where(chosen, curve.scores.mean, np.nan)
        dot: dict[str, Any] = {"marker": "o", "markersize": 2.6, "markeredgewidth": 0.6, "color": line.color}
        axes.plot(places, points, linestyle="none", markerfacecolor=fill, clip_on=False, zorder=5, **dot)
    if curve.beside is not None:
        axes.vlines(places + 0.08, curve.beside.low, curve.beside.high, colors=INK, linewidth=0.6, alpha=0.6, zorder=5)
        axes.plot(places + 0.08, curve.beside.mean, color=INK, linewidth=1.0, linestyle="--", zorder=5)
    axes.set_xlim(0.5, stages + 0.5)
    axes.set_xticks(sorted({1, stages}))
    axes.tick_params(labelsize=SMALL_SIZE, length=2, width=0.5, color=FAINT_INK, labelcolor=FAINT_INK)
    axes.grid(visible=True, axis="y", color=RULE, linewidth=0.5)
    axes.set_axisbelow(True)
    for name, spine in axes.spines.items():
        spine.set(linewidth=0.5, color=FAINT_INK, visible=name in ("left", "bottom"))


def _limits(curves: Sequence[MethodCurve]) -> tuple[float, float]:
    """The range of all that is drawn, with 0 and a margin."""
    shown = [np.zeros(1)]
    for curve in curves:
        shown += [*curve.scores, *(curve.chance or ()), np.array(curve.ceiling or ()), *(curve.beside or ())]
    values = np.concatenate(shown)
    values = values[np.isfinite(values)]
    least, most = float(values.min()), float(values.max())
    margin = 0.05 * (most - least) or 1.0
    return least - margin, most + margin
