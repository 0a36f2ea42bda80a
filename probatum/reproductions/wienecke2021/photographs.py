"""Section 4: ResNet-18 on ImageNet, randomized by residual blocks: figures 4, 6 and 8."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure

from probatum.attributions import EdgeDetector, Gradient, Method, SmoothGrad
from probatum.data import ImageSet, image_files
from probatum.errors import InvalidInput
from probatum.report import curves_figure, grid_figure, overlay_figure
from probatum.reproductions.base import Context, Inputs, joined, write_facts
from probatum.reproductions.results import Claims, experiment
from probatum.reproductions.rules import (
    NOT_COMPUTED,
    Mean,
    Outcome,
    above,
    all_of,
    below,
    between,
    fact,
    mean_over,
    measure,
    paired,
)
from probatum.reproductions.setting import PHOTOGRAPHS, PRETRAINED, Setting
from probatum.reproductions.subjects import Subject, first_named, photograph_folders, pretrained, wants_networks
from probatum.reproductions.wienecke2021.cascade import (
    NOISE_STD,
    SIZES,
    SSIM,
    TITLES,
    Cascade,
    Effort,
    methods,
    run_cascade,
)

JUNCO = ("00015410", "n01534433", "junco")  # parts of file names: the validation photograph, its class
BUCKET = ("00032239", "n02098105", "terrier", "bucket")  # the dog with the bucket of figure 6, in imagenet-demo/
THE_JUNCO = "the junco"
RESNET = "ResNet-18"
SMOOTH_PRODUCT = "input-x-gradient-sg"
ABOUT = (PRETRAINED, PHOTOGRAPHS)
INPUTS = Inputs(photographs=True, networks=("resnet18",))


def network(context: Context, weights: str, photographs: Sequence[Path] | ImageSet) -> Subject:
    """ResNet-18, or the network that is named, with photographs."""
    subject = pretrained(context, context.config.model or "resnet18", weights, photographs, ("resnet18",))
    if subject.name == "resnet18":
        return subject
    lacks = {RESNET: f"{subject.title} was used: give --model resnet18"} | dict(subject.setting.lacks)
    return replace(subject, setting=replace(subject.setting, lacks=lacks))


def choose(folders: Sequence[Path], count: int, first: Sequence[str] = ()) -> list[Path]:
    """Photographs spread evenly over folders.

    Args:
        folders: searched recursively.
        count: how many.
        first: parts of file names; a photograph that has one leads, the earlier the part the better.

    Raises:
        InvalidInput: too few photographs.
    """
    files = [file for folder in folders for file in image_files(folder)]
    where = " and ".join(str(folder) for folder in folders)
    if len(files) < count:
        raise InvalidInput(f"{where} holds {len(files)} photographs where {count} are needed; put more there")
    leading = first_named(files, first)
    others = [path for path in files if path not in leading]
    places = np.linspace(0, len(others) - 1, count - len(leading))
    return [*leading, *(others[round(place)] for place in places)]


def about(subject: Subject, source: str) -> dict[str, Any]:
    """Network and photographs, for captions and findings; `source` names the photographs."""
    count = len(subject.data)
    photographs = f"{'1 photograph' if count == 1 else f'{count} photographs'} of {source}"
    return {
        "network": joined(subject.title, subject.values),
        "trained": subject.trained,
        "setting": subject.setting.to_json(),
        "data_title": photographs,
        "used": f"{subject.title} on {photographs}",
    }


def _compute(
    context: Context,
    folder: Path,
    effort: Effort,
    chosen: Mapping[str, Method],
    *,
    keep: int,
    first: Sequence[str] = (),
) -> None:
    """Run a cascade on photographs, or store what is missing."""
    folders, wanted = photograph_folders(context), []
    if not wants_networks(context):
        wanted.append("--model resnet18 (fetches its weights) or --weights FILE")
    if not folders:
        wanted.append("--photographs DIR, or imagenet-samples/ (and imagenet-demo/) in --data-dir")
    if wanted:
        write_facts(folder, missing="give " + " and ".join(wanted))
        return
    subject = network(context, context.config.weights, choose(folders, effort.images, first))
    source = " and ".join(place.resolve().name for place in folders)
    run_cascade(context, folder, subject, chosen, keep=keep, facts=about(subject, source))


class Photographs(Cascade):
    """The cascade on photographs."""

    def row_title(self, index: int) -> str:
        """The predicted class and its confidence, or the file where random weights predict nothing."""
        return self.explained(index) if self.facts["trained"] else Path(self.run.result.image_names[index]).stem

    @property
    def junco(self) -> int | None:
        """The place of the photograph of a junco."""
        names = enumerate(self.run.result.image_names)
        return next((index for index, name in names if any(part in name.lower() for part in JUNCO)), None)

    @property
    def setting(self) -> Setting:
        """What replaced the paper's network and photographs."""
        setting = super().setting
        if self.junco is not None:
            return setting
        why = f"no photograph is named after it: give one whose name has {' or '.join(JUNCO)}"
        return replace(setting, lacks={THE_JUNCO: why, **setting.lacks})

    @cached_property
    def paired(self) -> dict[str, Float[np.ndarray, "stage image"]]:
        """SSIM of each method, all on the same live maps."""
        names = self.run.result.methods
        return dict(zip(names, paired(*(self.scores(name, SSIM) for name in names)), strict=True))

    def less(self, one: str, other: str) -> Mean:
        """The difference of two methods' mean SSIM over the stages."""
        what = f"mean SSIM over the stages, {TITLES[one]} less {TITLES[other]}"
        return measure(what, mean_over(self.paired[one], 0) - mean_over(self.paired[other], 0), "image")


