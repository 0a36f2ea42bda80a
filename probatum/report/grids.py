"""The map figures of the papers: methods by stages, photographs by methods, and maps over faint photographs."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure

from probatum.errors import InvalidInput
from probatum.report.layout import Cell, Grid, draw
from probatum.report.panels import Map, MapTable, Picture, map_cell, map_cells, picture
from probatum.report.style import MapStyle, colors

_LUMA = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601, the gray of a color photograph


def grid_figure(
    panels: MapTable,
    row_titles: Sequence[str],
    column_titles: Sequence[str],
    *,
    style: MapStyle = "abs-normalized",
    image: Picture | None = None,
    image_title: str = "",
    notes: Sequence[Sequence[str]] | None = None,
    caption: str | None = None,
) -> Figure:
    """Maps of one image: a row for each method, a column for each stage of the randomization.

    Source: Adebayo et al., "Sanity Checks for Saliency Maps", 2018, arXiv:1810.03292, the cascading randomization.

    Args:
        panels: `panels[row][column]` is a normalized map (height, width): in [0, 1] where the style is absolute, in
            [-1, 1] where it is diverging; None leaves a hatched cell. A panel keeps its shape unless one side is more
            than four times the other.
        row_titles: one name for each row.
        column_titles: one name for each column; they stand upright unless all of them fit over their columns.
        style: "abs-normalized" is white to red, "diverging" blue to gray to red.
        image: what the maps explain, (height, width) or (height, width, 3), in [0, 1] or uint8; shown in the corner.
        image_title: its title.
        notes: `notes[row][column]` stands in small type below its panel, such as the panel's scores; may have lines.
        caption: the protocol, in small type below.

    Returns:
        A figure of the width of an A4 page at most, with at least 6 points of type; wider only beyond about 20 columns.

    Raises:
        InvalidInput: uneven rows, a title too many or too few, NaN, or a value outside the range of its style.
    """
    corner = None if image is None else Cell(picture(image, "the image"), "picture")
    cells = map_cells(panels, style)
    return draw(Grid(cells, row_titles, column_titles, corner, image_title, caption, (style,), notes))


def methods_figure(
    photographs: Sequence[Picture],
    panels: MapTable,
    row_titles: Sequence[str],
    column_titles: Sequence[str],
    *,
    edges: Sequence[Map] | None = None,
    style: MapStyle = "abs-normalized",
    photograph_title: str = "Original image",
    edges_title: str = "Edge detector",
    caption: str | None = None,
) -> Figure:
    """Maps of several photographs: a row for each photograph, a column for each method, the edge detector last.

    Source: Adebayo et al. 2018, arXiv:1810.03292, the methods beside an edge detector.

    Args:
        photographs: one picture for each row, as `image` of `grid_figure`.
        panels: `panels[row][column]`, as in `grid_figure`.
        row_titles: one name for each photograph.
        column_titles: one name for each method.
        edges: the edge detector's answer to each photograph, (height, width) in [0, 1].
        style: of the maps; the edges are always absolute.
        photograph_title: title of the first column.
        edges_title: title of the last column.
        caption: the protocol.

    Returns:
        The figure.

    Raises:
        InvalidInput: as `grid_figure`, or not one photograph and one edge map for each row.
    """
    rows = map_cells(panels, style)
    _same_number(rows, photographs, "photographs")
    cells = [[Cell(picture(p, f"photograph {r}"), "picture"), *rows[r]] for r, p in enumerate(photographs)]
    titles = [photograph_title, *column_titles]
    if edges is not None:
        _same_number(rows, edges, "edge maps")
        for row, values in enumerate(edges):
            cells[row].append(map_cell(values, "abs-normalized", f"edge map {row}"))
        titles.append(edges_title)
    keys: tuple[MapStyle, ...] = (style,) if edges is None or style == "abs-normalized" else (style, "abs-normalized")
    return draw(Grid(cells, row_titles, titles, caption=caption, keys=keys))


def overlay_figure(
    photographs: Sequence[Picture],
    maps: MapTable,
    titles: Sequence[str],
    *,
    column_titles: Sequence[str] | None = None,
    style: MapStyle = "abs-normalized",
    faintness: float = 0.75,
    photograph_title: str = "Original image",
    caption: str | None = None,
) -> Figure:
    """Maps in color over faint gray photographs: what a map points at can be seen in one picture.

    Each pixel is (1 - a) b + a color(m) with a = sqrt |m|, where m is the map's value and b the faint gray photograph.

    Source: Wienecke and Hinrichs 2021, the cascade of Gradient ⊙ Input-SG on ResNet-18.

    Args:
        photographs: one picture for each row, as `image` of `grid_figure`.
        maps: `maps[row][column]`, as `panels` of `grid_figure`, of the photograph's height and width.
        titles: one for each row, such as the predicted class and its confidence.
        column_titles: one for each column of maps, such as the stages; none by default.
        style: of the maps.
        faintness: share of white in the photograph below a map, in [0, 1].
        photograph_title: title of the first column.
        caption: the protocol.

    Returns:
        The figure.

    Raises:
        InvalidInput: as `grid_figure`, not one photograph for each row, or a map of another size than its photograph.
    """
    if not 0 <= faintness <= 1:
        raise InvalidInput(f"faintness is {faintness}; give the share of white, from 0 to 1")
    rows = map_cells(maps, style)
    _same_number(rows, photographs, "photographs")
    cells: list[list[Cell | None]] = []
    for row, values in enumerate(photographs):
        photograph = picture(values, f"photograph {row}")
        background = faintness + (1 - faintness) * np.repeat((photograph @ _LUMA)[..., None], 3, axis=-1)
        covered = [
            None if cell is None else Cell(_laid_over(background, cell, style, row), "picture") for cell in rows[row]
        ]
        cells.append([Cell(photograph, "picture"), *covered])
    heads = [""] * len(rows[0]) if column_titles is None and rows else column_titles or ()
    return draw(Grid(cells, titles, [photograph_title, *heads], caption=caption, keys=(style,)))


def _laid_over(
    background: Float[np.ndarray, "_ _ 3"], cell: Cell, style: MapStyle, row: int
) -> Float[np.ndarray, "_ _ 3"]:
    """A map's colors over a picture, as opaque as the map is strong."""
    if cell.values.shape != background.shape[:2]:
        raise InvalidInput(f"a map of row {row} is {cell.values.shape} and its photograph {background.shape[:2]}")
    opacity = np.sqrt(np.abs(cell.values))[..., None]
    mixed = (1 - opacity) * background + opacity * colors(cell.values, style)
    return np.asarray(np.clip(mixed, 0.0, 1.0))  # rounding may lead a hair above 1


def _same_number(rows: Sequence[object], others: Sequence[object], name: str) -> None:
    """Raises InvalidInput where there is not one entry for each row of maps."""
    if len(rows) != len(others):
        raise InvalidInput(f"there are {len(rows)} rows of maps and {len(others)} {name}")
