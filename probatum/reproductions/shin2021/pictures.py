"""Figures 1 and 2: Grad-CAM of two classes of one image, and SmoothGrad over samples n and noise σ."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from matplotlib.figure import Figure
from torch import Tensor

from probatum.attributions import GradCAM, Gradient, Method, SmoothGrad
from probatum.maps import get_reduction
from probatum.metrics.effects import region_share
from probatum.report import grid_figure, overlay_figure
from probatum.reproductions.base import Context, store_arrays, write_facts
from probatum.reproductions.digits import similarity
from probatum.reproductions.hatching import drawable
from probatum.reproductions.results import Claims, Results, experiment
from probatum.reproductions.rules import NOT_COMPUTED, Outcome, above, all_of, fact, mean_over, measure
from probatum.reproductions.setting import PRETRAINED, Setting
from probatum.reproductions.shin2021.labels import digit_subjects
from probatum.reproductions.shin2021.setting import (
    IMAGES,
    INPUTS,
    METRICS,
    NETWORKS,
    TITLES,
    noise_std,
    photograph_subjects,
    sentence,
)
from probatum.reproductions.subjects import Subject, explain, wants_networks


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
    "cpu": PictureSizes(12, 4, 10, (1, 5, 15), (0, 10, 32, 64)),
    "quick": PictureSizes(5, 4, 10, (1, 5, 20), (0, 10, 32, 64)),
}
BEST_SHARES = (0.10, 0.15)  # of the 255 pixel values, the noise that works best

# Figure 1: Grad-CAM of two classes of one image.


def compute_classes(context: Context, folder: Path) -> None:
    """Joins halves of two photographs, and explains the class of each in the joined image."""
    sizes = context.pick(SIZES)
    with torch.device("meta"):  # shapes alone; the last layer of the features is a pool
        sides = {
            name: network().features[:-1](torch.empty(1, 3, 224, 224)).shape[-1] for name, network in NETWORKS.items()
        }
    if not wants_networks(context):
        write_facts(folder, grains=sides, network=None)
        return
    subject = photograph_subjects(context, 2 * sizes.pairs)[0]
    pairs = _joined(context, subject)
    maps = [found["grad-cam"] for found in pairs.maps(context, {"grad-cam": GradCAM(subject.layer)})]
    reduce = get_reduction("abs-normalized")
    pictures = subject.data.preprocessing.undo(pairs.images[: sizes.drawn]).permute(0, 2, 3, 1).numpy()
    store_arrays(
        folder,
        shares=np.stack([pairs.share(side, found) for side, found in enumerate(maps)]),
        maps=np.stack([reduce(found[: sizes.drawn])[:, 0].numpy() for found in maps], axis=1),
        pictures=pictures,
    )
    write_facts(
        folder,
        grains=sides,
        network=subject.title,
        used=subject.used,
        preset=context.config.preset,
        data=subject.data.name,
        classes=[subject.class_name(target) for target in pairs.targets.tolist()],
        setting=subject.setting.to_json(),
    )


@dataclass(frozen=True, eq=False)
class _Pairs:
    """Images that are joined of two photographs.

    Args:
        subject: that explains them.
        images: the middle halves of each two photographs side by side.
        targets: the predicted class of every whole photograph, left and right in turn.
        left: (1, height, width), where the left half is.
    """

    subject: Subject
    images: Float[Tensor, "pair 3 height width"]
    targets: Tensor
    left: Tensor

    def maps(self, context: Context, methods: dict[str, Method]) -> list[dict[str, Tensor]]:
        """The maps of the class of each side."""
        what = f"{self.subject.title}, two classes"
        return [
            explain(context, self.subject.model, self.images, self.targets[side::2], methods, what) for side in range(2)
        ]

    def share(self, side: int, maps: Tensor) -> Float[np.ndarray, " pair"]:
        """The share of each map that lies on one side."""
        region = ~self.left if side else self.left
        return region_share(maps, region.expand(len(maps), -1, -1)).numpy()


def _joined(context: Context, subject: Subject) -> _Pairs:
    """Joins the photographs of a subject two by two."""
    images = subject.data.images
    images = images[: len(images) // 2 * 2]
    targets = subject.probabilities(context)[: len(images)].argmax(1)
    width = images.shape[-1] // 4 * 2  # of a half
    start = (images.shape[-1] - width) // 2
    halves = images[..., start : start + width]
    joined = torch.cat([halves[0::2], halves[1::2]], dim=3)
    left = torch.zeros(1, *joined.shape[2:], dtype=torch.bool)
    left[..., :width] = True
    return _Pairs(subject, joined, targets.cpu(), left)


class Classes(Results):
    """Grad-CAM of two classes of one image."""

    @property
    def setting(self) -> Setting:
        """What replaced the paper's network; without one there are no maps."""
        if self.facts["network"] is None:
            return Setting(
                lacks={PRETRAINED: "none was given: give --model, --weights and --photographs or --data-dir"}
            )
        return super().setting


