"""Figures 1 and 2: Grad-CAM of two classes of one image, and SmoothGrad over samples n and noise σ."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from matplotlib.figure import Figure
from torch import Tensor

from probatum.attributions import GradCAM, Gradient, Method, SmoothGrad, attribute
from probatum.engine import all_logits, prepare
from probatum.maps import get_reduction
from probatum.metrics.effects import region_share
from probatum.report import grid_figure, overlay_figure
from probatum.reproductions.base import Claim, Context, Finding, read_facts, store_arrays, stored_arrays, write_facts
from probatum.reproductions.findings import not_computed
from probatum.reproductions.hatching import drawable
from probatum.reproductions.rules import Outcome, above, all_of, fact, measure
from probatum.reproductions.setting import Setting, conclude
from probatum.reproductions.shin2021.setting import METRICS, NETWORKS, TITLES, mean_of_defined, noise_std, sentence
from probatum.reproductions.shin2021.subjects import (
    IMAGES,
    Subject,
    digit_subjects,
    photograph_subjects,
    wants_photographs,
)


@dataclass(frozen=True)
class PictureSizes:
    """Sizes of the experiment.

    Args:
        pairs: of photographs joined to one image, Figure 1.
        drawn: of them.
        images: explained for Figure 2; the first is drawn.
        samples: n, the columns of Figure 2.
        noises: σ in pixel values of 255, its rows; the first is 0.
    """

    pairs: int
    drawn: int
    images: int
    samples: tuple[int, ...]
    noises: tuple[int, ...]


SIZES = {
    "paper": PictureSizes(10, 4, 20, (1, 5, 10, 20, 50), (0, 10, 20, 32, 50, 64)),
    "cpu": PictureSizes(8, 4, 8, (1, 5, 15), (0, 10, 32, 64)),
    "quick": PictureSizes(5, 4, 10, (1, 5, 20), (0, 10, 32, 64)),
}

CLASSES = Claim(
    "two-classes",
    "Figure 1",
    "Grad-CAM of two classes of one image highlights different regions.",
    "seen by eye",
    IMAGES,
)
GRAINS = {
    name: Claim(f"last-map-{name}", "Section 3.1", f"The last convolution's map is 14 by 14 in {title}.", "14 by 14")
    for name, title in TITLES.items()
}
PLAIN = Claim(
    "plain",
    "Section 3.2",
    "With n = 1 and σ = 0 SmoothGrad is the plain gradient.",
    "equal by definition",
    role="self-test",
)
SHARPER = Claim("more-samples", "Figure 2", "More samples make the map sharper.", "seen by eye", IMAGES)
BEST = Claim(
    "best-noise",
    "Section 3.2",
    "A noise σ of 10 to 15 % of the range works best.",
    "10 to 15 % (after Smilkov et al. 2017)",
    IMAGES,
)
BEST_SHARES = (0.10, 0.15)  # of the 255 pixel values


def compute_classes(context: Context, folder: Path) -> None:
    """Joins halves of two photographs, and explains the class of each in the joined image."""
    sizes = context.pick(SIZES)
    with torch.device("meta"):  # shapes alone; the last layer of the features is a pool
        sides = {
            name: network().features[:-1](torch.empty(1, 3, 224, 224)).shape[-1] for name, network in NETWORKS.items()
        }
    if not wants_photographs(context):
        write_facts(folder, grains=sides, network=None)
        return
    subject = photograph_subjects(context, 2 * sizes.pairs)[0]
    targets, joined, regions = _joined(context, subject)
    shares, maps = [], []
    for side in range(2):
        found = attribute(
            subject.model,
            joined,
            targets[side::2],
            {"grad-cam": GradCAM(subject.layer)},
            memory_budget=context.config.memory_budget,
            progress=lambda done, total: context.progress(done, total, f"{subject.title}, two classes"),
        )["grad-cam"].cpu()
        shares.append(region_share(found, regions[side].expand(len(found), -1, -1)).numpy())
        maps.append(get_reduction("abs-normalized")(found[: sizes.drawn])[:, 0].numpy())
    pictures = subject.data.preprocessing.undo(joined[: sizes.drawn].cpu()).permute(0, 2, 3, 1).numpy()
    store_arrays(folder, shares=np.stack(shares), maps=np.stack(maps, axis=1), pictures=pictures)
    write_facts(
        folder,
        grains=sides,
        network=subject.title,
        used=f"{subject.title} on {subject.data.name}",
        preset=context.config.preset,
        data=subject.data.name,
        classes=[subject.class_names[target] for target in targets.tolist()],
        setting=subject.setting.to_json(),
    )


def _joined(context: Context, subject: Subject) -> tuple[Tensor, Float[Tensor, "pair 3 height width"], list[Tensor]]:
    """The predicted class of every photograph, the middle halves of each two side by side, and where each half is."""
    images = subject.data.images.to(context.device)
    images = images[: len(images) // 2 * 2]
    prepared = prepare(subject.model, memory_budget=context.config.memory_budget)
    targets = all_logits(prepared, images).argmax(1)
    width = images.shape[-1] // 4 * 2  # of a half
    start = (images.shape[-1] - width) // 2
    halves = images[..., start : start + width]
    joined = torch.cat([halves[0::2], halves[1::2]], dim=3)
    left = torch.zeros(1, *joined.shape[2:], dtype=torch.bool)
    left[..., :width] = True
    return targets, joined, [left, ~left]


def draw_classes(folder: Path) -> dict[str, Figure]:
    """Draws figure 1, or nothing where no network was given."""
    facts = read_facts(folder)
    if facts["network"] is None:
        return {}
    arrays = stored_arrays(folder)
    names = facts["classes"]
    figure = overlay_figure(
        list(np.clip(arrays["pictures"], 0, 1)),
        [drawable(row) for row in arrays["maps"]],
        [f"{names[2 * row]} | {names[2 * row + 1]}" for row in range(len(arrays["pictures"]))],
        column_titles=["class of the left half", "class of the right half"],
        caption=f"Figure 1. Preset {facts['preset']}: {facts['network']} on {facts['data']}, the middle halves of two "
        "photographs joined to one image; Grad-CAM of the class predicted for each whole photograph."
        f"{sentence('; '.join(facts['setting']['stand_ins']))}",
    )
    return {"": figure}


def judge_classes(folder: Path) -> list[Finding]:
    """Judges the claims of section 3.1."""
    facts = read_facts(folder)
    sizes = [
        conclude(GRAINS[name], fact(side == 14, f"{side} by {side}", "14 by 14 for images of 224 pixels"))
        for name, side in facts["grains"].items()
    ]
    if facts["network"] is None:
        why = "it takes a pretrained network and photographs: give --model, --weights and --photographs or --data-dir"
        return [*not_computed([CLASSES], why), *sizes]
    shares = stored_arrays(folder)["shares"]  # (side, pair)
    own = measure("share of the map in the half of its class", mean_of_defined(shares), "pair")
    return [conclude(CLASSES, above(own, 0.5), Setting.from_json(facts["setting"])), *sizes]


def compute_grid(context: Context, folder: Path) -> None:
    """Computes SmoothGrad for every n and σ, twice with other noise."""
    sizes = context.pick(SIZES)
    subject = (photograph_subjects if wants_photographs(context) else digit_subjects)(context, sizes.images)[0]
    images = subject.data.images.to(context.device)
    prepared = prepare(subject.model, memory_budget=context.config.memory_budget)
    targets = all_logits(prepared, images).argmax(1)
    table: dict[str, Method] = {"gradient": Gradient()}
    for noise in sizes.noises:
        std = noise_std(subject.data.preprocessing, noise / 255)
        # Without noise every sample is the same point.
        table |= {f"{noise}-{n}": SmoothGrad(samples=n, noise_std=std) for n in sizes.samples if noise or n == 1}
    runs = [
        attribute(
            subject.model,
            images,
            targets,
            table,
            seed=context.config.seed + again,
            memory_budget=context.config.memory_budget,
            progress=lambda done, total: context.progress(done, total, f"{subject.title}, SmoothGrad"),
        )
        for again in range(2)
    ]
    shape = (len(sizes.noises), len(sizes.samples))
    agreement = np.empty((*shape, len(images)))
    maps = np.empty((*shape, *images.shape[2:]), dtype=np.float32)
    metric = METRICS["magnitude"]
    reduce = get_reduction(metric.reduction)
    for row, noise in enumerate(sizes.noises):
        for column, n in enumerate(sizes.samples):
            first, second = (run[f"{noise}-{n if noise else 1}"] for run in runs)
            agreement[row, column] = metric(reduce(first), reduce(second)).cpu().numpy()
            maps[row, column] = get_reduction("abs-normalized")(first[:1])[0, 0].cpu().numpy()
    gradient = runs[0]["gradient"]
    error = (runs[0][f"{sizes.noises[0]}-1"] - gradient).flatten(1).norm(dim=1) / gradient.flatten(1).norm(dim=1)
    inside = _inside(context, subject, sizes) if wants_photographs(context) else np.empty((len(sizes.noises), 2, 0))
    store_arrays(
        folder,
        agreement=agreement,
        inside=inside,
        maps=maps,
        picture=subject.data.pictures()[0].permute(1, 2, 0).numpy(),
    )
    write_facts(
        folder,
        preset=context.config.preset,
        seed=context.config.seed,
        network=subject.title,
        used=f"{subject.title} on {subject.data.name}",
        data=subject.data.name,
        shown=subject.class_names[int(targets[0])],
        samples=list(sizes.samples),
        noises=list(sizes.noises),
        error=float(error.max()),
        setting=subject.setting.to_json(),
    )


def _inside(context: Context, subject: Subject, sizes: PictureSizes) -> Float[np.ndarray, "noise side pair"]:
    """The share of SmoothGrad's map in the half of its class of joined photographs, for every noise and most samples.

    What "works best" means is not told. We take that the map is where the class is.
    """
    targets, joined, regions = _joined(context, subject)
    stds = {noise: noise_std(subject.data.preprocessing, noise / 255) for noise in sizes.noises}
    table: dict[str, Method] = {
        str(noise): SmoothGrad(samples=sizes.samples[-1] if noise else 1, noise_std=std) for noise, std in stds.items()
    }
    shares = []
    for side in range(2):
        maps = attribute(
            subject.model,
            joined,
            targets[side::2],
            table,
            seed=context.config.seed,
            memory_budget=context.config.memory_budget,
            progress=lambda done, total: context.progress(done, total, f"{subject.title}, SmoothGrad of joined images"),
        )
        region = regions[side].expand(len(joined), -1, -1)
        shares.append([region_share(maps[name].cpu(), region).numpy() for name in table])
    return np.array(shares).swapaxes(0, 1)


def draw_grid(folder: Path) -> dict[str, Figure]:
    """Draws figure 2."""
    facts, arrays = read_facts(folder), stored_arrays(folder)
    figure = grid_figure(
        [drawable(row) for row in arrays["maps"]],
        [f"σ = {noise}" for noise in facts["noises"]],
        [f"n = {n}" for n in facts["samples"]],
        image=np.clip(arrays["picture"], 0, 1),
        image_title=facts["shown"],
        caption=f"Figure 2. Preset {facts['preset']}: {facts['network']} on {facts['data']}, seed {facts['seed']}; "
        f"SmoothGrad of the predicted class, σ in pixel values of 255; maps: {get_reduction('abs-normalized').title}."
        f"{sentence('; '.join(facts['setting']['stand_ins']))}",
    )
    return {"": figure}


def judge_grid(folder: Path) -> list[Finding]:
    """Judges the claims of section 3.2."""
    facts, arrays = read_facts(folder), stored_arrays(folder)
    setting, noises = Setting.from_json(facts["setting"]), facts["noises"]
    row = min(range(len(noises)), key=lambda index: abs(noises[index] - 20))
    few, many = arrays["agreement"][row, 0], arrays["agreement"][row, -1]
    what = (
        f"what is sharper repeats: SRC of two maps under other noise, n = {facts['samples'][-1]} less n = "
        f"{facts['samples'][0]}, σ = {noises[row]}"
    )
    exact = fact(facts["error"] < 1e-4, f"relative difference {facts['error']:.1g}", "below 1e-4 in float32")
    return [
        conclude(PLAIN, exact),
        conclude(SHARPER, above(measure(what, many - few, "image"), 0.0), setting),
        conclude(BEST, _best(noises, arrays["inside"]), setting),
    ]


def _best(noises: list[int], inside: Float[np.ndarray, "noise side pair"]) -> Outcome:
    """The share in the half of the class is larger at the noise of 10 to 15 % than at every other."""
    best = next(i for i, noise in enumerate(noises) if BEST_SHARES[0] <= noise / 255 <= BEST_SHARES[1])
    return all_of(
        above(
            measure(
                f"share of the map in the half of its class, σ = {noises[best]} less σ = {noise} of 255",
                mean_of_defined(inside[best] - inside[row]),
                "pair",
            ),
            0.0,
        )
        for row, noise in enumerate(noises)
        if row != best
    )
