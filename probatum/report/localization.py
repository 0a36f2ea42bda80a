"""Figures of the localization check: the shares of each method, and the maps of one grid."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure

from probatum.attributions import title_of
from probatum.data.datasets import data_title
from probatum.experiments.localization.result import CHANCE, SETTINGS, LocalizationResult
from probatum.experiments.localization.run import read_localization
from probatum.maps import get_reduction
from probatum.report.dots import dots_figure
from probatum.report.grids import methods_figure
from probatum.report.html import write_page
from probatum.report.html.localization import localization_page
from probatum.report.html.pictures import reduced
from probatum.report.intervals import Interval
from probatum.report.save import figure_place, save_figure
from probatum.runs.files import read_arrays, read_json, reading


def draw_localization(folder: Path, progress: Callable[[str], None] | None = None) -> list[Path]:
    """Draws the shares and the maps of the first grid into `figures/`, and writes `report.html`.

    Args:
        folder: of a localization check.
        progress: called with each figure's name before it is drawn.

    Returns:
        the files, the report last.

    Raises:
        InvalidInput: the folder holds no complete check.
    """
    result = read_localization(folder)
    with reading(folder, "localization check"):
        config = read_json(folder / "config.json")
        caption = f"{config['model']['title']} on {data_title(config['data']['name'])}; seed {config['config']['seed']}"
        classes = [config["data"]["images"][image]["class"] for image in result.grids[0][0]]
        values = np.clip(read_arrays(folder / "maps.npz")["picture"], 0, 1)
        picture = values[0] if len(values) == 1 else values.transpose(1, 2, 0)
        figures: dict[str, Callable[[], Figure]] = {
            "shares": lambda: shares_figure(result, caption),
            "maps": lambda: grid_maps_figure(result, picture, classes, caption),
        }
        written = []
        for name, draw in figures.items():
            if progress is not None:
                progress(name)
            written += save_figure(draw(), figure_place(folder, name))
    if progress is not None:
        progress("report.html")
    return [*written, write_page(folder, localization_page)]


def shares_figure(result: LocalizationResult, caption: str | None = None) -> Figure:
    """The mean share of positive attribution in the explained cell, a row for each method, a mark for each setting."""
    rows = {
        f"{title_of(method)}{' (control)' * (method == result.edges)}": {
            setting: Interval(*(np.array(value) for value in (found.share, found.low, found.high)))
            for setting in SETTINGS
            for found in [result.verdict(method, setting)]
        }
        for method in result.methods
    }
    ends = [end for row in rows.values() for each in row.values() for end in (each.low, each.high)]
    grids = sum(map(len, result.grids))
    note = (
        f"{grids} grids of {len(result.image_names)} images in {len(result.grids)} rounds; lines: 95 % intervals over "
        "images and rounds. GridPG: the network sees the whole grid. DiFull: each cell passes the network by itself."
    )
    return dots_figure(
        rows,
        axis_title="share of the positive attribution in the cell of the explained class",
        limits=(min(0.0, float(np.nanmin(ends, initial=0.0))), max(1.02, float(np.nanmax(ends, initial=1.0)))),
        reference=(CHANCE, f"chance, {CHANCE:g}"),
        caption=note if caption is None else f"{caption}\n{note}",
    )


def grid_maps_figure(
    result: LocalizationResult,
    picture: Float[np.ndarray, "tall wide"] | Float[np.ndarray, "tall wide 3"],
    names: list[str],
    caption: str | None = None,
) -> Figure:
    """The maps of the first grid: a row for each explained cell and setting, a column for each method.

    Args:
        result: of a check.
        picture: of the grid, in [0, 1].
        names: of the classes of its cells, row by row.
        caption: the protocol.
    """
    places = ("upper left", "upper right", "lower left", "lower right")
    settings, methods, cells = result.maps.shape[:3]
    flat = result.maps.transpose(0, 2, 1, 3, 4).reshape(-1, methods, *result.maps.shape[3:])
    panels = [list(reduced(np.maximum(row, 0)[:, None], "abs-normalized")) for row in flat]
    titles = [f"{setting}, {places[cell]}: {names[cell]}" for setting in SETTINGS for cell in range(cells)]
    note = f"positive attribution, {get_reduction('abs-normalized').title}"
    return methods_figure(
        [picture] * (settings * cells),
        panels,
        titles,
        [title_of(name) for name in result.methods],
        photograph_title="Grid",
        caption=note if caption is None else f"{caption}; {note}",
    )