def draw_classes(found: Classes) -> dict[str, Figure]:
    """Draws figure 1, or nothing where no network was given."""
    facts = found.facts
    if facts["network"] is None:
        return {}
    names = facts["classes"]
    figure = overlay_figure(
        list(np.clip(found.arrays["pictures"], 0, 1)),
        [drawable(row) for row in found.arrays["maps"]],
        [f"{left} | {right}" for left, right in zip(names[::2], names[1::2], strict=True)][: len(found.arrays["maps"])],
        column_titles=["class of the left half", "class of the right half"],
        caption=f"Figure 1. Preset {facts['preset']}: {facts['network']} on {facts['data']}, the middle halves of two "
        "photographs joined to one image; Grad-CAM of the class predicted for each whole photograph."
        f"{sentence('; '.join(facts['setting']['stand_ins']))}",
    )
    return {"": figure}


classes = Claims(Classes)


@classes(
    "two-classes",
    "Grad-CAM of two classes of one image highlights different regions.",
    "seen by eye",
    where="Figure 1",
    about=IMAGES,
)
def _two_classes(found: Classes) -> Outcome:
    if found.facts["network"] is None:
        return NOT_COMPUTED
    shares = mean_over(found.arrays["shares"], 0)  # (side, pair)
    return above(measure("share of the map in the half of its class", shares, "pair"), 0.5)


@classes.each(
    TITLES, "last-map-{key}", "The last convolution's map is 14 by 14 in {title}.", "14 by 14", where="Section 3.1"
)
def _grain(network: str, found: Classes) -> Outcome:
    side = found.facts["grains"][network]
    return fact(side == 14, f"{side} by {side}", "14 by 14 for images of 224 pixels", own_setting=True)


FIGURE_1 = experiment(
    "figure1",
    "Grad-CAM of two classes of one image",
    compute_classes,
    draw_classes,
    classes,
    covers={"Figure 1": "*"},
    inputs=INPUTS,
)

# Figure 2: SmoothGrad over samples n and noise σ.


def compute_grid(context: Context, folder: Path) -> None:
    """Computes SmoothGrad for every n and σ, twice with other noise."""
    sizes = context.pick(SIZES)
    subject = (photograph_subjects if wants_networks(context) else digit_subjects)(context, sizes.images)[0]
    images, targets = subject.data.images, subject.probabilities(context).argmax(1)
    stds = {noise: noise_std(subject.data.preprocessing, noise / 255) for noise in sizes.noises}
    grid = [[f"{noise}-{n if noise else 1}" for n in sizes.samples] for noise in sizes.noises]  # no noise, one point
    table: dict[str, Method] = {"gradient": Gradient()}
    for noise, std in stds.items():
        table |= {f"{noise}-{n}": SmoothGrad(samples=n, noise_std=std) for n in sizes.samples if noise or n == 1}
    what = f"{subject.title}, SmoothGrad"
    first, second = (explain(context, subject.model, images, targets, table, what, again=again) for again in range(2))
    agreement = similarity(first, second, {"magnitude": METRICS["magnitude"]})[:, 0]
    agreed = dict(zip(first, agreement, strict=True))
    reduce = get_reduction("abs-normalized")
    gradient = first["gradient"]
    error = (first[grid[0][0]] - gradient).flatten(1).norm(dim=1) / gradient.flatten(1).norm(dim=1)
    store_arrays(
        folder,
        agreement=np.array([[agreed[name] for name in row] for row in grid]),
        inside=_inside(context, subject, sizes, stds) if wants_networks(context) else np.empty((len(grid), 2, 0)),
        maps=np.array([[reduce(first[name][:1])[0, 0].numpy() for name in row] for row in grid]),
        picture=subject.data.pictures()[0].permute(1, 2, 0).numpy(),
    )
    write_facts(
        folder,
        preset=context.config.preset,
        seed=context.config.seed,
        network=subject.title,
        used=subject.used,
        data=subject.data.name,
        shown=subject.class_name(int(targets[0])),
        samples=list(sizes.samples),
        noises=list(sizes.noises),
        error=float(error.max()),
        setting=subject.setting.to_json(),
    )