# Figure 4: Gradient ⊙ Input-SG over photographs.


def compute_overlays(context: Context, folder: Path) -> None:
    """Figure 4: Gradient ⊙ Input-SG, and the edges it is said to turn to."""
    effort = context.pick(SIZES).overlays
    chosen = {SMOOTH_PRODUCT: methods(effort)[SMOOTH_PRODUCT], "edge-detector": EdgeDetector()}
    _compute(context, folder, effort, chosen, keep=effort.images, first=JUNCO)


def draw_overlays(found: Photographs) -> dict[str, Figure]:
    """Figure 4: a row for each photograph, a column for each stage, maps over the faint original."""
    maps = found.panels(SMOOTH_PRODUCT)
    figure = overlay_figure(
        found.pictures,
        maps,
        [found.row_title(index) for index in range(len(maps))],
        column_titles=found.columns,
        caption=f"{TITLES[SMOOTH_PRODUCT]}. {found.caption([SMOOTH_PRODUCT])}",
    )
    return {"": figure}


overlays = Claims(Photographs, "figure 4", ABOUT)


@overlays("junco", "The network recognizes the junco.", "junco, confidence 0.42", about=(*ABOUT, THE_JUNCO))
def _junco(found: Photographs) -> Outcome:
    if found.junco is None:
        return NOT_COMPUTED
    ours, shown = found.explained(found.junco), found.run.result.image_names[found.junco]
    rule = f"the class predicted for {shown} is junco; which photograph the paper took is not told"
    return fact(ours.startswith("junco"), ours, rule)


@overlays("edges", "As blocks become random, Gradient ⊙ Input-SG turns from the object to the edges.", "seen by eye")
def _edges(found: Photographs) -> Outcome:
    along = found.likeness(SMOOTH_PRODUCT, "edge-detector")
    what = "correlation with an edge detector, all random less normal"
    return above(measure(what, along[-1] - along[0], "image"), 0.0)


FIGURE_4 = experiment(
    "figure4",
    "Gradient ⊙ Input-SG over photographs, ResNet-18 by residual blocks",
    compute_overlays,
    draw_overlays,
    overlays,
    covers={"Figure 4": "*"},
    inputs=INPUTS,
)

# Figure 6: seven methods on a photograph.


def compute_photograph(context: Context, folder: Path) -> None:
    """Computes figure 6: all methods on one photograph."""
    effort = context.pick(SIZES).photograph
    _compute(context, folder, effort, methods(effort), keep=effort.images, first=BUCKET)


def draw_photograph(found: Photographs) -> dict[str, Figure]:
    """Draws figure 6: a row for each method, a column for each stage."""
    figure = grid_figure(
        [found.panels(method)[0] for method in TITLES],
        list(TITLES.values()),
        found.columns,
        image=found.pictures[0],
        image_title=found.row_title(0),
        caption=found.caption(TITLES),
    )
    return {"": figure}


photograph = Claims(Photographs, "figure 6", ABOUT)


@photograph(
    "seven-rows",
    "Five of the seven methods give maps; Guided Backprop and IG-SG do not.",
    "Guided Backprop is black almost everywhere, IG-SG crashed",
    about=(*ABOUT, RESNET),
)
def _rows(found: Photographs) -> Outcome:
    bright = {name: found.brightness(name) for name in TITLES}  # (stage, image)
    dead = np.isnan(bright["gradient"])
    lost = sum(int((np.isnan(values) & ~dead).sum()) for values in bright.values())
    ours = (
        f"{lost} of {len(TITLES) * dead.size} maps are constant where the Gradient is not zero, which is the case for "
        f"{int((~dead).sum())} of {dead.size}; Guided Backprop guides {found.facts['relu_calls']} ReLU calls"
    )
    rule = "some map is constant although the Gradient is not zero"
    return fact(lost > 0 or bool(dead.all()), ours, rule)


