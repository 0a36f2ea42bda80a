"""A function along several lines of its input, one panel for each version of the function."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from probatum.errors import InvalidInput
from probatum.report import text
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

_MARGIN, _LEFT, _BETWEEN, _RIGHT = 0.06, 0.62, 0.45, 0.16  # inches: edge, scale and name, gap with the next scale, end
_PLOT = 1.5  # inches, the height of a panel
_SCALE = 0.34  # inches of the numbers below a panel
_LEGEND = 0.2  # inches of a row of the legend


@dataclass(frozen=True, eq=False)
class Profile:
    """One panel.

    Args:
        values: (line, point); of each line, its value in the middle is subtracted before it is drawn.
        note: lines of text between title and panel.
    """

    values: Float[np.ndarray, "_ _"]
    note: str = ""


def profiles_figure(
    panels: Mapping[str, Profile],
    offsets: Float[np.ndarray, " _"],
    line_titles: Sequence[str],
    *,
    axis_title: str,
    value_title: str,
    columns: int = 2,
    caption: str | None = None,
) -> Figure:
    """Panels of curves in rows, each on a scale of its own: what is compared is how smooth they are.

    Source: Kokhlikyan et al. 2021, figure 2.

    Args:
        panels: by title, in rows from the left.
        offsets: the places of the points, (point,).
        line_titles: one name for each line.
        axis_title: what moves.
        value_title: what the function is.
        columns: panels in a row.
        caption: the protocol.

    Returns:
        A figure of the width of an A4 page.

    Raises:
        InvalidInput: no panel, or values that are not finite or not of the shape (lines, points).
    """
    shape = (len(line_titles), len(offsets))
    if not panels or columns < 1:
        raise InvalidInput("profiles need at least one panel and one column")
    for title, panel in panels.items():
        if panel.values.shape != shape or not np.isfinite(panel.values).all():
            raise InvalidInput(f"the profile {title!r} needs finite values of shape {shape}, got {panel.values.shape}")
    rows = -(-len(panels) // columns)
    width = (PAGE_WIDTH - _LEFT - _RIGHT - _BETWEEN * (columns - 1)) / columns
    below_axis = text.shorten(text.clean(axis_title), width, TITLE_SIZE)
    head = max(text.height(f"x\n{panel.note}" if panel.note else "x", TITLE_SIZE) for panel in panels.values()) + 0.06
    names = [text.wrap(title, 1.3, TITLE_SIZE, 1) for title in line_titles]
    words = caption_lines(caption, PAGE_WIDTH - 2 * _MARGIN)
    below = text.height(words, SMALL_SIZE) + _MARGIN
    each = head + _PLOT + _SCALE
    height = _MARGIN + _LEGEND + rows * each + below
    with house_style():
        figure = PageFigure(PAGE_WIDTH, height)
        for number, (title, panel) in enumerate(panels.items()):
            row, column = divmod(number, columns)
            left = _LEFT + column * (width + _BETWEEN)
            bottom = height - _MARGIN - _LEGEND - row * each - head - _PLOT
            box = (left / PAGE_WIDTH, bottom / height, width / PAGE_WIDTH, _PLOT / height)
            axes = figure.add_axes(box, label=f"profile {number}", xlim=(float(offsets[0]), float(offsets[-1])))
            for place, values in enumerate(panel.values):
                axes.plot(offsets, values - values[len(values) // 2], color=line_style(place).color, linewidth=1.0)
            _dress(axes)
            top = bottom + _PLOT + 0.03

            def write(x: float, y: float, words: str, **how: Any) -> None:
                options: dict[str, Any] = {"parse_math": False, "linespacing": LINE_SPACING, "color": INK, **how}
                figure.text(x / PAGE_WIDTH, y / height, words, **{"fontsize": TITLE_SIZE, **options})

            note = "\n".join(text.shorten(text.clean(line), width, TITLE_SIZE) for line in panel.note.split("\n"))
            write(left, top, note, ha="left", va="bottom", color=FAINT_INK)
            name = text.shorten(text.clean(title), width, TITLE_SIZE)
            write(left, top + text.height(note, TITLE_SIZE), name, ha="left", va="bottom", fontweight="bold")
            if row == rows - 1 or number + columns >= len(panels):
                write(left + width / 2, bottom - 0.2, below_axis, ha="center", va="top")
        middle = height - _MARGIN - _LEGEND - rows * each / 2
        name = text.shorten(text.clean(value_title), rows * each, TITLE_SIZE)
        write(_MARGIN, middle, name, rotation=90, ha="left", va="center")
        write(_MARGIN, below, words, ha="left", va="top", fontsize=SMALL_SIZE, color=FAINT_INK)
        handles = [Line2D([], [], color=line_style(place).color, linewidth=1.0) for place in range(len(names))]
        legend = figure.legend(
            handles, [str(place) for place in range(len(names))], loc="upper left", ncols=len(names), frameon=False,
            bbox_to_anchor=(_LEFT / PAGE_WIDTH, 1 - _MARGIN / height), fontsize=TITLE_SIZE, borderaxespad=0,
            borderpad=0, handlelength=1.6, columnspacing=1.4,
        )  # fmt: skip
        for label, name in zip(legend.get_texts(), names, strict=True):  # set afterwards: a leading "_" would hide it
            label.set_parse_math(False)
            label.set_text(name)
    return figure


def _dress(axes: Axes) -> None:
    """Thin axes at the left and below, a faint grid, and lines through the image itself."""
    axes.tick_params(labelsize=SMALL_SIZE, length=2.5, width=0.6, color=FAINT_INK, labelcolor=INK)
    axes.locator_params(nbins=5)
    low, high = axes.get_ylim()
    axes.set_yticks([tick for tick in axes.get_yticks() if low <= tick <= high])
    axes.set_ylim(low, high)
    axes.grid(visible=True, color=RULE, linewidth=0.5)
    axes.set_axisbelow(True)
    axes.axhline(0, color=FAINT_INK, linewidth=0.6, zorder=1)
    axes.axvline(0, color=FAINT_INK, linewidth=0.6, zorder=1)
    for name, spine in axes.spines.items():
        spine.set(linewidth=0.6, color=FAINT_INK, visible=name in ("left", "bottom"))
