"""Figures drawn from plain arrays and tables of scores, and the statistics that they show."""

from probatum.report.boxes import boxes_figure
from probatum.report.curves import curves_figure
from probatum.report.grids import grid_figure, methods_figure, overlay_figure
from probatum.report.intervals import Interval, bootstrap_interval
from probatum.report.map_band import MapBand
from probatum.report.save import save_figure

__all__ = [
    "Interval",
    "MapBand",
    "bootstrap_interval",
    "boxes_figure",
    "curves_figure",
    "grid_figure",
    "methods_figure",
    "overlay_figure",
    "save_figure",
]