@photograph("brightness", "SmoothGrad's maps are much brighter than the Gradient's.", "seen by eye")
def _bright(found: Photographs) -> Outcome:
    more = mean_over(found.brightness("smoothgrad") - found.brightness("gradient"), 0)
    what = "mean over stages of the maps' mean in [0, 1], SmoothGrad less Gradient"
    return above(measure(what, more, "image"), 0.0)


FIGURE_6 = experiment(
    "figure6",
    "Seven methods on a photograph over the cascade",
    compute_photograph,
    draw_photograph,
    photograph,
    covers={"Figure 6": "*"},
    inputs=INPUTS,
)

# Figure 8: SSIM of seven methods.


def compute_curves(context: Context, folder: Path) -> None:
    """Figure 8: all methods, and the signed gradients beside them, which need no model call of their own."""
    effort = context.pick(SIZES).curves
    signed = {
        "gradient-signed": Gradient(),
        "smoothgrad-signed": SmoothGrad(Gradient(), effort.samples, noise_std=NOISE_STD),
    }
    _compute(context, folder, effort, methods(effort) | signed, keep=0)


def draw_curves(found: Photographs) -> dict[str, Figure]:
    """Figure 8: a curve for each method, with intervals and noise ceilings."""
    result = found.run.result
    metric = result.metrics.index(SSIM)
    ceilings = {TITLES[name]: result.ceiling[result.methods.index(name), metric].mean() for name in TITLES}
    counts = np.isfinite(found.paired["gradient"]).sum(axis=1)
    figure = curves_figure(
        {title: found.paired[name] for name, title in TITLES.items()},
        metric_title="SSIM of maps normalized to [0, 1]",
        column_titles=result.stages,
        ceiling={title: float(value) for title, value in ceilings.items() if np.isfinite(value)},
        caption=f"{found.caption(TITLES)}; SSIM with scikit-image's defaults; photographs of "
        f"which every method has a map at each stage: {', '.join(map(str, counts))} of {len(result.image_names)}",
    )
    return {"": figure}


MAGNITUDES = ("integrated-gradients", "input-x-gradient", "input-x-gradient-sg")  # "about 0.7" in figure 8
curves = Claims(Photographs, "figure 8", ABOUT)


@curves(
    "guided-highest",
    "Guided Backprop stays the most similar of all methods throughout the cascade.",
    "highest curve, from the scores that were defined: 9 of 20 at layer1.1",
    role="main result",
)
def _highest(found: Photographs) -> Outcome:
    rivals = [name for name in TITLES if name != "guided-backprop"]
    return all_of(above(found.less("guided-backprop", name), 0.0) for name in rivals)


@curves("gradient-low", "The Gradient ends low at the deepest layer.", "below 0.4 (Adebayo et al.: 0.7)")
def _low(found: Photographs) -> Outcome:
    last = measure("SSIM after the last stage, of gradients without sign", found.paired["gradient"][-1], "image")
    signed = measure("with signs kept", found.paired["gradient-signed"][-1], "image")
    return below(last, 0.4).noting(signed.words())


@curves(
    "smoothgrad-low",
    "SmoothGrad scores lower than Guided Backprop, IG and both Gradient ⊙ Input.",
    "seen in the curves",
)
def _lower(found: Photographs) -> Outcome:
    return all_of(above(found.less(name, "smoothgrad"), 0.0) for name in ("guided-backprop", *MAGNITUDES))


@curves(
    "input-steady",
    "Gradient ⊙ Input changes only slightly, the Gradient much.",
    "seen by eye; judged on the photographs of figure 8",
    where="figure 6",
)
def _steady(found: Photographs) -> Outcome:
    return above(found.less("input-x-gradient", "gradient"), 0.0)


@curves.each(
    {name: TITLES[name] for name in MAGNITUDES},
    "around-0.7-{key}",
    "{title} stays at an SSIM of about 0.7.",
    "about 0.7",
)
def _around(method: str, found: Photographs) -> Outcome:
    return between(measure("mean SSIM over the stages", mean_over(found.paired[method], 0), "image"), 0.6, 0.8)


FIGURE_8 = experiment(
    "figure8",
    "SSIM of seven methods over the cascade",
    compute_curves,
    draw_curves,
    curves,
    covers={"Figure 8": "*"},
    inputs=INPUTS,
)
