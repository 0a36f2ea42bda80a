"""Similarity of each method's maps to an edge detector's."""

from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

from probatum.attributions import METHODS, attribute
from probatum.engine import all_logits, prepare
from probatum.maps import REDUCTIONS, get_reduction
from probatum.metrics import SSIM, Metric, get_metric, is_constant
from probatum.report import bootstrap_interval, methods_figure
from probatum.report.bars import bars_figure
from probatum.reproductions.adebayo2018.checks import displayed, panel, read_panels, titles_of, write_panels
from probatum.reproductions.adebayo2018.photographs import imagenet_task
from probatum.reproductions.adebayo2018.rules import PAIR_REASON
from probatum.reproductions.adebayo2018.setting import (
    CONTROL,
    PAIR,
    SIZES,
    datasets,
    load_small,
    load_split,
    methods_for,
    title_of,
    title_of_method,
    trained,
)
from probatum.reproductions.base import (
    Claim,
    Context,
    Finding,
    read_facts,
    store_arrays,
    stored_arrays,
    write_facts,
)
from probatum.reproductions.hatching import drawable
from probatum.reproductions.rules import Mean, above, measure
from probatum.reproductions.setting import PHOTOGRAPHS, PRETRAINED, Setting, conclude

EYE = "outlines of the objects, by eye"
COLUMNS = (
    *("gradient", "smoothgrad", "guided-backprop", "guided-grad-cam-pair"),
    *("integrated-gradients", "integrated-gradients-sg", "input-x-gradient", "guided-grad-cam"),
)
"""The columns of the paper's figure, and Guided Grad-CAM as published."""

RANKS, STRUCTURE = "spearman-abs", "ssim-abs"
_SSIM = Metric(
    STRUCTURE, "SSIM (ABS)", SSIM(1.0, gaussian=True), "abs-normalized", "ours: the edge detector has no sign"
)
MEASURES = {RANKS: get_metric(RANKS), STRUCTURE: _SSIM}
"""Similarity of a map to the edge detector's; both are reduced to ABS, since edges have no sign."""

LIKE_EDGES = {
    (method, measured): Claim(
        f"edges-{PAIR.get(method, method)}-{short}",
        "figure of the methods beside an edge detector",
        f"By {MEASURES[measured].title}, {METHODS[PAIR.get(method, method)].title} looks more like an edge detector "
        "than Gradient does.",
        EYE,
        about=(PRETRAINED, PHOTOGRAPHS),
    )
    for method in ("guided-backprop", "guided-grad-cam-pair")
    for measured, short in ((RANKS, "rank"), (STRUCTURE, "ssim"))
}


def likeness(maps: Tensor, edges: Tensor) -> np.ndarray:
    """Similarity of maps and edges under each of `MEASURES`, (measure, image); NaN where one is constant."""
    rows, constant = [], is_constant(maps) | is_constant(edges)
    for metric in MEASURES.values():
        reduce = get_reduction(metric.reduction)
        rows.append(metric(reduce(maps), reduce(edges)).masked_fill(constant, torch.nan))
    return torch.stack(rows).cpu().double().numpy()


