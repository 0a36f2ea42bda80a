"""An empty plot with its texts and the marks that go into it, laid out so that nothing covers the data."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, Float
from matplotlib.lines import Line2D
from matplotlib.markers import CARETLEFT

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
    Line,
    PageFigure,
)

_MARGIN = 0.04  # inches round the figure
_LEFT = 0.52  # inches for the scale and its name
_PLOT_HEIGHT = 2.7
_STAGE_LENGTH = 1.2  # inches, the longest name of a stage
_SAMPLE = 0.52  # inches of a legend entry before its name
_SLOT = 0.07  # inches of one mark of a noise ceiling


class Frame:
    """A plot with its texts, and room for a legend with these names; lengths are in inches."""

    def __init__(
        self, metric_title: str, column_titles: Sequence[str], caption: str, names: Sequence[str], slots: int
    ) -> None:
        self.names = names
        self.handles: list[Line2D] = []
        self.aside = 0.08 + slots * _SLOT  # between the plot and the legend
        legend = _SAMPLE + max(text.longest(name, TITLE_SIZE) for name in names)
        self.width = PAGE_WIDTH - _LEFT - self.aside - legend - _MARGIN
        upright, stages = self._stages(column_titles)
        below = max((text.longest if upright else text.height)(name, TITLE_SIZE) for name in stages) + 0.12
        words = caption_lines(caption, PAGE_WIDTH - 2 * _MARGIN)
        plot = max(_PLOT_HEIGHT, sum(text.height(name, TITLE_SIZE) + 0.05 for name in names))
        self.height = 0.1 + plot + below + text.height(words, SMALL_SIZE) + _MARGIN

        self.figure = PageFigure(PAGE_WIDTH, self.height)
        bottom = self.height - 0.1 - plot
        box = (_LEFT / PAGE_WIDTH, bottom / self.height, self.width / PAGE_WIDTH, plot / self.height)
        self.axes = self.figure.add_axes(box, label="curves")
        self.axes.set_xlim(-0.5, len(stages) - 0.5)
        self._dress(len(stages))
        how: dict[str, Any] = {"ha": "center", "va": "top"}
        how |= {"rotation": 90, "multialignment": "right"} if upright else {}
        for stage, name in enumerate(stages):
            middle = _LEFT + self.width * (stage + 0.5) / len(stages)
            self._text(middle, bottom - 0.06, name, **how)
        title = text.shorten(text.clean(metric_title), plot, TITLE_SIZE)
        self._text(0.08, bottom + plot / 2, title, rotation=90, va="center", ha="left")
        self._text(_MARGIN, bottom - below, words, ha="left", va="top", fontsize=SMALL_SIZE, color=FAINT_INK)

    def _stages(self, titles: Sequence[str]) -> tuple[bool, list[str]]:
        """True if the names of the stages stand upright, and their lines; of too many, some are left out."""
        each, line = self.width / len(titles), text.height("x", TITLE_SIZE)
        if all(text.fits(title, each - 0.04, TITLE_SIZE, 2, whole=True) for title in titles):
            return False, [text.wrap(title, each - 0.04, TITLE_SIZE, 2) for title in titles]
        lines, step = max(1, min(3, int((each - 0.02) / line))), math.ceil(line / each)
        names = [text.wrap(title, _STAGE_LENGTH, TITLE_SIZE, lines) for title in titles]
        return True, [name if stage % step == 0 else "" for stage, name in enumerate(names)]

    def _text(self, left: float, bottom: float, words: str, **how: Any) -> None:
        """Writes plain text at a point."""
        options: dict[str, Any] = {"parse_math": False, "fontsize": TITLE_SIZE, "linespacing": LINE_SPACING, **how}
        self.figure.text(left / PAGE_WIDTH, bottom / self.height, words, **options)

    def _dress(self, stages: int) -> None:
        """Adds thin axes at the left and below, and a faint grid."""
        self.axes.set_xticks(range(stages), labels=[""] * stages)
        self.axes.tick_params(labelsize=TITLE_SIZE, length=2.5, width=0.6, color=FAINT_INK, labelcolor=INK)
        self.axes.grid(visible=True, color=RULE, linewidth=0.5)
        self.axes.set_axisbelow(True)
        self.axes.axhline(0, color=FAINT_INK, linewidth=0.6, zorder=1)
        for name, spine in self.axes.spines.items():
            spine.set(linewidth=0.6, color=FAINT_INK, visible=name in ("left", "bottom"))

    def draw_control(self, control: Float[np.ndarray, " stages"]) -> None:
        """Draws the scores of the control as a dashed gray line."""
        self.handles += self.axes.plot(
            range(len(control)), control, color="#8c8c8c", linestyle=(0, (4, 2)), linewidth=1.2, zorder=2
        )

    def draw_method(self, interval: Interval, hollow: Bool[np.ndarray, " stages"], line: Line, offset: float) -> None:
        """One curve with its bars; the markers of some stages are hollow."""
        stages = np.arange(len(interval.mean)) + offset
        self.axes.plot(stages, interval.mean, color=line.color, linestyle=line.dashes, linewidth=1.0, zorder=3)
        self.axes.vlines(stages, interval.low, interval.high, colors=line.color, linewidth=0.9, alpha=0.8, zorder=3)
        dot: dict[str, Any] = {"color": line.color, "marker": line.marker, "markersize": 3.8, "markeredgewidth": 0.7}
        for chosen, fill in ((~hollow, line.color), (hollow, "white")):
            points = np.where(chosen, interval.mean, np.nan)
            self.axes.plot(stages, points, linestyle="none", markerfacecolor=fill, clip_on=False, zorder=4, **dot)
        self.handles.append(Line2D([], [], linestyle=line.dashes, linewidth=1.0, **dot))

    def draw_ceiling(self, marks: Sequence[tuple[float, int, str]]) -> None:
        """A mark at the right edge for each score, in its slot and color."""
        mark: dict[str, Any] = {"marker": CARETLEFT, "markersize": 4.5, "linestyle": "none", "markeredgewidth": 0}
        for value, slot, color in marks:
            place = 1 + (0.02 + slot * _SLOT) / self.width
            transform = self.axes.get_yaxis_transform()
            self.axes.plot(place, value, color=color, transform=transform, clip_on=False, **mark)
        self.handles.append(Line2D([], [], color=FAINT_INK, **mark))

    def draw_legend(self) -> None:
        """The legend at the right; its names are set afterwards because a leading "_" would hide them."""
        legend = self.axes.legend(
            self.handles,
            [str(position) for position in range(len(self.handles))],
            loc="upper left",
            bbox_to_anchor=(1 + self.aside / self.width, 1.0),
            borderaxespad=0,
            borderpad=0,
            frameon=False,
            fontsize=TITLE_SIZE,
            handlelength=2.6,
            labelspacing=0.5,
        )
        for label, name in zip(legend.get_texts(), self.names, strict=True):
            label.set_parse_math(False)
            label.set_text(name)
