"""The figures and the page of two checks side by side, drawn from what is stored there and nothing else."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from probatum.attributions import title_of
from probatum.experiments.run_folder import Run
from probatum.experiments.run_pair import RunPair, read_pair
from probatum.report.curve_panels import MethodCurve, curve_panels_figure
from probatum.report.grids import grid_figure
from probatum.report.html import write_page
from probatum.report.html.pictures import reduced
from probatum.report.html.run_pair import run_pair_page
from probatum.report.intervals import Interval, bootstrap_interval
from probatum.report.panels import Map
from probatum.report.save import figure_place, save_figure
from probatum.report.style import MapStyle
from probatum.runs.files import reading

_STYLE: MapStyle = "abs-normalized"
_CAPTION = "Colored: the first run. Black and dashed: the second."


def draw_run_pair(folder: Path, progress: Callable[[str], None] | None = None) -> list[Path]:
    """Draws the curves of both runs over one another, their maps side by side, and `report.html`.

    Args:
        folder: what `probatum compare` made.
        progress: called with each figure's name before it is drawn.

    Returns:
        the files, the report last.

    Raises:
        InvalidInput: the folder holds no complete comparison of two runs.
    """
    written = []
    for name, draw in _figures(read_pair(folder)):
        if progress is not None:
            progress(name)
        with reading(folder, "comparison of two runs"):
            figure = draw()
        written += save_figure(figure, figure_place(folder, name))
    return [*written, write_page(folder, run_pair_page)]


def _figures(pair: RunPair) -> Iterator[tuple[str, Callable[[], Figure]]]:
    if pair.first.result.stages == pair.second.result.stages:
        for number, metric in enumerate(pair.metrics):
            yield f"curves-{number}", partial(_curves, pair, metric)
    for number, image in enumerate(pair.images):
        yield f"maps-{number:03d}", partial(_maps, pair, image)


def _curves(pair: RunPair, metric: str) -> Figure:
    curves = []
    for method in pair.methods:
        first, second = (_interval(run, method, metric) for run in (pair.first, pair.second))
        hollow = np.zeros(len(first.mean), dtype=bool)
        curves.append(MethodCurve(title_of(method), first, None, None, hollow, second))
    facts = pair.first.config["metrics"][metric]
    return curve_panels_figure(
        curves,
        metric_title=f"{facts['title']} ({metric})",
        column_titles=pair.first.result.stages,
        caption=_CAPTION,
    )


def _interval(run: Run, method: str, metric: str) -> Interval:
    row, column = run.result.methods.index(method), run.result.metrics.index(metric)
    return bootstrap_interval(np.where(run.result.live[row, column], run.result.scores[row, column], np.nan))


def _maps(pair: RunPair, image: str) -> Figure:
    runs = {"first": pair.first, "second": pair.second}
    titles = [f"{side}: {when}" for side, run in runs.items() for when in ("trained", run.result.stages[-1])]
    panels = [[panel for run in runs.values() for panel in _ends(run, image, method)] for method in pair.methods]
    return grid_figure(
        panels,
        list(map(title_of, pair.methods)),
        titles,
        style=_STYLE,
        caption=f"{image}: maps of the trained model and after the last stage, trial 1.",
    )


def _ends(run: Run, image: str, method: str) -> list[Map | None]:
    """The maps of the trained model and of the last stage."""
    maps = reduced(run.result.maps[image][method][[0, -1]], _STYLE)
    return [None if np.isnan(values).any() else values for values in maps]
