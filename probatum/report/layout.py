"""The grid that all map figures share: cells of one size, titles on top and at the left, a color key and a caption."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any, Literal

import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from probatum.errors import InvalidInput
from probatum.report import text
from probatum.report.style import (
    COLOR_MAPS,
    FAINT_INK,
    INK,
    LIMITS,
    LINE_SPACING,
    PAGE_HEIGHT,
    PAGE_WIDTH,
    SEPARATOR,
    SMALL_SIZE,
    TITLE_SIZE,
    MapStyle,
    PageFigure,
    house_style,
)

_MARGIN = 0.04  # inches round the figure
_GAP = 0.02  # inches between cells
_PAD = 0.06  # inches between a title and what it names
_SMALLEST, _LARGEST = 0.3, 1.0  # inches, the width of a cell; a grid that needs smaller ones gets a wider page
_STRETCH = 4.0  # a panel more elongated than this is shown with this shape, for else it would be a hair line
_TITLE_LENGTH = 1.1  # inches, the longest line of a title
_CORNER = 0.8  # inches, the least side of the picture in the corner
_NARROWEST = 3.0  # inches, so that a caption can be read
_KEY_WIDTH = 1.05
_CAPTION_LINES = 30


@dataclass(frozen=True)
class Cell:
    """Content of one cell: a map (height, width) in a style, or a picture (height, width, 3) in [0, 1]."""

    values: Float[np.ndarray, "_ _"] | Float[np.ndarray, "_ _ 3"]
    style: MapStyle | Literal["picture"]


@dataclass(frozen=True)
class Grid:
    """The content of a figure: rows of cells (None where there is none), titles, a corner picture and a caption.

    Each cell may have a note of one or more lines below it.
    """

    cells: Sequence[Sequence[Cell | None]]
    row_titles: Sequence[str]
    column_titles: Sequence[str]
    corner: Cell | None = None
    corner_title: str = ""
    caption: str | None = None
    keys: Sequence[MapStyle] = ()
    notes: Sequence[Sequence[str]] | None = None

    def __post_init__(self) -> None:
        columns = {len(row) for row in self.cells}
        if not self.cells or columns != {len(self.column_titles)} or 0 in columns:
            found = sorted(columns)
            raise InvalidInput(f"the rows have {found} panels and there are {len(self.column_titles)} column titles")
        if len(self.cells) != len(self.row_titles):
            raise InvalidInput(f"there are {len(self.cells)} rows of panels and {len(self.row_titles)} row titles")
        if self.notes is not None and [len(row) for row in self.notes] != [len(row) for row in self.cells]:
            raise InvalidInput("notes stand below panels; give one for each")


def draw(grid: Grid) -> Figure:
    """Draw a grid, laid out in inches from the top left corner; every length is a whole number of dots."""
    with house_style():
        return _Layout(grid).drawn()


class _Layout:
    """The measures of one grid, in inches."""

    def __init__(self, grid: Grid) -> None:
        self.grid = grid
        rows, columns = len(grid.cells), len(grid.column_titles)
        self.label_width = self._label_width()
        shown = [_shape(cell) for row in grid.cells for cell in row if cell is not None]
        shape = median(shown) if shown else 1.0  # height / width

        across = (PAGE_WIDTH - self.label_width - _GAP - _MARGIN) / columns - _GAP
        lines = max((len(note.split("\n")) for row in grid.notes or () for note in row if note), default=0)
        self.note_height = _snap(lines * text.height("x", SMALL_SIZE) + 0.02) if lines else 0.0
        down = (PAGE_HEIGHT - 2 * _TITLE_LENGTH) / rows - _GAP - self.note_height
        side = min(across, _LARGEST / max(1.0, shape), down / shape)
        side = max(side, _SMALLEST, _SMALLEST / shape if shape < 1 else 0.0)
        self.cell_width = math.floor(side * 50 + 1e-6) / 50  # not rounded up, for many of them fill the page
        self.cell_height = _snap(self.cell_width * shape)

        self.rotated, self.column_size, self.column_titles = self._column_titles()
        self.top = self._top()
        self.grid_width = columns * (self.cell_width + _GAP) + _GAP
        self.pitch = self.cell_height + self.note_height + _GAP  # from one row to the next
        self.grid_height = rows * self.pitch + _GAP
        self.width = _snap(max(self.label_width + self.grid_width + _MARGIN, _NARROWEST))
        beside_key = self.width - 2 * _MARGIN - len(grid.keys) * (_KEY_WIDTH + 0.1)
        gaps = any(cell is None for row in grid.cells for cell in row)
        self.caption = caption_lines("\n".join([grid.caption or "", *["Hatched: no map."] * gaps]), beside_key)
        below = max(text.height(self.caption, SMALL_SIZE), 0.2 * bool(grid.keys))
        self.height = _snap(self.top + self.grid_height + below + (_PAD + _MARGIN if below else _MARGIN))

    def _label_width(self) -> float:
        """The narrowest column of row titles that shortens none of them, or the widest allowed."""
        titles = [title for title in self.grid.row_titles if text.clean(title)]
        least = _MARGIN + (_CORNER + _PAD if self.grid.corner else 0.0)
        if not titles:
            return least
        limits = (0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
        fitting = (
            limit for limit in limits if all(text.fits(title, limit, TITLE_SIZE, 2, whole=True) for title in titles)
        )
        self.label_limit = next(fitting, _TITLE_LENGTH)
        return _snap(max(_MARGIN + self.label_limit + _PAD, least))

    def _column_titles(self) -> tuple[bool, float, list[str]]:
        """True if the column titles must stand upright, their size and their lines."""
        titles, limit = self.grid.column_titles, self.cell_width - 0.02
        for size in (TITLE_SIZE, (TITLE_SIZE + SMALL_SIZE) / 2, SMALL_SIZE):
            if all(text.fits(title, limit, size, 3, whole=True) for title in titles):
                return False, size, [text.wrap(title, limit, size, 3) for title in titles]
        beside = max(1, min(3, int(self.cell_width / text.height("x", TITLE_SIZE))))
        return True, TITLE_SIZE, [text.wrap(title, _TITLE_LENGTH, TITLE_SIZE, beside) for title in titles]

    def _top(self) -> float:
        """Height of the band above the cells: the column titles, and the corner picture with its title."""
        extent = text.longest if self.rotated else text.height
        band = max(extent(title, self.column_size) for title in self.column_titles)
        if self.grid.corner:
            band = max(band, _CORNER + (text.height("x", TITLE_SIZE) + 0.03 if self.grid.corner_title else 0.0))
        return _snap(_MARGIN + band + _PAD)

    def drawn(self) -> Figure:
        """The figure: one pair of axes all over it, whose unit is the inch and whose origin the top left corner."""
        figure = PageFigure(self.width, self.height)
        self.axes = figure.add_axes((0, 0, 1, 1), autoscale_on=False, xlim=(0, self.width), ylim=(self.height, 0))
        self.axes.set_axis_off()
        # The separators are one gray sheet that shows between the cells.
        self._rectangle(self.label_width, self.top, self.grid_width, self.grid_height, facecolor=SEPARATOR, zorder=-2)
        for row, cells in enumerate(self.grid.cells):
            for column, cell in enumerate(cells):
                self._draw_cell(row, column, cell)
        self._draw_titles()
        if self.grid.corner:
            self._draw_corner(self.grid.corner)
        for position, style in enumerate(reversed(self.grid.keys)):
            self._draw_key(style, self.width - _MARGIN - (_KEY_WIDTH + 0.1) * position)
        below = self.top + self.grid_height + _PAD
        self._text(_MARGIN, below, self.caption, size=SMALL_SIZE, color=FAINT_INK, va="top", ha="left")
        return figure

    def _text(self, left: float, top: float, words: str, size: float = TITLE_SIZE, **how: Any) -> None:
        """Writes plain text at a point."""
        if words:
            options: dict[str, Any] = {"color": INK, "linespacing": LINE_SPACING, **how}
            self.axes.text(left, top, words, fontsize=size, parse_math=False, **options)

    def _rectangle(self, left: float, top: float, width: float, height: float, **how: Any) -> None:
        """Draws a filled rectangle without an outline."""
        self.axes.add_patch(Rectangle((left, top), width, height, linewidth=0, **how))

    def _draw_cell(self, row: int, column: int, cell: Cell | None) -> None:
        left = self.label_width + _GAP + column * (self.cell_width + _GAP)
        top = self.top + _GAP + row * self.pitch
        if self.grid.notes is not None:
            below = top + self.cell_height
            self._rectangle(left, below, self.cell_width, self.note_height, facecolor="white", zorder=-1)
            rows = [text.clean(line) for line in self.grid.notes[row][column].split("\n")]
            words = "\n".join(text.shorten(line, self.cell_width, SMALL_SIZE) for line in rows)
            how = {"ha": "center", "va": "top", "multialignment": "center"}
            self._text(left + self.cell_width / 2, below + 0.01, words, size=SMALL_SIZE, color=FAINT_INK, **how)
        box = (left, top, self.cell_width, self.cell_height)
        if cell is None:
            self._rectangle(*box, facecolor="white", edgecolor=SEPARATOR, hatch="////", zorder=-1)
        else:
            self._rectangle(*box, facecolor="white", zorder=-1)
            self._show(cell, *box, label=f"panel {row} {column}")

    def _show(self, cell: Cell, left: float, top: float, width: float, height: float, label: str) -> None:
        """Draw a cell in the middle of a box, in the fixed color scale of its style."""
        shape = _shape(cell)
        # A box of whole dots differs from the shape of its panel by a few hundredths, not worth a white edge.
        if abs(shape * width / height - 1) > 0.05:
            inner = min(width, height / shape)
            left, top = left + (width - inner) / 2, top + (height - inner * shape) / 2
            width, height = inner, inner * shape
        colors: dict[str, Any] = {}
        if cell.style != "picture":
            lowest, highest = LIMITS[cell.style]
            colors = {"cmap": COLOR_MAPS[cell.style], "vmin": lowest, "vmax": highest}
        self.axes.imshow(
            cell.values,
            extent=(left, left + width, top + height, top),
            aspect="auto",
            interpolation="antialiased",
            interpolation_stage="rgba",  # where signs alternate, a smaller print shows both colors, not zero
            label=label,
            **colors,
        )

    def _draw_titles(self) -> None:
        upright: dict[str, Any] = {"rotation": 90, "va": "bottom", "multialignment": "left"}
        how = upright if self.rotated else {"va": "baseline"}
        for column, title in enumerate(self.column_titles):
            middle = self.label_width + _GAP + column * (self.cell_width + _GAP) + self.cell_width / 2
            self._text(middle, self.top - _PAD, title, size=self.column_size, ha="center", **how)
        lines = max(1, min(3, int(self.cell_height / text.height("x", TITLE_SIZE))))
        for row, title in enumerate(self.grid.row_titles):
            if text.clean(title):
                middle = self.top + _GAP + row * self.pitch + self.cell_height / 2
                words = text.wrap(title, self.label_limit, TITLE_SIZE, lines)
                self._text(self.label_width - _PAD, middle, words, ha="right", va="center", multialignment="right")

    def _draw_corner(self, corner: Cell) -> None:
        """The picture that the maps explain, in the corner above the row titles, with its title over it."""
        title = text.shorten(text.clean(self.grid.corner_title), self.label_width - _MARGIN, TITLE_SIZE)
        head = text.height(title, TITLE_SIZE) + 0.03 if title else 0.0
        side = min(self.label_width - _PAD, self.top - head - _PAD) - _MARGIN
        shape = _shape(corner)
        width, height = side / max(1.0, shape), side * min(1.0, shape)
        left, top = self.label_width - _PAD - width, self.top - _PAD - height
        self._show(corner, left, top, width, height, label="corner")
        half = text.width(title, TITLE_SIZE) / 2
        middle = min(max(left + width / 2, _MARGIN + half), self.label_width - half)
        self._text(middle, top - 0.03, title, ha="center", va="bottom")

    def _draw_key(self, style: MapStyle, right: float) -> None:
        """Draws a strip of the colors with the numbers at its ends."""
        lowest, highest = LIMITS[style]
        top, left = self.top + self.grid_height + _PAD, right - _KEY_WIDTH
        self._rectangle(left - 0.005, top - 0.005, _KEY_WIDTH + 0.01, 0.09, facecolor=SEPARATOR, zorder=-1)
        self.axes.imshow(
            np.linspace(lowest, highest, 256)[None, :],
            extent=(left, right, top + 0.08, top),
            aspect="auto",
            cmap=COLOR_MAPS[style],
            vmin=lowest,
            vmax=highest,
            label=f"key {style}",
        )
        names = {"abs-normalized": ("0", "", "1"), "diverging": ("−1", "0", "+1")}[style]
        for words, place, side in zip(
            names, (left, (left + right) / 2, right), ("left", "center", "right"), strict=True
        ):
            self._text(place, top + 0.1, words, size=SMALL_SIZE, color=FAINT_INK, ha=side, va="top")


def caption_lines(caption: str | None, limit: float) -> str:
    """A caption broken into lines of `limit` inches; its own line breaks are kept."""
    paragraphs = (caption or "").split("\n")
    rows = [row for part in paragraphs for row in text.wrap(part, limit, SMALL_SIZE, _CAPTION_LINES).split("\n")]
    return "\n".join(rows[:_CAPTION_LINES]).strip("\n")


def _shape(cell: Cell) -> float:
    """Height / width at which a cell is shown."""
    height, width = cell.values.shape[:2]
    return float(min(max(height / width, 1 / _STRETCH), _STRETCH))


def _snap(inches: float) -> float:
    """Rounded to 1/50 inch, a whole number of dots at 100, 150, 200 and 300 dots per inch."""
    return math.floor(inches * 50 + 0.5) / 50
