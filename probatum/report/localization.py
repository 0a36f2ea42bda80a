"""Figures of the localization check: the shares of each method, and the maps of one grid."""

import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure

from probatum.attributions import title_of
from probatum.experiments.localization.result import CHANCE, SETTINGS, LocalizationResult
from probatum.maps import get_reduction
from probatum.report.dots import dots_figure
from probatum.report.grids import methods_figure
from probatum.report.html.pictures import reduced
from probatum.report.intervals import Interval


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
