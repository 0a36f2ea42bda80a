"""Rows of maps above a plot, each over the stage that it belongs to."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from probatum.errors import InvalidInput
from probatum.report import text
from probatum.report.frame import Frame
from probatum.report.layout import Cell
from probatum.report.panels import Map, Picture, map_cells, picture
from probatum.report.style import (
    COLOR_MAPS,
    INK,
    LIMITS,
    LINE_SPACING,
    PAGE_WIDTH,
    SEPARATOR,
    TITLE_SIZE,
    MapStyle,
)

_GAP = 0.03  # inches between maps
_LARGEST = 0.8  # inches, the width of a map
_BELOW, _ABOVE = 0.06, 0.04  # inches round the band
_EXPLAINED: dict[str, str] = {
    "abs-normalized": "white is 0, dark red 1",
    "diverging": "blue is −1, gray 0, red +1",
}


@dataclass(frozen=True, eq=False)
class MapBand:
    """Maps of one image, a row for each series and a column for the trained model and each stage.

    Args:
        rows: by series, the trained model's map and then that of each stage: normalized (height, width), or None.
        style: "abs-normalized" for maps in [0, 1], "diverging" for maps in [-1, 1].
        first_title: name of the trained model's column.
        image: what the maps explain, (height, width) or (height, width, 3), in [0, 1] or uint8.
        image_title: its title.
    """

    rows: Mapping[str, Sequence[Map | None]]
    style: MapStyle = "abs-normalized"
    first_title: str = "Original"
    image: Picture | None = None
    image_title: str = ""

    @property
    def note(self) -> str:
        """Legend of the colors, and why the first column has no box."""
        colors = _EXPLAINED.get(self.style, self.style)
        return f"Maps above: {colors}. {self.first_title}: its score is perfect by definition and not drawn."

    def draw_above(self, frame: Frame, stages: int) -> None:
        """Makes the figure higher and draws the maps over the columns of the plot.

        Raises:
            InvalidInput: a row without one map for the trained model and each stage, or maps outside their range.
        """
        cells = map_cells([*self.rows.values()], self.style)
        for series, row in zip(self.rows, cells, strict=True):
            if len(row) != 1 + stages:
                raise InvalidInput(f"{series!r} has {len(row)} maps; give that of the trained model and {stages} more")
        left = frame.axes.get_position().x0 * PAGE_WIDTH
        column = frame.width / (1 + stages)
        width = min(column - _GAP, _LARGEST)
        height = width * _shape(cells)
        total = _ABOVE + len(cells) * (height + _GAP) + _BELOW
        axes = _space_above(frame.figure, total)
        for position, (series, row) in enumerate(zip(self.rows, cells, strict=True)):
            top = _ABOVE + position * (height + _GAP)
            for number, cell in enumerate(row):
                place = (left + (number + 0.5) * column - width / 2, top, width, height)
                _show(axes, cell, place, f"map {position} {number}")
            lines = max(1, min(3, int(height / text.height("x", TITLE_SIZE))))
            title = text.wrap(series, left - 0.1, TITLE_SIZE, lines)
            _write(axes, left - 0.06, top + height / 2, title, ha="right", va="center", multialignment="right")
        if self.image is not None:
            cell = Cell(picture(self.image, "the image"), "picture")
            start = left + frame.width + frame.aside
            across = PAGE_WIDTH - 0.04 - start
            title = text.wrap(self.image_title, across, TITLE_SIZE, 2)
            shape = cell.values.shape[0] / cell.values.shape[1]
            room = total - _ABOVE - _BELOW - text.height(title, TITLE_SIZE) - 0.04
            side = max(0.1, min(across, room / shape, _LARGEST))
            _show(axes, cell, (start, _ABOVE, side, side * shape), "image")
            _write(axes, start, _ABOVE + side * shape + 0.04, title, ha="left", va="top")


def _shape(cells: list[list[Cell | None]]) -> float:
    """Height / width of the maps, which is that of the first."""
    shapes = [cell.values.shape for row in cells for cell in row if cell is not None]
    return float(np.clip(shapes[0][0] / shapes[0][1], 0.25, 4.0)) if shapes else 1.0


def _space_above(figure: Figure, inches: float) -> Axes:
    """Makes a figure higher at the top; the new axes lie over it all, in inches from the top left corner."""
    width, height = figure.get_size_inches()
    share = height / (height + inches)
    figure.set_size_inches(width, height + inches)
    for axes in figure.axes:
        x0, y0, across, along = axes.get_position().bounds
        axes.set_position((x0, y0 * share, across, along * share))
    for label in figure.texts:
        label.set_y(label.get_position()[1] * share)
    band = figure.add_axes((0, share, 1, 1 - share), label="maps", autoscale_on=False)
    band.set(xlim=(0, width), ylim=(inches, 0))
    band.set_axis_off()
    return band


def _show(axes: Axes, cell: Cell | None, place: tuple[float, float, float, float], label: str) -> None:
    """A cell in a box (left, top, width, height), framed; a hatched box where there is no map."""
    left, top, width, height = place
    if cell is None:
        how: dict[str, Any] = {"facecolor": "white", "edgecolor": SEPARATOR, "hatch": "////", "linewidth": 0}
        axes.add_patch(Rectangle((left, top), width, height, **how))
        return
    frame = 0.005  # inches
    box = (left - frame, top - frame), width + 2 * frame, height + 2 * frame
    axes.add_patch(Rectangle(*box, facecolor=SEPARATOR, linewidth=0, zorder=-1))
    lowest, highest = (0.0, 1.0) if cell.style == "picture" else LIMITS[cell.style]
    axes.imshow(
        cell.values,
        extent=(left, left + width, top + height, top),
        aspect="auto",
        interpolation="antialiased",
        interpolation_stage="rgba",
        cmap=None if cell.style == "picture" else COLOR_MAPS[cell.style],
        vmin=lowest,
        vmax=highest,
        label=label,
    )


def _write(axes: Axes, left: float, top: float, words: str, **how: Any) -> None:
    """Writes plain text at a point."""
    axes.text(left, top, words, fontsize=TITLE_SIZE, color=INK, linespacing=LINE_SPACING, parse_math=False, **how)
