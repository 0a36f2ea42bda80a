"""The paper's two failures on ResNet-18, repaired: Guided Backprop (vanishing maps, NaN) and IG-SG (out of memory).

Neither needs trained weights: without any, or where another network is named, they run on a ResNet-18 with random
ones, and without photographs on those that scikit-image ships. The batch norm of such a network is constant and stays
so under N(mean, std); trained weights draw it too.
"""

from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure

from probatum.attributions import GuidedBackprop, attribute
from probatum.data.shipped import SHIPPED, shipped_photographs
from probatum.engine import all_logits, prepare
from probatum.engine.arguments import parse_bytes
from probatum.experiments.build import preprocessing_of
from probatum.maps import get_reduction
from probatum.models import model_spec
from probatum.report import methods_figure
from probatum.reproductions.base import Context, store_arrays, write_facts
from probatum.reproductions.hatching import displayed
from probatum.reproductions.results import Claims, Results, experiment
from probatum.reproductions.rules import Outcome, fact
from probatum.reproductions.setting import Setting
from probatum.reproductions.subjects import Subject, photograph_folders, wants_networks
from probatum.reproductions.wienecke2021.cascade import (
    SIZES,
    SSIM,
    TITLES,
    AbsoluteGradient,
    Cascade,
    methods,
    run_cascade,
)
from probatum.reproductions.wienecke2021.photographs import INPUTS, about, choose, network
from probatum.runs.memory import PeakMemory

FAINTEST = 0.01  # the least 99th percentile of |map| that is no vanishing, as a share of the Gradient's
FULLEST = 0.5  # the least share of the Gradient's pixels that a full map has
MIB = 1 << 20


def _subject(context: Context, count: int) -> tuple[Subject, str]:
    """ResNet-18, as asked for or with random weights, on photographs of the user or of scikit-image, and their name."""
    config = context.config
    if config.model not in (None, "resnet18"):  # the failures are those of ResNet-18
        context = replace(context, config=replace(config, model=None, weights="none"))
    weights = context.config.weights if wants_networks(context) else "none"
    folders = photograph_folders(context)
    if not folders:
        shipped = shipped_photographs(preprocessing_of(model_spec("resnet18")), min(count, len(SHIPPED)))
        return network(context, weights, shipped), shipped.name
    return network(context, weights, choose(folders, count)), " and ".join(place.resolve().name for place in folders)


def compute(context: Context, folder: Path) -> None:
    """Computes both failures, each in a folder of its own."""
    (folder / "guided").mkdir()
    (folder / "nested").mkdir()
    subject, source = _subject(context, context.pick(SIZES).guided)
    chosen = {"guided-backprop": GuidedBackprop(), "gradient": AbsoluteGradient()}
    keep = len(subject.data)
    run_cascade(context, folder / "guided", subject, chosen, keep=keep, facts=about(subject, source))
    _compute_nested(context, folder / "nested", subject)


def _compute_nested(context: Context, folder: Path, subject: Subject) -> None:
    """Compute IG-SG and IG, and the peak memory."""
    config, sizes = context.config, context.pick(SIZES)
    effort, budget = sizes.nested, config.memory_budget or sizes.budget
    some = subject.data.subset(range(min(effort.images, len(subject.data))))
    images = some.images.to(context.device)
    # What is measured from here on is what the figure says.
    prepared = replace(prepare(subject.model, memory_budget=budget), row_bytes={})
    targets = all_logits(prepared, images).argmax(1)
    made = methods(effort)
    name = "integrated-gradients-sg"
    maps = attribute(prepared, images, targets, {"integrated-gradients": made["integrated-gradients"]})
    with PeakMemory(context.device) as memory:
        maps |= attribute(
            prepared,
            images,
            targets,
            {name: made[name]},
            seed=config.seed,
            progress=lambda done, total: context.progress(done, total, TITLES[name]),
        )
    store_arrays(folder, pictures=some.pictures().numpy(), **{key: value.cpu().numpy() for key, value in maps.items()})
    write_facts(
        folder,
        network=subject.title,
        used=subject.title,
        images=list(some.image_names),
        samples=effort.nested,
        steps=effort.steps,
        budget=parse_bytes(budget),
        row=max(prepared.row_bytes.values()),
        grown=memory.grown,
        device=context.device.type,
        preset=config.preset,
        seed=config.seed,
    )


class Failures(Results):
    """Both failures, each in a folder of its own."""

    @cached_property
    def facts(self) -> dict[str, Any]:
        """Those of the second failure."""
        return self.nested.facts

    @cached_property
    def guided(self) -> Cascade:
        """The cascade under Guided Backprop and the Gradient."""
        return Cascade(self.folder / "guided")

    @cached_property
    def nested(self) -> Results:
        """The maps of IG-SG and IG."""
        return Results(self.folder / "nested")

    @property
    def setting(self) -> Setting:
        """Nothing is replaced, for ResNet-18 it is."""
        return Setting()


