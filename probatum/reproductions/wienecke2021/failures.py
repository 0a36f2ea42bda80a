"""The paper's two failures on ResNet-18, repaired: Guided Backprop (vanishing maps, NaN) and IG-SG (out of memory).

Neither needs trained weights: without any, or where another network is named, they run on a ResNet-18 with random
ones, and without photographs on those that scikit-image ships. The batch norm of such a network is constant and stays
so under N(mean, std); trained weights draw it too.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure

from probatum.attributions import GuidedBackprop, attribute
from probatum.data import ImageSet
from probatum.data.shipped import SHIPPED, shipped_photographs
from probatum.engine import all_logits, prepare
from probatum.engine.arguments import parse_bytes
from probatum.experiments import Run
from probatum.experiments.build import preprocessing_of
from probatum.maps import get_reduction
from probatum.report import methods_figure
from probatum.reproductions.base import (
    Claim,
    Context,
    Finding,
    read_facts,
    store_arrays,
    stored_arrays,
    write_facts,
)
from probatum.reproductions.rules import fact
from probatum.reproductions.setting import Setting, conclude
from probatum.reproductions.subjects import photograph_folders
from probatum.reproductions.wienecke2021 import cascade
from probatum.reproductions.wienecke2021.cascade import SIZES, TITLES
from probatum.reproductions.wienecke2021.photographs import Network, about, choose, network
from probatum.runs.memory import PeakMemory

FAINTEST = 0.01  # the least 99th percentile of |map| that is no vanishing, as a share of the Gradient's
FULLEST = 0.5  # the least share of the Gradient's pixels that a full map has
MIB = 1 << 20

GUIDED = Claim(
    "guided-resnet18",
    "sections 4.3, 4.4",
    "Guided Backprop fails on ResNet-18: maps vanish and scores are undefined.",
    "maps almost black from layer3.1 on; NaN in three stages, 11 of 20 at layer1.1",
)
NESTED = Claim(
    "ig-sg-resnet18",
    "section 4.3",
    "Integrated Gradients-SG cannot be computed on ResNet-18.",
    "it crashed the kernel",
)


def _subject(context: Context, count: int) -> tuple[Network, ImageSet]:
    """ResNet-18, as asked for or with random weights, and photographs of the user or of scikit-image."""
    config = context.config
    if config.model not in (None, "resnet18"):  # the failures are those of ResNet-18
        context = replace(context, config=replace(config, model=None, weights="none"))
    net, folders = network(context), photograph_folders(context)
    if not folders:
        return net, shipped_photographs(preprocessing_of(net.spec), min(count, len(SHIPPED)))
    return net, choose(folders, net.spec, count)


def compute(context: Context, folder: Path) -> None:
    """Computes both failures, each in a folder of its own."""
    sizes = context.pick(SIZES)
    (folder / "guided").mkdir()
    (folder / "nested").mkdir()
    net, data = _subject(context, sizes.guided)
    chosen = {"guided-backprop": GuidedBackprop(), "gradient": cascade.AbsoluteGradient()}
    cascade.run_cascade(
        context, folder / "guided", net.model, net.spec, data, chosen, keep=len(data), facts=about(net, data)
    )
    _compute_nested(context, folder / "nested", net, data)


def _compute_nested(context: Context, folder: Path, net: Network, data: ImageSet) -> None:
    """Compute IG-SG and IG on the unchanged network, and the peak memory."""
    config, sizes = context.config, context.pick(SIZES)
    effort, budget = sizes.nested, config.memory_budget or sizes.budget
    some = data.subset(range(min(effort.images, len(data))))
    images = some.images.to(context.device)
    # What is measured from here on is what the figure says.
    prepared = replace(prepare(net.model, memory_budget=budget), row_bytes={})
    targets = all_logits(prepared, images).argmax(1)
    made = cascade.methods(effort)
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
        network=net.title,
        used=net.title,
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


def draw(folder: Path) -> dict[str, Figure]:
    """The maps of Guided Backprop over the cascade, and those of IG-SG beside IG."""
    run = cascade.stored(folder / "guided")
    titles = [Path(name).stem for name in run.result.image_names]
    shown = min(5, len(titles))
    guided = methods_figure(
        cascade.pictures(run)[:shown],
        cascade.panels(run, "guided-backprop")[:shown],
        titles[:shown],
        cascade.columns(run),
        caption=f"Guided Back-propagation. {cascade.caption(run, ['guided-backprop'])}",
    )
    facts, arrays = read_facts(folder / "nested"), stored_arrays(folder / "nested")
    reduce = get_reduction("abs-normalized")
    names = ("integrated-gradients", "integrated-gradients-sg")
    maps = np.stack([reduce(torch.from_numpy(arrays[name]))[:, 0].numpy() for name in names], axis=1)
    nested = methods_figure(
        list(arrays["pictures"].transpose(0, 2, 3, 1).clip(0, 1)),
        maps,
        [Path(name).stem for name in facts["images"]],
        [TITLES[name] for name in names],
        caption=f"{facts['network']}; IG-SG: {facts['samples']} × {facts['steps']} points in a budget of "
        f"{facts['budget'] / MIB:.0f} MiB; preset {facts['preset']}, seed {facts['seed']}",
    )
    return {"guided-backprop": guided, "ig-sg": nested}


def judge(folder: Path) -> list[Finding]:
    """Judge both failures."""
    return [_judge_guided(folder / "guided"), _judge_nested(folder / "nested")]


def _judge_guided(folder: Path) -> Finding:
    run = cascade.stored(folder)
    gradient, guided = (_sizes(run, name) for name in ("gradient", "guided-backprop"))
    # Where the class's logit moves with no pixel, no method has anything to show.
    dead: np.ndarray = (gradient == 0).all(2)
    alive = ~(dead[0] | dead[1:])
    covered = ((guided > 0) & (gradient > 0)).sum(2) / np.maximum((gradient > 0).sum(2), 1)
    faint = np.quantile(guided, 0.99, axis=2) < FAINTEST * np.quantile(gradient, 0.99, axis=2)
    vanished = (~dead & (faint | (covered < FULLEST))).mean(1)
    missing = int(np.isnan(cascade.scores_of(run, "guided-backprop", "ssim-wienecke")[alive]).sum())
    worst = int(vanished.argmax())
    ours = (
        f"vanishing maps: at most {100 * vanished[worst]:.0f} % of a stage"
        + (f" ({cascade.columns(run)[worst]})" if vanished[worst] else "")
        + f"; undefined scores: {missing} of {alive.sum()}; maps whose Gradient is zero too: {dead.sum()} of "
        f"{dead.size}; {run.config['relu_calls']} ReLU calls guided"
    )
    rule = (
        "the failure occurs unless, where the Gradient is not zero, there is no map whose 99th percentile is below "
        f"{100 * FAINTEST:.0f} % of the Gradient's or that leaves out more than {100 * (1 - FULLEST):.0f} % of its "
        "pixels, and no undefined score; with hooks on every ReLU call instead of the authors' code; "
        f"{run.config['network']}, {run.config['data_title']}"
    )
    works = not vanished.any() and missing == 0 and run.config["relu_calls"] > 0 and not dead.all()
    return conclude(GUIDED, fact(not works, ours, rule))


def _sizes(run: Run, method: str) -> np.ndarray:
    """The kept maps as sizes, summed over channels: (1 + stages, image, pixel)."""
    reduce = get_reduction("absolute-sum")
    held = [reduce(torch.from_numpy(maps[method])).flatten(1).numpy() for maps in run.result.maps.values()]
    return np.stack(held, axis=1)


def _judge_nested(folder: Path) -> Finding:
    facts, maps = read_facts(folder), stored_arrays(folder)["integrated-gradients-sg"]
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
    rule = "the failure occurs unless every map is finite and not constant, and on CUDA the peak is within the budget"
    return conclude(NESTED, fact(not (alive and within), ours, rule), Setting(), facts["network"])
