"""Figures 1 to 7, and what the paper does not draw: the causal effect and the shares of the regions."""

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from probatum.experiments.effects import REDUCTIONS
from probatum.report import Interval, methods_figure
from probatum.report.dots import dots_figure
from probatum.reproductions.hatching import drawable
from probatum.reproductions.yona2021.results import GBP, GRADIENT, Stored


def draw_models(stored: Stored, pairs: list[tuple[int, int]], *, by_method: bool) -> Figure:
    """The image and its maps under each model: a row for each (image, method)."""
    panels = stored.arrays["panels"]  # (method, model, shown image, height, width)
    pictures = stored.arrays["pictures"].transpose(0, 2, 3, 1)
    pictures = pictures[..., 0] if pictures.shape[3] == 1 else pictures
    titles: dict[str, str] = stored.facts["titles"]
    shown = "" if by_method else f" of {stored.methods[pairs[0][1]]}"
    return methods_figure(
        [pictures[image] for image, _ in pairs],
        [drawable(panels[method, :, image]) for image, method in pairs],
        [stored.methods[method] if by_method else stored.facts["shown_names"][image] for image, method in pairs],
        ["Random model", *(titles[name] for name in stored.trained)],
        photograph_title="Image",
        caption=stored.caption(
            f"Maps{shown}: absolute values, summed over channels, clipped at the 99th percentile, in [0, 1]."
        ),
    )


def draw_effects(stored: Stored) -> Figure:
    """Draw ‖Λ‖ and the distance of each trained model, compared with untrained models."""
    rows: dict[str, dict[str, Interval]] = {}
    for r, reduction in enumerate(REDUCTIONS):
        named: list[tuple[str, str, str, tuple[int, ...]]] = [(f"‖Λ‖, {reduction} maps", "effect", "effect_floor", ())]
        named += [(f"{stored.facts['titles'][t]}, {reduction} maps", "distance", "distance_floor", (index,))
                  for index, t in enumerate(stored.trained)]  # fmt: skip
        for title, own, floor, place in named:
            rows[title] = {}
            for m, method in enumerate(stored.methods):
                rows[title][method] = stored.mean("", stored.scores(own, r, m, *place)).interval
                rows[title][f"{method}, untrained instead"] = stored.mean("", stored.scores(floor, r, m)).interval
    trainings, counted, untrained = stored.scores("effect", 0, 0).shape
    tables = [stored.arrays[name] for name in ("effect", "effect_floor", "distance", "distance_floor")]
    undefined = sum(int(np.isnan(table).sum()) for table in tables)
    return dots_figure(
        rows,
        axis_title="Euclidean distance to the map of an untrained model, every map of norm 1",
        limits=(0.0, 2.0),
        hollow=[f"{method}, untrained instead" for method in stored.methods],
        caption=stored.caption(
            f"Λ: equation 1, its tasks weighted {stored.facts['weights']}. White dots: other untrained models instead "
            f"of the trained ones. Means over {trainings} trainings, {counted} images and {untrained} untrained models "
            "with 95 % intervals over trainings and images; "
            f"{undefined} scores take no part, for a map is zero."
        ),
    )


def draw_regions(stored: Stored) -> Figure:
    """The share of each model's map inside each region, beside the share of the area."""
    rows: dict[str, dict[str, Interval]] = {}
    for region, name in enumerate(stored.regions):
        for model, title in ((None, "Random model"), *enumerate(stored.facts["titles"][t] for t in stored.trained)):
            rows[f"{title}: {name}"] = {
                method: stored.mean("", stored.share(m, model, region)).interval
                for m, method in enumerate(stored.methods)
            } | {"share of the image's area": stored.mean("", stored.area(region)).interval}
    return dots_figure(
        rows,
        axis_title="share of the map's magnitude inside the region",
        limits=(0.0, 1.0),
        caption=stored.caption(
            f"Regions: {stored.facts['region_rule']}. Means with 95 % intervals over trainings and "
            "images; of the random model and the area over images."
        ),
    )


def draw_half(folder: Path) -> dict[str, Figure]:
    """Figure 1 for both methods, the same digit under all models, Λ, and the shares."""
    stored = Stored(folder)
    whole = int(stored.arrays["counted"][: len(stored.facts["shown_names"])].argmax())
    return {
        "": draw_models(stored, [(image, GBP) for image in range(len(stored.facts["shown_names"]))], by_method=False),
        "gradient": draw_models(
            stored, [(image, GRADIENT) for image in range(len(stored.facts["shown_names"]))], by_method=False
        ),
        "both": draw_models(stored, [(whole, GBP), (whole, GRADIENT)], by_method=True),
        "effect": draw_effects(stored),
        "regions": draw_regions(stored),
    }


def draw_study(folder: Path) -> dict[str, Figure]:
    """Draws figure 2 or 3, Λ, and the shares."""
    stored = Stored(folder)
    return {
        "": draw_models(stored, [(0, GBP), (0, GRADIENT)], by_method=True),
        "effect": draw_effects(stored),
        "regions": draw_regions(stored),
    }


def draw_examples(method: int, folder: Path) -> dict[str, Figure]:
    """Draws figures 4 to 7: more images, one method."""
    stored = Stored(folder)
    return {"": draw_models(stored, [(i, method) for i in range(len(stored.facts["shown_names"]))], by_method=False)}
