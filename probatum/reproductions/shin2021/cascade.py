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
from probatum.randomization import automatic_stages, preset, stages_from_table
from probatum.report import Interval, curves_figure, grid_figure
from probatum.reproductions.base import Claim, Context, Finding, read_facts, store_arrays, stored_arrays, write_facts
from probatum.reproductions.findings import estimate, mean_over_images, verdict
from probatum.reproductions.shin2021.setting import METHODS, METRICS, SAMPLES, methods, sentence
from probatum.reproductions.shin2021.subjects import (
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


SIZES = {"paper": CascadeSizes(20, 20), "quick": CascadeSizes(4, 20)}


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
        else automatic_stages(subject.model, images)
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
        "substitution": subject.substitution,
        "comparable": subject.comparable,
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
        ) + sentence(network["substitution"])
        figures[f"figure5-{name}"] = grid_figure(
            arrays[f"{name}-maps"],
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
            caption=f"Figure 6. {protocol}",
        )
    return figures


RANDOM = Claim(
    "towards-0",
    "Figure 6",
    "With all layers randomized the correlation of both methods approaches 0.",
    "close to 0 at the last layer",
)
LATE = Claim(
    "grad-cam-late",
    "Figure 5",
    "Grad-CAM deteriorates slightly with the classifier's layers and greatly with the convolutions.",
    "seen by eye",
)
SMOOTH = Claim(
    "smoothgrad-late", "Figure 5", "SmoothGrad's deterioration becomes severe from the convolutions on.", "seen by eye"
)
BELOW = Claim("grad-cam-below", "Figure 6", "Grad-CAM deteriorates more than SmoothGrad.", "lower SRC")
DEEPER = Claim("vgg-lower", "Figure 6", "At the end SmoothGrad is closer to 0 with VGG-11 than with AlexNet.", "closer")


def judge(folder: Path) -> list[Finding]:
    """The findings of section 4.2; a mean is over the maps that are not constant."""
    facts, arrays = read_facts(folder), stored_arrays(folder)
    networks = facts["networks"]
    scores = {network["title"]: arrays[f"{network['name']}-scores"][:, 0] for network in networks}
    heads = {network["title"]: network["head"] for network in networks}
    ends = {title: mean_over_images(values[:, -1]) for title, values in scores.items()}
    comparable = all(network["comparable"] for network in networks)
    comparable &= all(bool(np.isfinite(end.mean).all()) for end in ends.values())
    note = "".join(sentence(words) for words in sorted({network["substitution"] for network in networks}))

    def finding(claim: Claim, ours: str, held: bool, rule: str) -> Finding:
        return Finding(claim, ours, verdict(held) if comparable else "not comparable", f"rule: {rule}.{note}")

    missing = sum(int(np.isnan(values[:, -1]).sum()) for values in scores.values())
    count = sum(values[:, -1].size for values in scores.values())
    differences = {
        title: mean_over_images(_mean_over_stages(values[0] - values[1])) for title, values in scores.items()
    }
    steps = "mean SRC falls by more over the convolutions than over the classifier"
    findings = [
        finding(
            RANDOM,
            f"{_both(ends)}; {missing} of {count} maps constant, left out",
            all((abs(end.mean) <= 0.2).all() for end in ends.values()),
            "mean SRC of magnitudes after the last stage within 0.2 of 0 for both methods",
        ),
        finding(LATE, *_steps({title: values[1] for title, values in scores.items()}, heads), steps),
        finding(SMOOTH, *_steps({title: values[0] for title, values in scores.items()}, heads), steps),
        finding(
            BELOW,
            ", ".join(f"{title} {estimate(one)} less" for title, one in differences.items()),
            all(float(one.low) > 0 for one in differences.values()),
            "the 95 % interval of SmoothGrad less Grad-CAM, mean over stages, paired by image, is above 0",
        ),
    ]
    if len(networks) == 2:
        first, second = (abs(values[0, -1]) for values in scores.values())
        closer = mean_over_images(first - second)
        findings.append(
            finding(
                DEEPER,
                f"{estimate(closer)} closer, {_both(ends)}",
                float(closer.low) > 0,
                "the 95 % interval of |SRC| of AlexNet less that of VGG-11, paired by image, is above 0",
            )
        )
    else:
        findings.append(Finding(DEEPER, _both(ends), "not comparable", f"it takes AlexNet and VGG-11.{note}"))
    return findings


def _steps(scores: dict[str, np.ndarray], heads: dict[str, int]) -> tuple[str, bool]:
    """Write the scores after the classifier and at the end; True if the convolutions lose more than the classifier."""
    parts, held = [], True
    for title, values in scores.items():
        whole = mean_over_images(
            np.concatenate([np.ones_like(values[:1]), values])
        )  # (1 + stage,), from the trained network
        after, end = (Interval(*(part[stage] for part in whole)) for stage in (heads[title], -1))
        held &= bool(after.mean - end.mean > 1 - after.mean)
        parts.append(f"{title} {estimate(after)} after the classifier, {estimate(end)} at the end")
    return "; ".join(parts), held


def _mean_over_stages(values: Float[np.ndarray, "stages images"]) -> Float[np.ndarray, " images"]:
    """The mean of the scores that are defined; NaN where none is."""
    count = np.isfinite(values).sum(axis=0)
    return np.where(count > 0, np.nansum(values, axis=0) / np.maximum(count, 1), np.nan)


def _both(ends: dict[str, Interval]) -> str:
    """The last stage's scores of both methods, for each network, as a text."""
    return "; ".join(
        f"{title} "
        + ", ".join(
            f"{name} {estimate(Interval(*(part[row] for part in end)))}" for row, name in enumerate(METHODS.values())
        )
        for title, end in ends.items()
    )
