"""Similarity of each method's maps to an edge detector's."""

from dataclasses import replace
from pathlib import Path

import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure

from probatum.maps import REDUCTIONS
from probatum.metrics import SSIM, Metric, get_metric
from probatum.report import bootstrap_interval, methods_figure
from probatum.report.bars import bars_figure
from probatum.reproductions.adebayo2018.checks import panel, titles_of, write_panels
from probatum.reproductions.adebayo2018.photographs import PAPER_NETWORK, imagenet_subject
from probatum.reproductions.adebayo2018.rules import GUIDED, as_authors
from probatum.reproductions.adebayo2018.setting import (
    CONTROL,
    SIZES,
    datasets,
    explained_images,
    load_split,
    methods_for,
    small_subject,
    title_of_method,
)
from probatum.reproductions.base import Context, Inputs, store_arrays, write_facts
from probatum.reproductions.digits import similarity
from probatum.reproductions.hatching import displayed, drawable
from probatum.reproductions.results import Claims, Results, experiment
from probatum.reproductions.rules import Outcome, above, measure
from probatum.reproductions.setting import PHOTOGRAPHS, PRETRAINED, Setting
from probatum.reproductions.subjects import Subject, explain
from probatum.runs.files import read_arrays

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


def compute(context: Context, folder: Path) -> None:
    """Explain photographs with the ImageNet network, or digits with the CNN if no such network is given."""
    found = imagenet_subject(context)
    if isinstance(found, str):
        network, points, subject = "basic_cnn", context.pick(SIZES).points, _digits(context, found)
    else:
        network, points, subject = found.name, context.pick(SIZES).photograph_points, found
    confidences, targets = subject.probabilities(context).max(1)
    methods = methods_for(network, points)
    chosen = {name: methods[name] for name in (*COLUMNS, CONTROL)}
    maps = explain(context, subject.model, subject.data.images, targets, chosen, subject.title)
    edges = dict.fromkeys(COLUMNS, maps[CONTROL])
    store_arrays(folder, scores=similarity(maps, edges, MEASURES))
    drawn = slice(0, 3)
    write_panels(
        folder / "panels.npz", subject.data.pictures()[drawn], {name: values[drawn] for name, values in maps.items()}
    )
    shown = zip(targets.tolist()[drawn], confidences.tolist()[drawn], strict=True)
    write_facts(
        folder,
        title=subject.title,
        used=f"{subject.title}, {len(subject.data)} images",
        setting=subject.setting.to_json(),
        images=len(subject.data),
        rows=[f"{subject.class_name(target)} ({share:.2f})" for target, share in shown],
        protocol=f"{points}; preset {context.config.preset}, seed {context.config.seed}",
    )


def _digits(context: Context, missing: str) -> Subject:
    """The CNN with digits; `missing` says why there are no photographs."""
    sizes, dataset = context.pick(SIZES), datasets(context)[0]
    explained = explained_images(context, dataset)
    # The first image of every class comes first, so that those drawn are of different classes.
    ordered = explained.subset(sorted(range(len(explained)), key=lambda row: row % sizes.per_class))
    subject, _ = small_subject(context, "basic_cnn", load_split(context, dataset, sizes.train_images), ordered)
    stand_in = f"{subject.title} instead of Inception v3 on photographs"
    return replace(subject, setting=Setting((stand_in,), dict.fromkeys((PRETRAINED, PHOTOGRAPHS), missing)))


class Likeness(Results):
    """Similarity of maps and edges."""

    def of(self, method: str, measured: str) -> Float[np.ndarray, " image"]:
        """By one of `MEASURES`."""
        found: Float[np.ndarray, " image"] = self.arrays["scores"][
            COLUMNS.index(method), list(MEASURES).index(measured)
        ]
        return found


def draw(found: Likeness) -> dict[str, Figure]:
    """Draw the photographs with their maps and edges, and the similarity of the two."""
    facts, panels = found.facts, read_arrays(found.folder / "panels.npz")
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
                    title_of_method(method): bootstrap_interval(found.of(method, key)[:, None]) for method in COLUMNS
                }
                for key, metric in MEASURES.items()
            },
            limits=(-0.2, 1.0),
            caption=f"Similarity of each method's maps to the edge detector's, both reduced to ABS. {caption}. "
            f"Bars: mean over {facts['images']} images with its 95 % bootstrap interval.",
        ),
    }


claims = Claims(Likeness, "figure of the methods beside an edge detector", (PRETRAINED, PHOTOGRAPHS))
MORE = "{title} looks more like an edge detector than Gradient does."
EYE = "outlines of the objects, by eye"


@claims.each(GUIDED, "edges-{key}-rank", f"By ABS rank correlation, {MORE}", EYE)
def _ranks(method: str, found: Likeness) -> Outcome:
    return _more(method, RANKS, found)


@claims.each(GUIDED, "edges-{key}-ssim", f"By SSIM of ABS maps, {MORE}", EYE)
def _structure(method: str, found: Likeness) -> Outcome:
    return _more(method, STRUCTURE, found)


def _more(method: str, measured: str, found: Likeness) -> Outcome:
    """The maps are more like edges than Gradient's on the same images."""

    def gain(own: str) -> Outcome:
        one, other = (found.of(name, measured) for name in (own, "gradient"))
        what = f"{found.facts['title']}: {MEASURES[measured].title} with the edge detector, {title_of_method(own)}"
        words = f"{what} {np.nanmean(one):.2f} less Gradient {np.nanmean(other):.2f}".replace("-0.", "−0.")
        return above(measure(words, one - other, "image"), 0.0)

    return as_authors(gain, method)


EDGES = experiment(
    "edge-detector",
    "Similarity of each method's maps to an edge detector's",
    compute,
    draw,
    claims,
    covers={"Figure 1": "*"},
    inputs=Inputs(data=("MNIST",), photographs=True, networks=(PAPER_NETWORK,)),
)