def draw(found: Failures) -> dict[str, Figure]:
    """The maps of Guided Backprop over the cascade, and those of IG-SG beside IG."""
    run = found.guided
    titles = [Path(name).stem for name in run.run.result.image_names]
    shown = min(5, len(titles))
    guided = methods_figure(
        run.pictures[:shown],
        run.panels("guided-backprop")[:shown],
        titles[:shown],
        run.columns,
        caption=f"Guided Back-propagation. {run.caption(['guided-backprop'])}",
    )
    facts, arrays = found.nested.facts, found.nested.arrays
    reduce = get_reduction("abs-normalized")
    names = ("integrated-gradients", "integrated-gradients-sg")
    maps = np.stack([reduce(torch.from_numpy(arrays[name]))[:, 0].numpy() for name in names], axis=1)
    nested = methods_figure(
        displayed(arrays["pictures"]),
        maps,
        [Path(name).stem for name in facts["images"]],
        [TITLES[name] for name in names],
        caption=f"{facts['network']}; IG-SG: {facts['samples']} × {facts['steps']} points in a budget of "
        f"{facts['budget'] / MIB:.0f} MiB; preset {facts['preset']}, seed {facts['seed']}",
    )
    return {"guided-backprop": guided, "ig-sg": nested}


claims = Claims(Failures, "section 4.3")


@claims(
    "guided-resnet18",
    "Guided Backprop fails on ResNet-18: maps vanish and scores are undefined.",
    "maps almost black from layer3.1 on; NaN in three stages, 11 of 20 at layer1.1",
    where="sections 4.3, 4.4",
)
def _guided(found: Failures) -> Outcome:
    run = found.guided
    # The kept maps as sizes, summed over channels: (stage, image, pixel).
    gradient, guided = (
        np.moveaxis(run.maps(name, "absolute-sum"), 1, 0).reshape(len(run.columns), len(run.pictures), -1)
        for name in ("gradient", "guided-backprop")
    )
    # Where the class's logit moves with no pixel, no method has anything to show.
    dead: np.ndarray = (gradient == 0).all(2)
    alive = ~(dead[0] | dead[1:])
    covered = ((guided > 0) & (gradient > 0)).sum(2) / np.maximum((gradient > 0).sum(2), 1)
    faint = np.quantile(guided, 0.99, axis=2) < FAINTEST * np.quantile(gradient, 0.99, axis=2)
    vanished = (~dead & (faint | (covered < FULLEST))).mean(1)
    missing = int(np.isnan(run.scores("guided-backprop", SSIM)[alive]).sum())
    worst = int(vanished.argmax())
    ours = (
        f"at most {100 * vanished[worst]:.0f} % of the maps of a stage vanish"
        + (f" ({run.columns[worst]})" if vanished[worst] else "")
        + f"; {missing} of {alive.sum()} scores are undefined; the Gradient is zero for {dead.sum()} of "
        f"{dead.size} maps; Guided Backprop guides {run.facts['relu_calls']} ReLU calls"
    )
    rule = (
        "it fails if, where the Gradient is not zero, a score is undefined or a map vanishes: its 99th percentile is "
        f"below {100 * FAINTEST:.0f} % of the Gradient's, or it is zero at more than {100 * (1 - FULLEST):.0f} % of "
        "the Gradient's pixels"
    )
    works = not vanished.any() and missing == 0 and run.facts["relu_calls"] > 0 and not dead.all()
    return fact(not works, ours, rule).noting(
        f"{run.facts['network']}, {run.facts['data_title']}", "hooks on every ReLU call instead of the authors' code"
    )


@claims("ig-sg-resnet18", "Integrated Gradients-SG cannot be computed on ResNet-18.", "it crashed the kernel")
def _nested(found: Failures) -> Outcome:
    facts, maps = found.nested.facts, found.nested.arrays["integrated-gradients-sg"]
    flat = maps.reshape(len(maps), -1)
    alive = bool(np.isfinite(flat).all() and (flat.max(1) > flat.min(1)).all())
    points, budget, grown = facts["samples"] * facts["steps"], facts["budget"], facts["grown"]
    # On the CPU memory that was freed and is taken again does not show, so there the number is told and not judged.
    within = facts["device"] != "cuda" or grown is None or grown <= budget
    measured = "not measured on this system" if grown is None else f"{grown / MIB:.0f} MiB more than before"
    ours = (
        f"{len(maps)} × {facts['samples']} × {facts['steps']} points in a budget of {budget / MIB:.0f} MiB; "
        f"peak memory {measured}; the {points} points of an image at once need {points * facts['row'] / MIB:.0f} MiB"
    )
    rule = "it fails if a map is constant or not finite or, on CUDA, if the peak of memory exceeds the budget"
    return fact(not (alive and within), ours, rule).noting(facts["network"])


FAILURES = experiment(
    "failures",
    "Guided Backprop and Integrated Gradients-SG on ResNet-18, which failed in the paper",
    compute,
    draw,
    claims,
    inputs=INPUTS,
)
