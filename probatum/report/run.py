"""The figures of a run folder, drawn from what is stored there and nothing else."""

import re
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from probatum.attributions import title_of
from probatum.data.datasets import data_title
from probatum.experiments.explain import Explanation, read_explanation
from probatum.experiments.run_folder import Run, read_run
from probatum.maps import get_reduction
from probatum.report.curve_panels import curve_panels_figure
from probatum.report.grids import grid_figure, methods_figure, overlay_figure
from probatum.report.html import write_page
from probatum.report.html.check import page_of_check
from probatum.report.html.explanation import explanation_page
from probatum.report.html.pictures import reduced
from probatum.report.layers import layers_caption
from probatum.report.panels import Map
from probatum.report.results import method_curves
from probatum.report.save import figure_place, save_figure
from probatum.report.style import MOST_ROWS, MapStyle
from probatum.runs.files import read_arrays, read_json, reading
from probatum.runs.ranks import ALONE, Ranks

CONTROL = "edge-detector"
TRAINED = "Original"
STYLES: tuple[MapStyle, ...] = ("diverging", "abs-normalized")


def draw_run(folder: Path, progress: Callable[[str], None] | None = None, ranks: Ranks = ALONE) -> list[Path]:
    """Draws all figures of a run into its folder `figures/`.

    For each stored image a grid of methods × stages in both map styles; for each metric the similarity curves with
    intervals over images and trials; the methods side by side; overlays on the photographs. Writes `report.html`, too.

    Args:
        folder: a complete run.
        progress: called with each figure's name before it is drawn.
        ranks: the processes that share the figures; all of them call this function.

    Returns:
        the files of this process; of the main one, the report last.

    Raises:
        InvalidInput: the folder holds no complete run.
    """
    run, written = read_run(folder), list[Path]()
    for name, draw in ranks.pieces(list(_figures(run))):
        if progress is not None:
            progress(name)
        with reading(folder):
            figure = draw()
        written += save_figure(figure, figure_place(folder, name))
    ranks.barrier()  # the page lists what there is
    if not ranks.is_main:
        return written
    if progress is not None:
        progress("report.html")
    return [*written, write_page(folder, lambda folder, config: page_of_check(run))]


def draw_attribution(folder: Path, progress: Callable[[str], None] | None = None) -> list[Path]:
    """Draws the maps that `explain` stored in a folder: see `draw_explanation`."""
    found = read_explanation(folder)
    with reading(folder, "maps of probatum attribute"):
        config = read_json(folder / "config.json")
        facts = (
            f"{config['model']['title']}, seed {config['config']['seed']}",
            layers_caption(config["methods"].values()),
        )
        caption = "; ".join(filter(None, facts))
        return draw_explanation(found, folder, caption, progress)


def draw_explanation(
    found: Explanation, folder: Path, caption: str, progress: Callable[[str], None] | None = None
) -> list[Path]:
    """Draws maps into `folder`, side by side and laid over each picture, and `report.html` last.

    Of many images the figures show the first.
    """
    shown = min(len(found.image_names), MOST_ROWS)
    if shown < len(found.image_names):
        caption = f"{caption}; the first {shown} of {len(found.image_names)} images"
    pictures = list(_displayed(found.pictures[:shown]))
    explained = [
        f"{name} ({share:.2f})"
        for name, share in zip(found.class_names[:shown], found.confidences[:shown], strict=True)
    ]
    titles = list(map(title_of, found.maps))
    figures: dict[str, Callable[[MapStyle], Figure]] = {
        "maps": lambda style: methods_figure(pictures, panels[style], explained, titles, style=style, caption=caption),
        "overlays": lambda style: overlay_figure(
            pictures, panels[style], explained, column_titles=titles, style=style, caption=caption
        ),
    }
    written = []
    panels = {
        style: [list(row) for row in zip(*(_reduced(maps[:shown], style) for maps in found.maps.values()), strict=True)]
        for style in STYLES
    }
    for name, draw in figures.items():
        for style in STYLES:
            if progress is not None:
                progress(f"{name}-{style}")
            written += save_figure(draw(style), folder / f"{name}-{style}")
    return [*written, write_page(folder, explanation_page)]


