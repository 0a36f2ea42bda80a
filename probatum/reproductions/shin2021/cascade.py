"""Figures 5 and 6: maps under cascading randomization with N(0, 0.01²)."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from matplotlib.figure import Figure
from torch import nn

from probatum.experiments.levels import store_levels
from probatum.maps import get_reduction
from probatum.randomization import preset
from probatum.report import curves_figure, grid_figure
from probatum.reproductions.base import Context, store_arrays, write_facts
from probatum.reproductions.hatching import drawable
from probatum.reproductions.results import Claims, Results, experiment
from probatum.reproductions.rules import (
    NOT_COMPUTED,
    Mean,
    Outcome,
    above,
    all_of,
    between,
    live_counts,
    mean_over,
    measure,
)
from probatum.reproductions.setting import Setting
from probatum.reproductions.shin2021.labels import digit_subjects
from probatum.reproductions.shin2021.setting import (
    IMAGES,
    INPUTS,
    METHODS,
    METRICS,
    SAMPLES,
    methods,
    photograph_subjects,
    sentence,
)
from probatum.reproductions.subjects import Subject, cascade, wants_networks


@dataclass(frozen=True)
class CascadeSizes:
    """Number of explained photographs, or of digits if there is no pretrained network."""

    photographs: int
    digits: int


BOTH = "AlexNet and VGG-11"
DENSE = "a fully connected classifier"
SIZES = {"paper": CascadeSizes(20, 20), "cpu": CascadeSizes(10, 20), "quick": CascadeSizes(6, 20)}


def compute(context: Context, folder: Path) -> None:
    """Randomizes each network stage by stage and correlates the maps with those of the trained network."""
    sizes = context.pick(SIZES)
    if wants_networks(context):
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
    used = "; ".join(subject.used for subject in subjects)
    write_facts(folder, preset=context.config.preset, seed=context.config.seed, networks=facts, used=used)


def _check(context: Context, subject: Subject, folder: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """The facts and arrays of one network; its chance level and ceiling go to the folder."""
    table = methods(subject.data.preprocessing, subject.layer)
    result = cascade(context, subject, table, METRICS, preset("shin"), keep_maps=1)
    store_levels(folder / f"levels-{subject.name}.csv", subject.title, result, METRICS)
    kept = result.maps[subject.data.image_names[0]]
    reduce = get_reduction("abs-normalized")
    arrays = {
        "scores": np.where(result.live, result.scores, np.nan)[..., 0],  # (method, metric, stage, image)
        "ceiling": result.ceiling[0],  # (metric, image) of SmoothGrad
        "maps": np.stack([reduce(torch.from_numpy(kept[name]))[:, 0].numpy() for name in METHODS]),
        "picture": subject.data.pictures()[0].numpy().transpose(1, 2, 0),
    }
    facts = {
        "name": subject.name,
        "title": subject.title,
        "data": subject.data.name,
        "stages": list(result.stages),
        "head": _head(subject, result.stages),
        "shown": subject.class_name(result.targets[0]),
        "setting": _setting(context, subject).to_json(),
    }
    return facts, arrays


def _head(subject: Subject, stages: Sequence[str]) -> int:
    """The number of stages at the top that belong to the classifier."""
    names = [paths[0] for _, paths in subject.stages] if subject.stages else stages
    return next((row for row, path in enumerate(names) if path.split(".")[0] not in ("classifier", "fc")), len(names))


def _setting(context: Context, subject: Subject) -> Setting:
    """What replaced the paper's network: one that is convolutional throughout has no classifier to compare with."""
    stages = subject.plan(context).stages
    head = stages[: _head(subject, [stage.name for stage in stages])]
    modules = [subject.model.get_submodule(path) for stage in head for path in stage.modules]
    if any(isinstance(part, nn.Linear) for module in modules for part in module.modules()):
        return subject.setting
    why = f"every layer of {subject.title} is a convolution, its classifier too: give --model alexnet or vgg11"
    return replace(subject.setting, lacks={**subject.setting.lacks, DENSE: why})


@dataclass(frozen=True, eq=False)
class Network:
    """The cascade of one network.

    Args:
        facts: title, stages, and how many of them belong to the classifier.
        scores: (method, metric, stage, image), live ones.
    """

    facts: dict[str, Any]
    scores: Float[np.ndarray, "method metric stage image"]

    @property
    def title(self) -> str:
        """The network as figures and findings call it."""
        return str(self.facts["title"])

    def of(self, method: str) -> Float[np.ndarray, "stage image"]:
        """The correlations of a method's magnitudes, on which the paper is judged."""
        found: Float[np.ndarray, "stage image"] = self.scores[list(METHODS).index(method), 0]
        return found