def _inside(
    context: Context, subject: Subject, sizes: PictureSizes, stds: dict[int, float]
) -> Float[np.ndarray, "noise side pair"]:
    """The share of SmoothGrad's map in the half of its class of joined photographs, for every noise and most samples.

    What "works best" means is not told. We take that the map is where the class is.
    """
    pairs = _joined(context, subject)
    table: dict[str, Method] = {
        str(noise): SmoothGrad(samples=sizes.samples[-1] if noise else 1, noise_std=std) for noise, std in stds.items()
    }
    sides = enumerate(pairs.maps(context, table))
    return np.array([[pairs.share(side, maps[name]) for name in table] for side, maps in sides]).swapaxes(0, 1)


def draw_grid(found: Results) -> dict[str, Figure]:
    """Draws figure 2."""
    facts = found.facts
    figure = grid_figure(
        [drawable(row) for row in found.arrays["maps"]],
        [f"σ = {noise}" for noise in facts["noises"]],
        [f"n = {n}" for n in facts["samples"]],
        image=np.clip(found.arrays["picture"], 0, 1),
        image_title=facts["shown"],
        caption=f"Figure 2. Preset {facts['preset']}: {facts['network']} on {facts['data']}, seed {facts['seed']}; "
        f"SmoothGrad of the predicted class, σ in pixel values of 255; maps: {get_reduction('abs-normalized').title}."
        f"{sentence('; '.join(facts['setting']['stand_ins']))}",
    )
    return {"": figure}


grid = Claims(Results, "Section 3.2", IMAGES)


@grid(
    "plain",
    "With n = 1 and σ = 0 SmoothGrad is the plain gradient.",
    "equal by definition",
    about=(),
    role="self-test",
)
def _plain(found: Results) -> Outcome:
    error = found.facts["error"]
    return fact(error < 1e-4, f"relative difference {error:.1g}", "below 1e-4 in float32", own_setting=True)


@grid("more-samples", "More samples make the map sharper.", "seen by eye", where="Figure 2")
def _sharper(found: Results) -> Outcome:
    noises, samples = found.facts["noises"], found.facts["samples"]
    row = min(range(len(noises)), key=lambda index: abs(noises[index] - 20))
    agreement = found.arrays["agreement"][row]  # (samples, image)
    what = (
        f"SRC of two maps made with different noise, which is higher for sharper maps, at σ = {noises[row]}, "
        f"n = {samples[-1]} less n = {samples[0]}"
    )
    return above(measure(what, agreement[-1] - agreement[0], "image"), 0.0)


@grid(
    "best-noise",
    "A noise σ of 10 to 15 % of the range works best.",
    "10 to 15 % (after Smilkov et al. 2017)",
)
def _best(found: Results) -> Outcome:
    noises, inside = found.facts["noises"], found.arrays["inside"]  # (noise, side, pair)
    chosen = next(i for i, noise in enumerate(noises) if BEST_SHARES[0] <= noise / 255 <= BEST_SHARES[1])
    what = f"share of the map in the half of its class at σ = {noises[chosen]} less that at σ = {{}} (of 255)"
    return all_of(
        above(measure(what.format(noise), mean_over(inside[chosen] - inside[row], 0), "pair"), 0.0)
        for row, noise in enumerate(noises)
        if row != chosen
    )


FIGURE_2 = experiment(
    "figure2",
    "SmoothGrad over samples and noise",
    compute_grid,
    draw_grid,
    grid,
    covers={"Figure 2": "*"},
    inputs=INPUTS,
)
