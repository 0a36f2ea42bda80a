"""Figures 1, 4 and 5: global and local Integrated Gradients under cascading Xavier randomization."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from matplotlib.figure import Figure
from torch import Tensor

from probatum.experiments import SanityResult, sanity_check
from probatum.experiments.levels import store_levels
from probatum.maps import get_reduction
from probatum.metrics import get_metric
from probatum.randomization import preset
from probatum.report import MapBand, bootstrap_interval, boxes_figure
from probatum.report.style import MapStyle
from probatum.reproductions.base import (
    Claim,
    Context,
    Experiment,
    Finding,
    Inputs,
    read_facts,
    store_arrays,
    stored_arrays,
    write_facts,
)
from probatum.reproductions.kokhlikyan2021.judging import Judged, findings
from probatum.reproductions.kokhlikyan2021.subjects import load_subject, network_of
from probatum.reproductions.kokhlikyan2021.variants import IG_TITLES, ig_variants

SSIM, SSIM_NOTEBOOK, RANK, RANK_ABS = "ssim-adebayo-issue", "ssim-adebayo-notebook", "spearman", "spearman-abs"
METRICS = (SSIM, SSIM_NOTEBOOK, RANK, RANK_ABS)
STYLES: tuple[MapStyle, ...] = ("abs-normalized", "diverging")
THIRD = 2  # index of the third layer, from which on the paper sees a difference


@dataclass(frozen=True)
class CascadeSizes:
    """Number of images, randomizations and steps of IG."""

    images: int
    trials: int
    steps: int


PHOTOGRAPH_SIZES = {
    "paper": CascadeSizes(images=10, trials=10, steps=50),
    "quick": CascadeSizes(images=4, trials=3, steps=15),
}
DIGIT_SIZES = CascadeSizes(images=10, trials=10, steps=25)


def compute(context: Context, folder: Path) -> None:
    """Explain the trained and the randomized networks, and compare their maps."""
    config = context.config
    sizes = context.pick(PHOTOGRAPH_SIZES) if network_of(context) else DIGIT_SIZES
    subject = load_subject(context, sizes.images)
    images = subject.data.images.to(context.device)
    probabilities = subject.probabilities(images, config.memory_budget)
    protocol = preset("kokhlikyan")
    result = sanity_check(
        subject.model,
        images,
        probabilities.argmax(1),
        methods=ig_variants(sizes.steps),
        metrics=METRICS,
        randomizer=protocol.randomizer(subject.model, subject.plan, config.seed),
        trials=sizes.trials,
        seed=config.seed,
        image_names=subject.data.image_names,
        keep_maps=len(images),
        memory_budget=config.memory_budget,
        cells=context.cells,
        progress=context.progress,
    )
    store_levels(folder / "levels.csv", subject.title, result)
    shown = result.maps[subject.data.image_names[0]]
    store_arrays(
        folder,
        scores=result.scores,
        constant=result.constant,
        cross_image_similarity=cross_image_similarity(result),
        picture=subject.data.pictures()[0].permute(1, 2, 0).numpy(),
        **{
            f"{key}-{style}": get_reduction(style)(torch.from_numpy(shown[key]))[:, 0].numpy()
            for key in IG_TITLES
            for style in STYLES
        },
    )
    write_facts(
        folder,
        **subject.facts(context),
        stages=list(result.stages),
        explained=subject.class_name(result.targets[0]),
        confidence=float(probabilities[0].max()),
        trials=sizes.trials,
        steps=sizes.steps,
    )


def cross_image_similarity(result: SanityResult) -> Float[np.ndarray, "method metric stage image"]:
    """Mean score of each randomized map (trial 0) against the trained network's maps of the other images.

    This is the chance level: similarity to maps of other images is not structure of the map's own image.
    """
    count = len(result.image_names)
    scores = np.zeros((len(result.methods), len(result.metrics), len(result.stages), count))
    for m, method in enumerate(result.methods):
        maps = torch.from_numpy(np.stack([result.maps[image][method] for image in result.image_names]))
        for k, key in enumerate(result.metrics):
            metric = get_metric(key)
            reduce = get_reduction(metric.reduction)
            trained = reduce(maps[:, 0])
            for stage in range(len(result.stages)):
                randomized = metric.prepare(reduce(maps[:, 1 + stage]))
                others: list[Tensor] = [
                    metric.compare(metric.prepare(trained.roll(shift, 0)), randomized) for shift in range(1, count)
                ]
                scores[m, k, stage] = torch.stack(others).mean(0).numpy()
    return scores


def draw(folder: Path) -> dict[str, Figure]:
    """Draw figure 1 in both map styles, the rank correlations of figure 4, and the mean SSIM of figure 5."""
    facts, arrays = read_facts(folder), stored_arrays(folder)
    picture = arrays["picture"][..., 0] if arrays["picture"].shape[2] == 1 else arrays["picture"]
    figures: dict[str, Figure] = {}
    for style in STYLES:
        band = MapBand(
            {title: list(arrays[f"{key}-{style}"]) for key, title in IG_TITLES.items()},
            style=style,
            image=np.clip(picture, 0, 1),
            image_title=f"{facts['explained']} ({facts['confidence']:.2f})",
        )
        figures["" if style == "abs-normalized" else style] = _boxes(facts, arrays, SSIM, band)
    figures["ssim-notebook"] = _boxes(facts, arrays, SSIM_NOTEBOOK)
    figures["spearman"] = _boxes(facts, arrays, RANK)
    figures["spearman-abs"] = _boxes(facts, arrays, RANK_ABS)
    figures["ssim-mean"] = _boxes(facts, arrays, SSIM, mean=True)
    return figures


def _boxes(
    facts: dict[str, Any],
    arrays: dict[str, np.ndarray],
    metric: str,
    band: MapBand | None = None,
    *,
    mean: bool = False,
) -> Figure:
    """Draw box plots of one metric, over images and trials or over trials of the mean over images."""
    k, count = METRICS.index(metric), len(facts["images"])
    scores = arrays["scores"][:, k]  # (method, stage, image, trial)
    reduction = get_reduction(get_metric(metric).reduction).title
    over = (
        f"of the mean over {count} images, {facts['trials']} trials"
        if mean
        else (f"{count} images × {facts['trials']} trials")
    )
    return boxes_figure(
        {
            title: scores[m].mean(axis=1, keepdims=True) if mean else scores[m]
            for m, title in enumerate(IG_TITLES.values())
        },
        metric_title=f"{get_metric(metric).title} ({metric})",
        column_titles=facts["stages"],
        undefined=None
        if mean
        else {title: (arrays["constant"][m] > 0).sum(axis=(1, 2)) for m, title in enumerate(IG_TITLES.values())},
        reference={
            title: arrays["cross_image_similarity"][m, k].mean(axis=1) for m, title in enumerate(IG_TITLES.values())
        },
        reference_title="maps of other images",
        band=band,
        caption=f"{facts['network']}; preset {facts['preset']}; cascading Xavier randomization, batch-norm statistics "
        f"kept; IG of {facts['steps']} steps from zero; compared maps: {reduction}; {over}; seed {facts['seed']}.",
    )


def _claim(name: str, where: str, statement: str, paper: str) -> Claim:
    return Claim(f"cascade-{name}", where, statement, paper)


HALF = _claim(
    "ssim-half",
    "Figure 1, section 3",
    "The SSIM of local IG is about half of that of global IG under cascading randomization.",
    "almost half",
)
RANDOM = _claim(
    "local-looks-random",
    "Figure 1, section 3",
    "From the third layer on, maps of local IG look random, while maps of global IG keep structure of the image.",
    "seen by eye",
)
RANKS = _claim(
    "spearman-zero",
    "Figure 4, appendix A",
    "The rank correlation is close to zero from the first randomized layer to the last, for global and local IG.",
    "close to zero",
)
IMAGES = _claim(
    "ten-images",
    "Figure 5, appendix A",
    "The SSIM of single images is distributed like that of ten: it is higher for global IG than for local IG.",
    "similar relative distributions",
)


def judge(folder: Path) -> list[Finding]:
    """Judge the four claims."""
    facts, arrays = read_facts(folder), stored_arrays(folder)
    judged = [_half(arrays), _random(arrays), _ranks(arrays), _images(arrays)]
    constant = int((arrays["constant"] > 0).sum())
    note = f"{constant} of {arrays['constant'].size} comparisons had a constant map" if constant else ""
    return findings(facts, judged, note)


def _half(arrays: dict[str, np.ndarray]) -> Judged:
    """Judge the ratio of the mean SSIM, and if the difference is significant."""
    ours, apart = {}, {}
    for metric in (SSIM, SSIM_NOTEBOOK):
        both = arrays["scores"][:, METRICS.index(metric)]  # (method, stage, image, trial)
        ours[metric] = float(both[1].mean() / both[0].mean())
        apart[metric] = float(bootstrap_interval((both[0] - both[1]).mean(axis=0)).low) > 0
    both = arrays["scores"][:, METRICS.index(SSIM)]
    return Judged(
        HALF,
        f"{both[1].mean():.2f} / {both[0].mean():.2f} = {ours[SSIM]:.2f} (min–max maps: {ours[SSIM_NOTEBOOK]:.2f})",
        1 / 3 <= ours[SSIM] <= 2 / 3 and apart[SSIM],
        "rule: the ratio of the means over stages, images and trials lies in [1/3, 2/3], and the 95 % interval of the "
        "difference excludes 0. The paper does not say how maps are normalized for SSIM: judged on maps in [−1, 1] "
        "that keep zero; the ratio for maps normalized to [0, 1] is in brackets",
    )


def _random(arrays: dict[str, np.ndarray]) -> Judged:
    """Judge the similarity of randomized maps to their own image's map, above that to maps of other images."""
    k = METRICS.index(RANK_ABS)
    excess = (
        arrays["scores"][:, k, THIRD:].mean(-1) - arrays["cross_image_similarity"][:, k, THIRD:]
    )  # (method, stage, image)
    most, least = float(excess[1].mean(axis=1).max()), float(excess[0].mean(axis=1).min())
    return Judged(
        RANDOM,
        f"local at most {most:.2f}, global at least {least:.2f}",
        most <= 0.1 < least,
        "rule: rank correlation (ABS) with the trained network's map of the same image, less that with its maps of the "
        "other images (those of the first trial): the local mean over images and trials is at most 0.1 at every stage "
        "from the third on, the global mean above",
    )


