"""Similarity of each method's maps to an edge detector's."""

from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

from probatum.attributions import METHODS, attribute
from probatum.engine import all_logits, prepare
from probatum.maps import REDUCTIONS, get_reduction
from probatum.metrics import SSIM, Metric, get_metric
from probatum.report import bootstrap_interval, methods_figure
from probatum.report.bars import bars_figure
from probatum.reproductions.adebayo2018.checks import displayed, panel, read_panels, titles_of, write_panels
from probatum.reproductions.adebayo2018.photographs import imagenet_task
from probatum.reproductions.adebayo2018.rules import Measured, conclude
from probatum.reproductions.adebayo2018.setting import (
    CONTROL,
    SIZES,
    datasets,
    load_small,
    methods_for,
    title_of,
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
from probatum.reproductions.findings import estimate

LIKE_EDGES = Claim(
    "methods-like-edges",
    "figure of the methods beside an edge detector",
    "Guided Backprop and Guided Grad-CAM look like an edge detector, more than Gradient does.",
    "outlines of the objects, by eye",
)
COLUMNS = (
    *("gradient", "smoothgrad", "guided-backprop", "guided-grad-cam"),
    *("integrated-gradients", "integrated-gradients-sg", "input-x-gradient"),
)
"""The columns of the paper's figure."""

RANKS, STRUCTURE = "spearman-abs", "ssim-abs"
_SSIM = Metric(
    STRUCTURE, "SSIM (ABS)", SSIM(1.0, gaussian=True), "abs-normalized", "ours: the edge detector has no sign"
)
MEASURES = {RANKS: get_metric(RANKS), STRUCTURE: _SSIM}
"""Similarity of a map to the edge detector's; both are reduced to ABS, since edges have no sign."""


def likeness(maps: Tensor, edges: Tensor) -> np.ndarray:
    """Similarity of maps and edges under each of `MEASURES`, (measure, image)."""
    rows = []
    for metric in MEASURES.values():
        reduce = get_reduction(metric.reduction)
        rows.append(metric(reduce(maps), reduce(edges)))
    return torch.stack(rows).cpu().double().numpy()


def compute(context: Context, folder: Path) -> None:
    """Explain photographs with the ImageNet network, or digits with the CNN if no such network is given."""
    sizes = context.pick(SIZES)
    task = imagenet_task(context, sizes.photographs)
    if isinstance(task, str):
        dataset = datasets(context)[0]
        title = title_of("basic_cnn", dataset)
        training = load_small(context, dataset, "train", sizes.train_images)
        test = load_small(context, dataset, "test", sizes.test_images)
        model, _ = trained(context, "basic_cnn", training, test, sizes.training, title)
        explained = test.take_per_class(sizes.per_class)
        # The first image of every class comes first, so that those drawn are of different classes.
        data = explained.subset(sorted(range(len(explained)), key=lambda row: row % sizes.per_class))
        names, points, methods = test.class_names, sizes.points, methods_for("basic_cnn", sizes.points)
        comparable = True
        substitution = f"{title} instead of Inception v3 on photographs: {task}"
    else:
        model, data, title, substitution = task.model, task.photographs, task.title, task.substitution
        comparable = not task.untrained
        names, points = task.spec.class_names, sizes.photograph_points
        methods = methods_for(task.spec.name, points)
    images = data.images.to(context.device)
    prepared = prepare(model)
    budget = context.config.memory_budget
    probabilities = all_logits(prepared, images, memory_budget=budget).softmax(1)
    confidences, targets = probabilities.max(1)
    maps = attribute(
        prepared,
        images,
        targets,
        {name: methods[name] for name in (*COLUMNS, CONTROL)},
        seed=context.config.seed,
        memory_budget=budget,
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
        substitution=substitution,
        comparable=comparable,
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
            [[maps[name][row] for name in COLUMNS] for row in rows],
            facts["rows"],
            titles_of(COLUMNS),
            edges=[maps[CONTROL][row] for row in rows],
            caption=f"{caption}; maps: {REDUCTIONS['abs-normalized'].title}.",
        ),
        "likeness": bars_figure(
            {
                metric.title: {
                    METHODS[method].title: bootstrap_interval(scores[place, :, None])
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
    """Judge the claim on the similarity to edges."""
    facts, scores = read_facts(folder), stored_arrays(folder)["scores"]
    row = {name: scores[COLUMNS.index(name)] for name in ("guided-backprop", "guided-grad-cam", "gradient")}
    ours, met = [], True
    for place, metric in enumerate(MEASURES.values()):
        found = {METHODS[name].title: bootstrap_interval(one[place, :, None]) for name, one in row.items()}
        ours.append(f"{metric.title} {', '.join(f'{name} {estimate(one)}' for name, one in found.items())}")
        for name in ("guided-backprop", "guided-grad-cam"):
            gain = bootstrap_interval((row[name] - row["gradient"])[place, :, None])
            met &= bool(gain.low > 0)
    rule = (
        "for both, the 95 % interval of the gain over Gradient on the same images, in similarity to the edge detector, "
        "lies above 0 under both measures"
    )
    if not facts["comparable"]:
        return [Finding(LIKE_EDGES, "; ".join(ours), "not comparable", facts["substitution"])]
    return [conclude(LIKE_EDGES, {facts["title"]: Measured("; ".join(ours), met)}, rule, facts["substitution"])]
