"""One parameter-randomization check: run into a folder and drawn from it."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from matplotlib.figure import Figure
from torch import Tensor

from probatum.attributions import Method
from probatum.experiments import Run
from probatum.experiments.build import configured_metric
from probatum.experiments.levels import store_levels
from probatum.experiments.run_folder import write_results
from probatum.maps import REDUCTIONS, abs_normalized, diverging
from probatum.metrics import get_metric
from probatum.randomization import Preset
from probatum.report import curves_figure, grid_figure
from probatum.report.style import MapStyle
from probatum.reproductions.adebayo2018.rules import Checks
from probatum.reproductions.adebayo2018.setting import CONTROL, METRICS, title_of_method
from probatum.reproductions.base import Context
from probatum.reproductions.hatching import displayed, drawable
from probatum.reproductions.rules import live_counts, live_scores
from probatum.reproductions.subjects import Subject, cascade
from probatum.runs.files import read_arrays, write_arrays, write_json
from probatum.runs.fingerprint import weights_hash

STYLES: tuple[MapStyle, ...] = ("diverging", "abs-normalized")


def stored_check(
    context: Context,
    folder: Path,
    subject: Subject,
    methods: Mapping[str, Method],
    protocol: Preset,
    *,
    trials: int,
    drawn: int,
    facts: Mapping[str, Any],
) -> None:
    """Check the methods on a network and write a run folder, whose maps are reduced as they will be drawn.

    Args:
        context: of the experiment.
        folder: to be made.
        subject: the network, with what it explains for the classes that it predicts.
        methods: by name.
        protocol: of the randomization.
        trials: independent randomizations.
        drawn: of how many images the maps are kept.
        facts: "protocol", in words, and what else figures and claims need.
    """
    folder.mkdir()
    metrics = {name: configured_metric(name, subject.data.images.shape[2:]) for name in METRICS}
    result = cascade(context, subject, methods, metrics, protocol, trials=trials, keep_maps=drawn)
    kept = {
        image: {name: reduced(maps) for name, maps in by_method.items()} for image, by_method in result.maps.items()
    }
    write_results(folder, replace(result, maps=kept))
    store_levels(folder / "levels.csv", subject.title, result)
    write_panels(folder / "images.npz", subject.data.pictures()[: len(kept)], {})
    about = {
        "title": subject.title,
        "kept_images": list(kept),
        "classes": [subject.class_name(target) for target in result.targets[: len(kept)]],
        "weights_sha256": weights_hash(subject.model),
        "order": protocol.order,
    }
    write_json(folder / "config.json", about | dict(facts))


def reduced(maps: Float[np.ndarray, "stage channel height width"]) -> Float[np.ndarray, "stage 2 height width"]:
    """ABS and diverging version of each map, in half precision: what is drawn and nothing more."""
    values = torch.from_numpy(maps)
    return torch.cat([abs_normalized(values), diverging(values)], dim=1).half().numpy()


def panel(
    maps: Float[np.ndarray, "*stage 2 height width"], style: MapStyle
) -> Float[np.ndarray, "*stage height width"]:
    """One of the versions that `reduced` stored."""
    return np.asarray(maps[..., 0 if style == "abs-normalized" else 1, :, :], dtype=np.float32)


def pictures_of(folder: Path) -> list[np.ndarray]:
    """The kept images, (height, width) or (height, width, 3)."""
    return displayed(read_arrays(folder / "images.npz")["pictures"])


def write_panels(path: Path, pictures: Tensor, maps: Mapping[str, Tensor]) -> None:
    """Write pictures (image, channel, height, width) and, for each method, their maps as they will be drawn."""
    stored = {name: reduced(values.float().cpu().numpy()) for name, values in maps.items()}
    write_arrays(path, {"pictures": pictures.numpy(), **stored})


def draw_checks(found: Checks) -> dict[str, Figure]:
    """Grids of methods × stages in both styles for each kept image, and a curve figure for each metric."""
    figures = {}
    for name, run in zip(found.names, found.runs, strict=True):
        for number, picture in enumerate(pictures_of(found.folder / name)):
            for style in STYLES:
                figures[f"{name}-grid-{number}-{style}"] = _grid(run, number, picture, style)
        for metric in run.result.metrics:
            figures[f"{name}-{metric}"] = _curves(run, metric)
    return figures


def _grid(run: Run, number: int, picture: np.ndarray, style: MapStyle) -> Figure:
    maps = run.result.maps[run.config["kept_images"][number]]
    return grid_figure(
        [drawable(panel(maps[method], style)) for method in run.result.methods],
        titles_of(run.result.methods),
        ["Original", *run.result.stages],
        style=style,
        image=picture,
        image_title=run.config["classes"][number],
        caption=f"{run.config['title']}, {run.config['order']} randomization; {run.config['protocol']}; "
        f"first trial; maps: {REDUCTIONS[style].title}.",
    )


def _curves(run: Run, metric: str) -> Figure:
    result, entry = run.result, get_metric(metric)
    methods = [name for name in result.methods if name != CONTROL]
    scores = {name: live_scores(result, name, metric) for name in methods}
    count = [min(counts) for counts in zip(*(live_counts(one) for one in scores.values()), strict=True)]
    ceiling = {name: result.ceiling[result.methods.index(name), result.metrics.index(metric)] for name in methods}
    return curves_figure(
        {title_of_method(name): one for name, one in scores.items()},
        metric_title=entry.title,
        column_titles=result.stages,
        control=result.of(CONTROL, metric).mean(axis=(1, 2)),
        ceiling={title_of_method(name): float(row.mean()) for name, row in ceiling.items() if np.isfinite(row).all()},
        caption=f"{run.config['title']}, {run.config['order']} randomization; {run.config['protocol']}; "
        f"metric {metric}, on maps: {REDUCTIONS[entry.reduction].title}; images with a score of every method at each "
        f"stage: {', '.join(map(str, count))} of {len(result.image_names)}.",
    )


def titles_of(methods: Sequence[str]) -> list[str]:
    """The names of methods in figures."""
    return [title_of_method(method) for method in methods]
