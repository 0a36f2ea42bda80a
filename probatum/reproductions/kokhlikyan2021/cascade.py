"""Figures 1, 4 and 5: global and local Integrated Gradients under cascading Xavier randomization."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from matplotlib.figure import Figure
from torch import Tensor

from probatum.experiments import SanityResult
from probatum.experiments.levels import store_levels
from probatum.maps import get_reduction
from probatum.metrics import get_metric
from probatum.randomization import preset
from probatum.report import MapBand, boxes_figure
from probatum.report.style import MapStyle
from probatum.reproductions.base import Context, store_arrays, write_facts
from probatum.reproductions.hatching import drawable
from probatum.reproductions.kokhlikyan2021.judging import IMAGES, UNITS, Stages
from probatum.reproductions.kokhlikyan2021.subjects import INPUTS, facts_of, load_subject
from probatum.reproductions.kokhlikyan2021.variants import IG_TITLES, ig_variants
from probatum.reproductions.results import Claims, experiment
from probatum.reproductions.rules import (
    Outcome,
    above,
    at_stages,
    below,
    between,
    mean_over,
    measure,
    ratio,
    worst,
)
from probatum.reproductions.subjects import Subject, cascade, wants_networks

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
    sizes = context.pick(PHOTOGRAPH_SIZES) if wants_networks(context) else DIGIT_SIZES
    subject = load_subject(context, sizes.images)
    confidences, targets = subject.probabilities(context).max(1)
    result = cascade(
        context,
        subject,
        ig_variants(sizes.steps),
        METRICS,
        preset("kokhlikyan"),
        targets=targets,
        trials=sizes.trials,
        keep_maps=len(subject.data),
    )
    store_levels(folder / "levels.csv", subject.used, result)
    store_arrays(folder, **stored(result, subject))
    write_facts(
        folder,
        **facts_of(context, subject),
        stages=list(result.stages),
        explained=subject.class_name(result.targets[0]),
        confidence=float(confidences[0]),
        trials=sizes.trials,
        steps=sizes.steps,
    )


def stored(result: SanityResult, subject: Subject) -> dict[str, np.ndarray]:
    """The scores, and the maps of the first image as they are drawn."""
    shown = result.maps[subject.data.image_names[0]]
    return {
        "scores": result.scores,
        "constant": result.constant,
        "cross_image_similarity": cross_image_similarity(result),
        "picture": subject.data.pictures()[0].permute(1, 2, 0).numpy(),
    } | {
        f"{key}-{style}": get_reduction(style)(torch.from_numpy(shown[key]))[:, 0].numpy()
        for key in result.methods
        for style in STYLES
    }


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


class Maps(Stages):
    """A cascade with the maps of its first image, as `stored` has them."""

    @property
    def picture(self) -> np.ndarray:
        """The first image as a figure takes it."""
        picture = self.arrays["picture"].clip(0, 1)
        return picture[..., 0] if picture.shape[2] == 1 else picture

    @property
    def picture_title(self) -> str:
        """Its predicted class, with the confidence."""
        return f"{self.facts['explained']} ({self.facts['confidence']:.2f})"

    def panels(self, key: str, style: MapStyle) -> list[np.ndarray | None]:
        """The maps of a method as a figure takes them."""
        return drawable(self.arrays[f"{key}-{style}"])

    def others(self, metric: int) -> Float[np.ndarray, "method stage image"]:
        """The mean score with maps of other images."""
        others: Float[np.ndarray, "method stage image"] = self.arrays["cross_image_similarity"][:, metric]
        return others

    def excess(self, metric: int) -> Float[np.ndarray, "method stage image trial"]:
        """Scores above those with maps of other images."""
        excess: Float[np.ndarray, "method stage image trial"] = self.live[:, metric] - self.others(metric)[..., None]
        return excess


def draw(found: Maps) -> dict[str, Figure]:
    """Draw figure 1 in both map styles, the rank correlations of figure 4, and the mean SSIM of figure 5."""
    figures: dict[str, Figure] = {}
    for style in STYLES:
        band = MapBand(
            {title: found.panels(key, style) for key, title in IG_TITLES.items()},
            style=style,
            image=found.picture,
            image_title=found.picture_title,
        )
        figures["" if style == "abs-normalized" else style] = _boxes(found, SSIM, band)
    figures["ssim-notebook"] = _boxes(found, SSIM_NOTEBOOK)
    figures["spearman"] = _boxes(found, RANK)
    figures["spearman-abs"] = _boxes(found, RANK_ABS)
    figures["ssim-mean"] = _boxes(found, SSIM, mean=True)
    return figures


def _boxes(found: Maps, metric: str, band: MapBand | None = None, *, mean: bool = False) -> Figure:
    """Draw box plots of one metric, over images and trials or over trials of the mean over images."""
    facts, k = found.facts, METRICS.index(metric)
    scores, others = found.live[:, k], found.others(k).mean(axis=2)  # (method, stage, image, trial), (method, stage)
    images, trials = f"{len(facts['images'])} images", f"{facts['trials']} trials"
    over = f"of the mean over {images}, {trials}" if mean else f"{images} × {trials}"
    return boxes_figure(
        dict(zip(IG_TITLES.values(), mean_over(scores, 2)[:, :, None] if mean else scores, strict=True)),
        metric_title=f"{get_metric(metric).title} ({metric})",
        column_titles=facts["stages"],
        reference=dict(zip(IG_TITLES.values(), others, strict=True)),
        reference_title="maps of other images",
        band=band,
        caption=f"{facts['network']}; preset {facts['preset']}; cascading Xavier randomization, batch-norm statistics "
        f"kept; IG of {facts['steps']} steps from zero; compared maps: "
        f"{get_reduction(get_metric(metric).reduction).title}; {over}; seed {facts['seed']}.",
    )


claims = Claims(Maps, "Figure 1, section 3", IMAGES)


def _over_stages(found: Maps, metric: str) -> Float[np.ndarray, "method image trial"]:
    """The mean of the live scores over the stages."""
    return mean_over(found.live[:, METRICS.index(metric)], 1)


@claims(
    "cascade-ssim-half",
    "The SSIM of local IG is about half of that of global IG under cascading randomization.",
    "almost half",
    role="main result",
)
def _half(found: Maps) -> Outcome:
    one, other = _over_stages(found, SSIM)
    share = ratio("SSIM of local IG / global IG, of maps in [−1, 1] that keep zero", other, one, *UNITS)
    half = between(share, 1 / 3, 2 / 3)
    one, other = _over_stages(found, SSIM_NOTEBOOK)
    return half.noting(ratio("of maps normalized to [0, 1]", other, one, *UNITS).words())


@claims(
    "cascade-ten-images",
    "The SSIM of single images is distributed like that of ten: it is higher for global IG than for local IG.",
    "similar relative distributions",
    where="Figure 5, appendix A",
)
def _single(found: Maps) -> Outcome:
    one, other = _over_stages(found, SSIM)
    higher = np.where(np.isfinite(one - other), one > other, np.nan)
    return above(measure("share of images whose SSIM is higher for global IG", higher, *UNITS), 0.5)


OWN = "ABS rank correlation of {} IG with the trained map less that with maps of other images"


@claims("cascade-local-looks-random", "From the third layer on, maps of local IG look random.", "seen by eye")
def _random(found: Maps) -> Outcome:
    excess = found.excess(METRICS.index(RANK_ABS))[1]
    means = at_stages(OWN.format("local"), found.facts["stages"], excess, *UNITS, first=THIRD)
    return worst(below(mean, 0.1) for mean in means)


@claims(
    "cascade-global-keeps-structure",
    "From the third layer on, maps of global IG keep structure of the image.",
    "seen by eye",
)
def _structure(found: Maps) -> Outcome:
    excess = found.excess(METRICS.index(RANK_ABS))[0]
    means = at_stages(OWN.format("global"), found.facts["stages"], excess, *UNITS, first=THIRD)
    return worst(above(mean, 0.1) for mean in means)


@claims.each(
    IG_TITLES,
    "cascade-spearman-zero-{key}",
    "The rank correlation of {title} is close to zero from the first randomized layer to the last.",
    "close to zero",
    where="Figure 4, appendix A",
)
def _ranks(variant: str, found: Maps) -> Outcome:
    scores = found.live[list(IG_TITLES).index(variant), METRICS.index(RANK)]
    means = at_stages("signed rank correlation", found.facts["stages"], scores, *UNITS)
    return worst(between(mean, -0.1, 0.1) for mean in means)


CASCADE = experiment(
    "figure1",
    "Global and local IG under cascading Xavier randomization (figures 1, 4 and 5)",
    compute,
    draw,
    claims,
    covers={"Figure 4": "spearman*", "Figure 5": "ssim-mean", "Figure 1": "*"},
    inputs=INPUTS,
)
