"""Figures 1, 4 and 5: global and local Integrated Gradients under cascading Xavier randomization."""

from dataclasses import dataclass, replace
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
from probatum.report import MapBand, boxes_figure
from probatum.report.style import MapStyle
from probatum.reproductions.base import (
    Claim,
    Context,
    Experiment,
    Finding,
    Inputs,
    Role,
    read_facts,
    store_arrays,
    stored_arrays,
    write_facts,
)
from probatum.reproductions.hatching import drawable
from probatum.reproductions.kokhlikyan2021.judging import IMAGES, Judged, findings, over_images, worst
from probatum.reproductions.kokhlikyan2021.subjects import load_subject, network_of
from probatum.reproductions.kokhlikyan2021.variants import IG_TITLES, ig_variants
from probatum.reproductions.rules import Mean, above, all_of, below, between, measure, ratio

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
    "cpu": CascadeSizes(images=8, trials=6, steps=12),
    "quick": CascadeSizes(images=6, trials=2, steps=15),
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
            {title: drawable(arrays[f"{key}-{style}"]) for key, title in IG_TITLES.items()},
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
    scores = np.where(arrays["constant"] > 0, np.nan, arrays["scores"][:, k])  # (method, stage, image, trial)
    reduction = get_reduction(get_metric(metric).reduction).title
    over = (
        f"of the mean over {count} images, {facts['trials']} trials"
        if mean
        else (f"{count} images × {facts['trials']} trials")
    )
    return boxes_figure(
        {title: over_images(scores[m])[:, None] if mean else scores[m] for m, title in enumerate(IG_TITLES.values())},
        metric_title=f"{get_metric(metric).title} ({metric})",
        column_titles=facts["stages"],
        reference={
            title: arrays["cross_image_similarity"][m, k].mean(axis=1) for m, title in enumerate(IG_TITLES.values())
        },
        reference_title="maps of other images",
        band=band,
        caption=f"{facts['network']}; preset {facts['preset']}; cascading Xavier randomization, batch-norm statistics "
        f"kept; IG of {facts['steps']} steps from zero; compared maps: {reduction}; {over}; seed {facts['seed']}.",
    )


def _claim(name: str, where: str, statement: str, paper: str, role: Role = "result") -> Claim:
    return Claim(f"cascade-{name}", where, statement, paper, IMAGES, role)


HALF = _claim(
    "ssim-half",
    "Figure 1, section 3",
    "The SSIM of local IG is about half of that of global IG under cascading randomization.",
    "almost half",
    "main result",
)
RANDOM = _claim(
    "local-looks-random", "Figure 1, section 3", "From the third layer on, maps of local IG look random.", "seen by eye"
)
STRUCTURE = _claim(
    "global-keeps-structure",
    "Figure 1, section 3",
    "From the third layer on, maps of global IG keep structure of the image.",
    "seen by eye",
)
RANKS = {
    key: _claim(
        f"spearman-zero-{key}",
        "Figure 4, appendix A",
        f"The rank correlation of {title} is close to zero from the first randomized layer to the last.",
        "close to zero",
    )
    for key, title in IG_TITLES.items()
}
SINGLE = _claim(
    "ten-images",
    "Figure 5, appendix A",
    "The SSIM of single images is distributed like that of ten: it is higher for global IG than for local IG.",
    "similar relative distributions",
)


def judge(folder: Path) -> list[Finding]:
    """Judge the claims on figures 1, 4 and 5."""
    facts, arrays = read_facts(folder), stored_arrays(folder)
    live = np.where(arrays["constant"][:, None] > 0, np.nan, arrays["scores"])  # (method, metric, stage, image, trial)
    judged = [*_halves(live), *_structure(facts["stages"], live, arrays["cross_image_similarity"])]
    judged += _ranks(facts["stages"], live)
    constant = int((arrays["constant"] > 0).sum())
    note = f"{constant} of {arrays['constant'].size} comparisons had a constant map, left out" if constant else ""
    return findings(facts, judged, note)


def _over_stages(live: np.ndarray, metric: str) -> np.ndarray:
    """The mean over stages of the live scores: (method, image, trial)."""
    scores = live[:, METRICS.index(metric)]
    count = np.isfinite(scores).sum(axis=1)
    means: np.ndarray = np.where(count > 0, np.nansum(scores, axis=1) / np.maximum(count, 1), np.nan)
    return means


def _halves(live: np.ndarray) -> list[Judged]:
    """Judge the ratio of SSIM, local to global, and in how many images global IG is above."""
    both, notebook = _over_stages(live, SSIM), _over_stages(live, SSIM_NOTEBOOK)
    other = ratio("; of maps normalized to [0, 1]:", notebook[1], notebook[0], "image", "trial").words()
    share = ratio("SSIM of local IG / global IG, of maps in [−1, 1] that keep zero", both[1], both[0], "image", "trial")
    half = between(share, 1 / 3, 2 / 3)
    difference = both[0] - both[1]  # (image, trial)
    higher = np.where(np.isfinite(difference), difference > 0, np.nan)
    single = measure("share of images whose SSIM is higher for global IG", higher, "image", "trial")
    return [Judged(HALF, replace(half, ours=half.ours + other)), Judged(SINGLE, above(single, 0.5))]


def _structure(stages: list[str], live: np.ndarray, others: np.ndarray) -> list[Judged]:
    """Judge the similarity of randomized maps to their own image's map, above that to maps of other images."""
    k = METRICS.index(RANK_ABS)
    excess = live[:, k] - others[:, k, ..., None]  # (method, stage, image, trial)

    def found(method: int, title: str, *, high: bool) -> Mean:
        def of(words: str, row: int) -> Mean:
            return measure(words, excess[method, row], "image", "trial")

        what = f"ABS rank correlation of {title} with the trained map less that with maps of other images"
        return worst(what, stages, of, THIRD, high=high)

    return [
        Judged(RANDOM, below(found(1, "local IG", high=True), 0.1)),
        Judged(STRUCTURE, above(found(0, "global IG", high=False), 0.1)),
    ]


def _ranks(stages: list[str], live: np.ndarray) -> list[Judged]:
    """Judge the signed rank correlation at the stages where it is lowest and highest."""
    scores = live[:, METRICS.index(RANK)]
    judged = []
    for method, claim in enumerate(RANKS.values()):

        def of(words: str, row: int, method: int = method) -> Mean:
            return measure(words, scores[method, row], "image", "trial")

        ends = [worst("signed rank correlation", stages, of, 0, high=high) for high in (False, True)]
        judged.append(Judged(claim, all_of(between(mean, -0.1, 0.1) for mean in ends)))
    return judged


CASCADE = Experiment(
    name="figure1",
    title="Global and local IG under cascading Xavier randomization (figures 1, 4 and 5)",
    compute=compute,
    draw=draw,
    judge=judge,
    covers={"Figure 4": "spearman*", "Figure 5": "ssim-mean", "Figure 1": "*"},
    inputs=Inputs(photographs=True, networks=("inception_v3",)),
)
