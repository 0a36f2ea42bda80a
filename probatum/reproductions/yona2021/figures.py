"""Maps under each model, and what the paper does not draw: the causal effect and the shares of the regions."""

from functools import partial

import numpy as np
from matplotlib.figure import Figure

from probatum.experiments.effects import REDUCTIONS
from probatum.report import Interval, methods_figure
from probatum.report.dots import dots_figure
from probatum.reproductions.base import Experiment, Inputs
from probatum.reproductions.hatching import displayed, drawable
from probatum.reproductions.results import Claims, experiment
from probatum.reproductions.rules import span
from probatum.reproductions.yona2021.studies import METHODS, Make, Stored, compute


def draw_models(found: Stored, rows: list[tuple[int, str]], *, by_method: bool = False) -> Figure:
    """An image and its maps under each model: a row for each (image, method), named after one of the two."""
    panels = found.arrays["panels"]  # (method, model, shown image, height, width)
    pictures = displayed(found.arrays["pictures"])
    titles, names = found.titles, found.facts["shown_names"]
    shown = "" if by_method else f" of {titles[rows[0][1]]}"
    return methods_figure(
        [pictures[image] for image, _ in rows],
        [drawable(panels[list(METHODS).index(method), :, image]) for image, method in rows],
        [titles[method] if by_method else names[image] for image, method in rows],
        ["Random model", *(found.facts["titles"][name] for name in found.trained)],
        photograph_title="Image",
        caption=_caption(
            found, f"Maps{shown}: absolute values, summed over channels, clipped at the 99th percentile, in [0, 1]."
        ),
    )


def draw_effects(found: Stored) -> Figure:
    """‖Λ‖ and the distance of each trained model, beside those of untrained models instead."""
    rows: dict[str, dict[str, Interval]] = {}
    compared = [("‖Λ‖", "effect", None), *((found.facts["titles"][one], "distance", one) for one in found.trained)]
    for place, reduction in enumerate(REDUCTIONS):
        for title, name, model in compared:
            row = rows.setdefault(f"{title}, {reduction} maps", {})
            for method, words in found.titles.items():
                own, floor = (
                    found.scores(name, method, model, reduction=place),
                    found.scores(f"{name}_floor", method, reduction=place),
                )
                row[words] = found.mean("", own).interval
                row[f"{words}, untrained instead"] = found.mean("", floor).interval
    trainings, counted, untrained = found.scores("effect", "GBP").shape
    tables = [found.arrays[name] for name in ("effect", "effect_floor", "distance", "distance_floor")]
    undefined = sum(int(np.isnan(table).sum()) for table in tables)
    return dots_figure(
        rows,
        axis_title="Euclidean distance to the map of an untrained model, every map of norm 1",
        limits=(0.0, 2.0),
        hollow=[f"{words}, untrained instead" for words in found.titles.values()],
        caption=_caption(
            found,
            f"Λ: equation 1, its tasks weighted {found.facts['weights']}. Hollow markers: other untrained models "
            f"instead of the trained ones. Means over {trainings} trainings, {counted} images and {untrained} "
            "untrained models with 95 % intervals over trainings and images"
            + (f"; {undefined} scores with a map of zeros are left out." if undefined else "."),
        ),
    )


def draw_regions(found: Stored) -> Figure:
    """The share of each model's map inside each region, beside the share of the area."""
    rows: dict[str, dict[str, Interval]] = {}
    models = [(None, "Random model"), *((name, found.facts["titles"][name]) for name in found.trained)]
    for region, name in enumerate(found.regions):
        for model, title in models:
            shares = {words: found.share(method, model, region) for method, words in found.titles.items()}
            shares["share of the image's area"] = found.area(region)
            rows[f"{title}: {name}"] = {words: found.mean("", each).interval for words, each in shares.items()}
    return dots_figure(
        rows,
        axis_title="share of the map's magnitude inside the region",
        limits=(0.0, 1.0),
        caption=_caption(
            found,
            f"Regions: {found.facts['region_rule']}. Means with 95 % intervals over trainings and "
            "images; of the random model and the area over images.",
        ),
    )


def draw_study(found: Stored) -> dict[str, Figure]:
    """Figure 2 or 3, Λ, and the shares."""
    return {
        "": draw_models(found, [(0, method) for method in METHODS], by_method=True),
        "effect": draw_effects(found),
        "regions": draw_regions(found),
    }


def examples_of(number: int, images: str, method: str, make: Make, inputs: Inputs) -> Experiment:
    """Figures 4 to 7: more images, one method, and no claim."""

    def draw(found: Stored) -> dict[str, Figure]:
        return {"": draw_models(found, [(image, method) for image in range(len(found.facts["shown_names"]))])}

    return experiment(
        f"figure{number}",
        f"{images}, {METHODS[method].title}: more examples",
        partial(compute, make, examples=True),
        draw,
        Claims(Stored),
        covers={f"Figure {number}": ""},
        inputs=inputs,
    )


def _caption(found: Stored, *lines: str) -> str:
    """The protocol of the figure, in a sentence."""
    facts = found.facts
    accuracies = ", ".join(f"{name} {span(values)}" for name, values in facts["accuracies"].items())
    common = f"{facts['images']}. {facts['network']}. Test accuracy: {accuracies}. "
    return "\n".join(
        [f"{common}Explained: {facts['targets']}. Preset {facts['preset']}, seed {facts['seed']}.", *lines]
    )
