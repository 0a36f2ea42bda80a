"""Mean scores as horizontal bars with their intervals: a panel for each metric, a bar for each method."""

import math
from collections.abc import Mapping

import numpy as np
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
    ticks_within,
)

_MARGIN, _GAP = 0.08, 0.2  # inches round the figure, and between panels
_BAR = 0.19  # inches from one bar to the next
_HEAD, _SCALE = 0.2, 0.26  # inches of a panel's title, and of the numbers below it
_NAME = 1.5  # inches, the longest name of a method


def bars_figure(
    panels: Mapping[str, Mapping[str, Interval]],
    *,
    limits: tuple[float, float] | None = (-0.4, 1.0),
    control: str | None = None,
    caption: str | None = None,
) -> Figure:
    """One panel of bars for each metric, side by side, the methods in the same order in all of them.

    Source: the rank correlations of maps under true and random labels in Adebayo et al. 2018, arXiv:1810.03292.

    Args:
        panels: `panels[metric][method]`, each the mean of a score and its interval; NaN draws no bar.
        limits: of all scales, widened in steps of 0.2 where an interval reaches beyond them; None gives each panel a
            scale of its own.
        control: the method whose bar is gray.
        caption: the protocol.

    Returns:
        A figure of the width of an A4 page.

    Raises:
        InvalidInput: no panel, no method, or panels with different methods.
    """
    methods = list(next(iter(panels.values()), {}))
    if not methods or any(list(panel) != methods for panel in panels.values()):
        raise InvalidInput("bars need at least one panel, and the same methods in the same order in every panel")
    shared = None if limits is None else _widened(limits, panels)
    with house_style():
        names = [text.wrap(method, _NAME, TITLE_SIZE, 1) for method in methods]
        left = _MARGIN + max(text.longest(name, TITLE_SIZE) for name in names) + 0.08
        width = (PAGE_WIDTH - left - _MARGIN - _GAP * (len(panels) - 1)) / len(panels)
        words = caption_lines(caption, PAGE_WIDTH - 2 * _MARGIN)
        plot = _BAR * (len(methods) + 0.4)
        height = _MARGIN + _HEAD + plot + _SCALE + text.height(words, SMALL_SIZE) + _MARGIN
        figure = PageFigure(PAGE_WIDTH, height)
        bottom = height - _MARGIN - _HEAD - plot
        for number, (title, panel) in enumerate(panels.items()):
            start = left + number * (width + _GAP)
            box = (start / PAGE_WIDTH, bottom / height, width / PAGE_WIDTH, plot / height)
            scale = shared or _own_scale(panel)
            axes = figure.add_axes(box, label=f"bars {number}", xlim=scale, ylim=(len(methods) - 0.3, -0.7))
            if shared is None:
                places = ticks_within(*scale, 4)
                axes.set_xticks(places, [f"{place:g}" for place in places])
            else:
                axes.set_xticks([tick / 5 for tick in range(math.ceil(scale[0] * 2.5) * 2, round(scale[1] * 5) + 1, 2)])
            _dress(axes, names if number == 0 else [""] * len(names))
            for row, (method, one) in enumerate(panel.items()):
                _draw_bar(axes, row, one, FAINT_INK if method == control else line_style(row).color)
            heading = text.shorten(text.clean(title), width, TITLE_SIZE)
            place = ((start + width / 2) / PAGE_WIDTH, (bottom + plot + 0.06) / height)
            figure.text(*place, heading, ha="center", va="bottom", fontsize=TITLE_SIZE, parse_math=False)
        place = (_MARGIN / PAGE_WIDTH, (bottom - _SCALE) / height)
        figure.text(
            *place, words, ha="left", va="top", fontsize=SMALL_SIZE, color=FAINT_INK,
            linespacing=LINE_SPACING, parse_math=False,
        )  # fmt: skip
    return figure


def _widened(limits: tuple[float, float], panels: Mapping[str, Mapping[str, Interval]]) -> tuple[float, float]:
    """The limits, moved in steps of 0.2 as far as the intervals reach."""
    ends = np.array([[one.low, one.high] for panel in panels.values() for one in panel.values()], dtype=np.float64)
    low = min(limits[0], float(np.floor(np.nanmin(ends, initial=limits[0]) * 5) / 5))
    return low, max(limits[1], float(np.ceil(np.nanmax(ends, initial=limits[1]) * 5) / 5))


def _own_scale(panel: Mapping[str, Interval]) -> tuple[float, float]:
    """From the lowest to the highest end of a panel's intervals, with zero and a margin."""
    ends = np.array([[one.low, one.high] for one in panel.values()], dtype=np.float64)
    low, high = float(np.nanmin(ends, initial=0.0)), float(np.nanmax(ends, initial=0.0))
    margin = 0.06 * (high - low) or 1.0
    return low - margin * (low < 0), high + margin


def _dress(axes: Axes, names: list[str]) -> None:
    """Adds the names at the left, a faint grid and a line at zero."""
    axes.set_yticks(range(len(names)), names, parse_math=False)
    axes.tick_params(labelsize=SMALL_SIZE, length=0, labelcolor=INK)
    axes.tick_params(axis="y", labelsize=TITLE_SIZE)
    axes.grid(visible=True, axis="x", color=RULE, linewidth=0.5)
    axes.set_axisbelow(True)
    axes.axvline(0, color=FAINT_INK, linewidth=0.6, zorder=1)
    for spine in axes.spines.values():
        spine.set(linewidth=0.6, color=FAINT_INK)


def _draw_bar(axes: Axes, row: int, one: Interval, color: str) -> None:
    """Draws a bar from zero to the mean, and its interval as a line."""
    if np.isnan(one.mean):
        return
    axes.barh(row, float(one.mean), height=0.62, color=color, alpha=0.75, zorder=2)
    axes.hlines(row, float(one.low), float(one.high), colors=INK, linewidth=0.9, zorder=3)