def _figures(run: Run) -> Iterator[tuple[str, Callable[[], Figure]]]:
    for number, metric in enumerate(run.result.metrics):
        name = metric if re.fullmatch(r"[\w.-]{1,80}", metric, re.ASCII) else f"metric-{number}"
        yield f"curves-{name}", partial(_curves, run, metric)
    for number, image in enumerate(run.result.maps):
        for style in STYLES:
            yield f"grid-{number:03d}-{style}", partial(_grid, run, number, image, style)
    if run.result.maps:
        yield "methods", partial(_side_by_side, run)
        yield "overlays", partial(_overlays, run)


def _grid(run: Run, number: int, image: str, style: MapStyle) -> Figure:
    maps = run.result.maps[image]
    return grid_figure(
        [_reduced(maps[method], style) for method in run.result.methods],
        _titles(run, run.result.methods),
        [TRAINED, *run.result.stages],
        style=style,
        image=_pictures(run)[number],
        image_title=_explained(run, number),
        caption=f"{_protocol(run)}; trial 1; maps: {get_reduction(style).title}",
    )


def _curves(run: Run, metric: str) -> Figure:
    facts, result = run.config["metrics"][metric], run.result
    return curve_panels_figure(
        method_curves(result, metric, _titles(run, result.methods)),
        metric_title=f"{facts['title']} ({metric})",
        column_titles=result.stages,
        caption=f"{_protocol(run)}; maps: {facts['reduction_title']}",
    )


def _side_by_side(run: Run) -> Figure:
    methods = [method for method in run.result.methods if method != CONTROL]
    maps = run.result.maps.values()
    return methods_figure(
        list(_pictures(run)),
        [[_reduced(stored[method][:1], "abs-normalized")[0] for method in methods] for stored in maps],
        [_explained(run, number) for number in range(len(maps))],
        _titles(run, methods),
        edges=[reduced(stored[CONTROL][:1], "abs-normalized")[0] for stored in maps]
        if CONTROL in run.result.methods
        else None,
        caption=f"{_protocol(run)}; trained model; maps: {get_reduction('abs-normalized').title}",
    )


def _overlays(run: Run) -> Figure:
    return overlay_figure(
        list(_pictures(run)),
        [
            [_reduced(stored[method][:1], "abs-normalized")[0] for method in run.result.methods]
            for stored in run.result.maps.values()
        ],
        [_explained(run, number) for number in range(len(run.result.maps))],
        column_titles=_titles(run, run.result.methods),
        caption=f"{_protocol(run)}; trained model; maps: {get_reduction('abs-normalized').title}",
    )


def _reduced(maps: np.ndarray, style: MapStyle) -> list[Map | None]:
    """(stage, channel, height, width) -> (height, width) each in the style's range; None for what is not finite."""
    return [None if np.isnan(values).any() else values for values in reduced(maps, style)]


def _pictures(run: Run) -> np.ndarray:
    """(kept images, height, width) or (..., 3), in [0, 1]."""
    return _displayed(read_arrays(run.folder / "images.npz")["pictures"][: len(run.result.maps)])


def _displayed(pictures: np.ndarray) -> np.ndarray:
    """(image, channel, height, width) -> (image, height, width) or (image, height, width, 3), in [0, 1]."""
    gray = pictures.shape[1] == 1
    shown: np.ndarray = np.clip(pictures[:, 0] if gray else pictures.transpose(0, 2, 3, 1), 0, 1)
    return shown


def _titles(run: Run, methods: Any) -> list[str]:
    return [run.config["methods"][method]["title"] for method in methods]


def _explained(run: Run, number: int) -> str:
    facts = run.config["data"]["images"][number]
    return f"{facts['class']} ({facts['confidence']:.2f})"


def _protocol(run: Run) -> str:
    facts, model, data = run.config["randomization"], run.config["model"], run.config["data"]
    parts = (
        f"{model['title']} on {data_title(data['name'])}",
        f"{facts['order']} randomization by {facts['initializer']['class']}, "
        f"batch norm: {facts['batch_norm'].replace('-', ' ')}",
        f"seed {facts['seed']}",
        layers_caption(run.config["methods"].values()),
    )
    return "; ".join(filter(None, parts))
