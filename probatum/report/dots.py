"""Means with their intervals side by side: a row for each thing compared, a mark for each series."""

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from probatum.errors import InvalidInput
from probatum.report import text
from probatum.report.intervals import Interval
from probatum.report.layout import caption_lines
from probatum.report.style import FAINT_INK, INK, PAGE_WIDTH, RULE, SMALL_SIZE, TITLE_SIZE, PageFigure, house_style
from probatum.report.style import line_style as style_of

_MARGIN, _STEP, _LABEL = 0.06, 0.13, 1.9  # inches: edge, height of one mark, longest row title
_AXIS, _LEGEND = 0.42, 0.19  # inches of the scale with its title, and of a row of the legend
_PER_ROW = 3  # names in a row of the legend


def dots_figure(
    rows: Mapping[str, Mapping[str, Interval]],
    *,
    axis_title: str,
    limits: tuple[float, float],
    hollow: Sequence[str] = (),
    reference: tuple[float, str] | None = None,
    caption: str | None = None,
) -> Figure:
    """Draws means as dots and their intervals as bars.

    Args:
        rows: `rows[title][series]`, with scalar intervals. A series may be absent from a row; NaN leaves a gap.
        axis_title: what is measured.
        limits: of the axis.
        hollow: series that are controls: the same color as the series named before them, a white dot.
        reference: a value with its name, drawn as a dashed line.
        caption: the protocol.

    Returns:
        A figure of the width of an A4 page.

    Raises:
        InvalidInput: no row, or a mean outside the limits.
    """
    if not rows or not any(rows.values()):
        raise InvalidInput("there is no row of intervals to draw")
    names = list(dict.fromkeys(name for row in rows.values() for name in row))
    for title, row in rows.items():
        for name, interval in row.items():
            if not limits[0] <= float(interval.mean) <= limits[1] and float(interval.mean) == float(interval.mean):
                raise InvalidInput(f"{title}, {name}: {float(interval.mean):.6g} is outside the axis {limits}")
    with house_style():
        return _drawn(rows, names, axis_title, limits, set(hollow), reference, caption)


def _drawn(
    rows: Mapping[str, Mapping[str, Interval]],
    names: list[str],
    axis_title: str,
    limits: tuple[float, float],
    hollow: set[str],
    reference: tuple[float, str] | None,
    caption: str | None,
) -> Figure:
    titles = [text.wrap(title, _LABEL, TITLE_SIZE, 3) for title in rows]
    left = _MARGIN + max(text.longest(title, TITLE_SIZE) for title in titles) + 0.08
    pitch = _STEP * (len(names) + 1.5)
    plot = pitch * len(rows)
    legend = _LEGEND * -(-(len(names) + (reference is not None)) // _PER_ROW) + 0.05
    words = caption_lines(caption, PAGE_WIDTH - 2 * _MARGIN)
    height = _MARGIN + legend + plot + _AXIS + text.height(words, SMALL_SIZE) + _MARGIN
    figure = PageFigure(PAGE_WIDTH, height)
    bottom = height - _MARGIN - legend - plot
    width = PAGE_WIDTH - left - 2 * _MARGIN
    box = (left / PAGE_WIDTH, bottom / height, width / PAGE_WIDTH, plot / height)
    axes = figure.add_axes(box, label="dots", xlim=limits, ylim=(plot, 0))
    axes.set_yticks([pitch * (row + 0.5) for row in range(len(rows))], titles, parse_math=False)
    axes.tick_params(labelsize=TITLE_SIZE, length=0, color=FAINT_INK, labelcolor=INK)
    axes.grid(visible=True, axis="x", color=RULE, linewidth=0.5)
    axes.set_axisbelow(True)
    for spine in axes.spines.values():
        spine.set(linewidth=0.6, color=FAINT_INK)
    for row in range(1, len(rows)):
        axes.axhline(pitch * row, color=RULE, linewidth=0.8, zorder=1)
    handles: list[Line2D] = []
    color = -1
    for place, name in enumerate(names):
        color += name not in hollow
        line = style_of(max(color, 0))
        fill = "white" if name in hollow else line.color
        dot: dict[str, Any] = {"marker": line.marker, "markersize": 4.2, "markeredgewidth": 0.8, "color": line.color}
        for row, values in enumerate(rows.values()):
            if name in values:
                mean, low, high = (float(value) for value in values[name])
                y = pitch * row + _STEP * (place + 1.25)
                axes.plot([low, high], [y, y], color=line.color, linewidth=1.0, zorder=3)
                axes.plot([mean], [y], linestyle="none", markerfacecolor=fill, zorder=4, **dot)
        handles.append(Line2D([], [], linewidth=1.0, markerfacecolor=fill, **dot))
    if reference is not None:
        value, title = reference
        dashed: dict[str, Any] = {"color": "#8c8c8c", "linestyle": (0, (4, 2)), "linewidth": 1.0}
        axes.axvline(value, zorder=2, **dashed)
        handles.append(Line2D([], [], **dashed))
        names = [*names, title]
    where = (left / PAGE_WIDTH, 1 - _MARGIN / height)
    figure.legend(handles, names, loc="upper left", bbox_to_anchor=where, ncols=_PER_ROW, frameon=False,
                  fontsize=TITLE_SIZE, borderaxespad=0, borderpad=0, handlelength=2.2, labelspacing=0.4)  # fmt: skip
    under = (bottom - 0.24) / height
    figure.text((left + width / 2) / PAGE_WIDTH, under, axis_title, ha="center", va="top", fontsize=TITLE_SIZE)
    figure.text(_MARGIN / PAGE_WIDTH, (bottom - _AXIS) / height, words, ha="left", va="top", fontsize=SMALL_SIZE,
                color=FAINT_INK, parse_math=False)  # fmt: skip
    return figure