def compute(context: Context, folder: Path) -> None:
    """Explain photographs with the ImageNet network, or digits with the CNN if no such network is given."""
    sizes = context.pick(SIZES)
    task = imagenet_task(context, sizes.photographs)
    if isinstance(task, str):
        dataset = datasets(context)[0]
        title = title_of("basic_cnn", dataset)
        training, held_back = load_split(context, dataset, sizes.train_images)
        test = load_small(context, dataset, "test", sizes.test_images)
        model, _ = trained(context, "basic_cnn", training, held_back, sizes.training, title)
        explained = test.take_per_class(sizes.per_class)
        # The first image of every class comes first, so that those drawn are of different classes.
        data = explained.subset(sorted(range(len(explained)), key=lambda row: row % sizes.per_class))
        names, points, methods = test.class_names, sizes.points, methods_for("basic_cnn", sizes.points)
        setting = Setting(
            (f"{title} instead of Inception v3 on photographs",), dict.fromkeys((PRETRAINED, PHOTOGRAPHS), task)
        )
    else:
        model, data, title, setting = task.model, task.photographs, task.title, task.setting
        names, points = task.spec.class_names, sizes.photograph_points
        methods = methods_for(task.spec.name, points)
    images = data.images.to(context.device)
    prepared = prepare(model, memory_budget=context.config.memory_budget)
    probabilities = all_logits(prepared, images).softmax(1)
    confidences, targets = probabilities.max(1)
    maps = attribute(
        prepared,
        images,
        targets,
        {name: methods[name] for name in (*COLUMNS, CONTROL)},
        seed=context.config.seed,
        progress=lambda done, total: context.progress(done, total, title),
    )
    drawn = min(len(images), 3)
    write_panels(
        folder / "panels.npz", data.pictures()[:drawn], {name: values[:drawn] for name, values in maps.items()}
    )
    store_arrays(folder, scores=np.stack([likeness(maps[name], maps[CONTROL]) for name in COLUMNS]))
    found = zip(targets.tolist()[:drawn], confidences.tolist()[:drawn], strict=True)
    write_facts(
        folder,
        title=title,
        used=f"{title}, {len(images)} images",
        setting=setting.to_json(),
        images=len(images),
        rows=[f"{names[target] if names else target} ({share:.2f})" for target, share in found],
        protocol=f"{points}; preset {context.config.preset}, seed {context.config.seed}",
    )


def draw(folder: Path) -> dict[str, Figure]:
    """Draw the photographs with their maps and edges, and the similarity of the two."""
    facts, panels = read_facts(folder), read_panels(folder / "panels.npz")
    caption = f"{facts['title']}, predicted classes; {facts['protocol']}"
    rows = range(len(facts["rows"]))
    maps = {name: panel(values, "abs-normalized") for name, values in panels.items() if name != "pictures"}
    return {
        "methods": methods_figure(
            displayed(panels["pictures"]),
            [drawable(np.stack([maps[name][row] for name in COLUMNS])) for row in rows],
            facts["rows"],
            titles_of(COLUMNS),
            edges=[maps[CONTROL][row] for row in rows],
            caption=f"{caption}; maps: {REDUCTIONS['abs-normalized'].title}.",
        ),
        "likeness": bars_figure(
            {
                metric.title: {
                    title_of_method(method): bootstrap_interval(scores[place, :, None])
                    for method, scores in zip(COLUMNS, stored_arrays(folder)["scores"], strict=True)
                }
                for place, metric in enumerate(MEASURES.values())
            },
            limits=(-0.2, 1.0),
            caption=f"Similarity of each method's maps to the edge detector's, both reduced to ABS. {caption}. "
            f"Bars: mean over {facts['images']} images with its 95 % bootstrap interval.",
        ),
    }


def judge(folder: Path) -> list[Finding]:
    """Judge the claims on the similarity to edges."""
    facts, scores = read_facts(folder), stored_arrays(folder)["scores"]
    setting = Setting.from_json(facts["setting"])

    def gain(method: str, measured: str) -> Mean:
        place = list(MEASURES).index(measured)
        one, other = (scores[COLUMNS.index(name), place] for name in (method, "gradient"))
        what = f"{facts['title']}: {MEASURES[measured].title} with the edge detector, {title_of_method(method)}"
        return measure(f"{what} {np.nanmean(one):.2f} less Gradient {np.nanmean(other):.2f}", one - other, "image")

    findings = []
    for (method, measured), claim in LIKE_EDGES.items():
        note = ""
        if method in PAIR:
            note = f"{PAIR_REASON}; by the published definition: {gain(PAIR[method], measured).words(0.0)}"
        findings.append(conclude(claim, above(gain(method, measured), 0.0), setting, note))
    return findings