def _ranks(arrays: dict[str, np.ndarray]) -> Judged:
    means = arrays["scores"][:, METRICS.index(RANK)].mean(axis=(2, 3))  # (method, stage)
    furthest = np.abs(means).max(axis=1)
    return Judged(
        RANKS,
        f"mean furthest from zero: global {furthest[0]:.2f}, local {furthest[1]:.2f}",
        bool((furthest <= 0.1).all()),
        "rule: the mean signed rank correlation over images and trials lies within ±0.1 at every stage, for both",
    )


def _images(arrays: dict[str, np.ndarray]) -> Judged:
    means = arrays["scores"][:, METRICS.index(SSIM)].mean(axis=(1, 3))  # (method, image)
    above, count = int((means[0] > means[1]).sum()), means.shape[1]
    return Judged(
        IMAGES,
        f"global above local for {above} of {count} images",
        above >= 0.9 * count,
        "rule: the mean SSIM over stages and trials of global IG is above that of local IG for 9 of 10 images",
    )


CASCADE = Experiment(
    name="figure1",
    title="Global and local IG under cascading Xavier randomization (figures 1, 4 and 5)",
    compute=compute,
    draw=draw,
    judge=judge,
    covers={"Figure 4": "spearman*", "Figure 5": "ssim-mean", "Figure 1": "*"},
    inputs=Inputs(photographs=True, networks=("inception_v3",)),
)
