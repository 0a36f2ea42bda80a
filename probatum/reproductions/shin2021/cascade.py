"""Figures 5 and 6: maps under cascading randomization with N(0, 0.01²)."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from matplotlib.figure import Figure

from probatum.experiments import sanity_check
from probatum.experiments.levels import store_levels
from probatum.maps import get_reduction
from probatum.models.stages import Stages
from probatum.randomization import automatic_stages, preset, stages_from_table, usual_stages
from probatum.report import curves_figure, grid_figure
from probatum.reproductions.base import Claim, Context, Finding, read_facts, store_arrays, stored_arrays, write_facts
from probatum.reproductions.hatching import drawable
from probatum.reproductions.rules import Mean, above, all_of, between, fact, measure
from probatum.reproductions.setting import Setting, conclude
from probatum.reproductions.shin2021.setting import METHODS, METRICS, SAMPLES, mean_of_defined, methods, sentence
from probatum.reproductions.shin2021.subjects import (
    IMAGES,
    Subject,
    digit_subjects,
    photograph_subjects,
    wants_photographs,
)


@dataclass(frozen=True)
class CascadeSizes:
    """Number of explained photographs, or of digits if there is no pretrained network."""

    photographs: int
    digits: int


SIZES = {"paper": CascadeSizes(20, 20), "cpu": CascadeSizes(10, 20), "quick": CascadeSizes(6, 20)}


def compute(context: Context, folder: Path) -> None:
    """Randomizes each network stage by stage and correlates the maps with those of the trained network."""
    sizes = context.pick(SIZES)
    if wants_photographs(context):
        subjects = photograph_subjects(context, sizes.photographs)
    else:
        subjects = digit_subjects(context, sizes.digits)
    arrays: dict[str, np.ndarray] = {}
    facts = []
    for subject in subjects:
        found, values = _check(context, subject, folder)
        facts.append(found)
        arrays |= {f"{subject.name}-{name}": array for name, array in values.items()}
    store_arrays(folder, **arrays)
    used = "; ".join(f"{network['title']} on {network['data']}" for network in facts)
    write_facts(folder, preset=context.config.preset, seed=context.config.seed, networks=facts, used=used)


def _check(context: Context, subject: Subject, folder: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """The facts and arrays of one network; its chance level and ceiling go to the folder."""
    images = subject.data.images.to(context.device)
    plan = (
        stages_from_table(subject.model, subject.stages, images=images)
        if subject.stages
        else usual_stages(automatic_stages(subject.model, images))
    )
    result = sanity_check(
        subject.model,
        images,
        methods=methods(subject.data.preprocessing, subject.layer),
        metrics=METRICS,
        randomizer=preset("shin").randomizer(subject.model, plan, context.config.seed),
        seed=context.config.seed,
        image_names=subject.data.image_names,
        keep_maps=1,
        memory_budget=context.config.memory_budget,
        cells=context.cells,
        progress=lambda done, total, what: context.progress(done, total, f"{subject.title}, {what}"),
    )
    store_levels(folder / f"levels-{subject.name}.csv", subject.title, result, METRICS)
    kept = result.maps[subject.data.image_names[0]]
    reduce = get_reduction("abs-normalized")
    arrays = {
        # (method, metric, stage, image): the weights are randomized once, and a constant map has no score
        "scores": np.where(result.constant[:, None, ..., 0] > 0, np.nan, result.scores[..., 0]),
        "ceiling": result.ceiling[0],  # (metric, image) of SmoothGrad
        "maps": np.stack([reduce(torch.from_numpy(kept[name]))[:, 0].numpy() for name in METHODS]),
        "picture": subject.data.pictures()[0].numpy().transpose(1, 2, 0),
    }
    facts = {
        "name": subject.name,
        "title": subject.title,
        "data": subject.data.name,
        "stages": list(result.stages),
        "head": _head(subject.stages, result.stages),
        "shown": subject.class_names[result.targets[0]],
        "setting": subject.setting.to_json(),
    }
    return facts, arrays


def _head(table: Stages | None, stages: tuple[str, ...]) -> int:
    """The number of stages at the top that belong to the classifier."""
    names = [paths[0] for _, paths in table] if table else list(stages)
    return next((row for row, path in enumerate(names) if path.split(".")[0] not in ("classifier", "fc")), len(names))


def draw(folder: Path) -> dict[str, Figure]:
    """Figure 5, the maps of one image stage by stage, and Figure 6, the correlations, one of each for a network."""
    facts, arrays = read_facts(folder), stored_arrays(folder)
    figures = {}
    for network in facts["networks"]:
        name = network["name"]
        scores = arrays[f"{name}-scores"]
        protocol = (
            f"Preset {facts['preset']}: {network['title']} on {network['data']}, randomized once with N(0, 0.01²) from "
            f"the output down, seed {facts['seed']}; maps of the predicted class, SmoothGrad n = {SAMPLES}, σ = 20/255."
        ) + sentence("; ".join(network["setting"]["stand_ins"]))
        figures[f"figure5-{name}"] = grid_figure(
            [drawable(row) for row in arrays[f"{name}-maps"]],
            list(METHODS.values()),
            ["Original", *network["stages"]],
            image=np.clip(arrays[f"{name}-picture"], 0, 1),
            image_title=network["shown"],
            caption=f"Figure 5. {protocol} Maps: {get_reduction('abs-normalized').title}.",
        )
        curves = {title: scores[row, 0] for row, title in enumerate(METHODS.values())}
        figures[f"figure6-{name}"] = curves_figure(
            {**curves, "SmoothGrad, signed values": scores[0, 1]},
            metric_title=METRICS["magnitude"].title,
            column_titles=network["stages"],
            ceiling={"SmoothGrad": float(arrays[f"{name}-ceiling"][0].mean())},
            caption=f"Figure 6. {protocol} Images with a map at each stage: {_live(scores[:, 0])}.",
        )
    return figures


def _live(scores: Float[np.ndarray, "method stages images"]) -> str:
    """How many images have a map at each stage, for each method."""
    counts = np.isfinite(scores).sum(axis=2)
    each = (f"{title} {', '.join(map(str, row))}" for title, row in zip(METHODS.values(), counts, strict=True))
    return f"{'; '.join(each)} of {scores.shape[2]}"


RANDOM = {
    method: Claim(
        f"towards-0-{method}",
        "Figure 6",
        f"With all layers randomized the correlation of {title} approaches 0.",
        "close to 0 at the last layer",
        IMAGES,
    )
    for method, title in METHODS.items()
}
LATE = {
    "smoothgrad": Claim(
        "smoothgrad-late",
        "Figure 5",
        "SmoothGrad deteriorates more with the convolutions than with the classifier.",
        "severe from the convolutions on, by eye",
        IMAGES,
    ),
    "grad-cam": Claim(
        "grad-cam-late",
        "Figure 5",
        "Grad-CAM deteriorates more with the convolutions than with the classifier.",
        "slightly, then greatly, by eye",
        IMAGES,
    ),
}
BELOW = Claim(
    "grad-cam-below", "Figure 6", "Grad-CAM deteriorates more than SmoothGrad.", "lower SRC", IMAGES, "main result"
)
DEEPER = Claim(
    "vgg-lower",
    "Figure 6",
    "At the end SmoothGrad is closer to 0 with VGG-11 than with AlexNet.",
    "closer",
    (*IMAGES, "AlexNet and VGG-11"),
)


def judge(folder: Path) -> list[Finding]:
    """The findings of section 4.2; methods are compared on the maps that are constant under neither."""
    facts, arrays = read_facts(folder), stored_arrays(folder)
    networks = facts["networks"]
    scores = {network["title"]: arrays[f"{network['name']}-scores"][:, 0] for network in networks}
    setting = _setting_of_all(networks)
    findings = []
    for row, method in enumerate(METHODS):
        ends = (measure(f"{title}: SRC after the last stage", one[row, -1], "image") for title, one in scores.items())
        findings.append(conclude(RANDOM[method], all_of(between(end, -0.2, 0.2) for end in ends), setting))
        heads = {network["title"]: network["head"] for network in networks}
        later = (_later(title, one[row], heads[title]) for title, one in scores.items())
        findings.append(conclude(LATE[method], all_of(above(mean, 0.0) for mean in later), setting))
    less = (
        measure(f"{title}: mean SRC over stages, SmoothGrad less Grad-CAM", mean_of_defined(one[0] - one[1]), "image")
        for title, one in scores.items()
    )
    findings.append(conclude(BELOW, all_of(above(mean, 0.0) for mean in less), setting))
    if len(networks) == 2:
        first, second = (abs(values[0, -1]) for values in scores.values())
        outcome = above(measure(f"|SRC| at the end, {' less '.join(scores)}", first - second, "image"), 0.0)
    else:
        outcome = fact(False, "one network", "|SRC| of AlexNet less that of VGG-11 is above 0")
    return [*findings, conclude(DEEPER, outcome, setting)]


def _setting_of_all(networks: list[dict[str, Any]]) -> Setting:
    """What was replaced in any of the networks."""
    each = [Setting.from_json(network["setting"]) for network in networks]
    lacks = {thing: why for setting in each for thing, why in setting.lacks.items()}
    if len(networks) != 2:
        lacks[DEEPER.about[-1]] = "one network was given: leave --model out"
    return Setting(tuple(dict.fromkeys(one for setting in each for one in setting.stand_ins)), lacks)


def _later(title: str, values: Float[np.ndarray, "stages images"], head: int) -> Mean:
    """By how much the convolutions lower the SRC more than the classifier, whose stages are the first `head`."""
    after, end = values[head - 1], values[-1]
    what = f"{title}: fall of SRC over the convolutions less that over the classifier"
    return measure(what, 2 * after - end - 1, "image")