class Cascades(Results):
    """The cascades of all networks."""

    @property
    def networks(self) -> list[Network]:
        """Each network."""
        return [Network(facts, self.arrays[f"{facts['name']}-scores"]) for facts in self.facts["networks"]]

    @property
    def setting(self) -> Setting:
        """What was replaced in any of the networks."""
        each = [Setting.from_json(network["setting"]) for network in self.facts["networks"]]
        lacks = {thing: why for setting in each for thing, why in setting.lacks.items()}
        if len(each) != 2:
            lacks[BOTH] = "one network was given: leave --model out"
        return Setting(tuple(dict.fromkeys(one for setting in each for one in setting.stand_ins)), lacks)


def draw(found: Cascades) -> dict[str, Figure]:
    """Figure 5, the maps of one image stage by stage, and Figure 6, the correlations, one of each for a network."""
    figures = {}
    for network in found.networks:
        facts, name = network.facts, network.facts["name"]
        protocol = (
            f"Preset {found.facts['preset']}: {network.title} on {facts['data']}, randomized once with N(0, 0.01²) "
            f"from the output down, seed {found.facts['seed']}; maps of the predicted class, SmoothGrad n = {SAMPLES}, "
            "σ = 20/255."
        ) + sentence("; ".join(facts["setting"]["stand_ins"]))
        figures[f"figure5-{name}"] = grid_figure(
            [drawable(row) for row in found.arrays[f"{name}-maps"]],
            list(METHODS.values()),
            ["Original", *facts["stages"]],
            image=np.clip(found.arrays[f"{name}-picture"], 0, 1),
            image_title=facts["shown"],
            caption=f"Figure 5. {protocol} Maps: {get_reduction('abs-normalized').title}.",
        )
        curves = {title: network.of(method) for method, title in METHODS.items()}
        figures[f"figure6-{name}"] = curves_figure(
            {**curves, "SmoothGrad, signed values": network.scores[0, 1]},
            metric_title=METRICS["magnitude"].title,
            column_titles=facts["stages"],
            ceiling={"SmoothGrad": float(found.arrays[f"{name}-ceiling"][0].mean())},
            caption=f"Figure 6. {protocol} Images with a map at each stage: {_counts(network)}.",
        )
    return figures


def _counts(network: Network) -> str:
    """How many images have a map at each stage, for each method."""
    each = (f"{title} {', '.join(map(str, live_counts(network.of(method))))}" for method, title in METHODS.items())
    return f"{'; '.join(each)} of {network.scores.shape[-1]}"


claims = Claims(Cascades, "Figure 6", IMAGES)


@claims.each(
    METHODS,
    "towards-0-{key}",
    "With all layers randomized the correlation of {title} approaches 0.",
    "close to 0 at the last layer",
)
def _towards_0(method: str, found: Cascades) -> Outcome:
    return all_of(
        between(measure(f"{network.title}: SRC after the last stage", network.of(method)[-1], "image"), -0.2, 0.2)
        for network in found.networks
    )


@claims.each(
    METHODS,
    "{key}-late",
    "{title} deteriorates more with the convolutions than with the classifier.",
    {"smoothgrad": "severe from the convolutions on, by eye", "grad-cam": "slightly, then greatly, by eye"},
    where="Figure 5",
    about=(*IMAGES, DENSE),
)
def _late(method: str, found: Cascades) -> Outcome:
    def later(network: Network) -> Mean:
        scores = network.of(method)
        what = f"{network.title}: fall of SRC over the convolutions less that over the classifier"
        return measure(what, 2 * scores[network.facts["head"] - 1] - scores[-1] - 1, "image")

    return all_of(above(later(network), 0.0) for network in found.networks)


@claims("grad-cam-below", "Grad-CAM deteriorates more than SmoothGrad.", "lower SRC", role="main result")
def _below(found: Cascades) -> Outcome:
    def less(network: Network) -> Mean:
        what = f"{network.title}: mean SRC over stages, SmoothGrad less Grad-CAM"
        return measure(what, mean_over(network.of("smoothgrad") - network.of("grad-cam"), 0), "image")

    return all_of(above(less(network), 0.0) for network in found.networks)


@claims(
    "vgg-lower",
    "At the end SmoothGrad is closer to 0 with VGG-11 than with AlexNet.",
    "closer",
    about=(*IMAGES, BOTH),
)
def _deeper(found: Cascades) -> Outcome:
    if len(found.networks) != 2:
        return NOT_COMPUTED
    one, other = found.networks
    less = abs(one.of("smoothgrad")[-1]) - abs(other.of("smoothgrad")[-1])
    return above(measure(f"|SRC| at the end, {one.title} less {other.title}", less, "image"), 0.0)


CASCADE = experiment(
    "figures5-6",
    "Cascading weight randomization",
    compute,
    draw,
    claims,
    covers={"Figure 5": "figure5*", "Figure 6": "figure6*"},
    inputs=INPUTS,
)
