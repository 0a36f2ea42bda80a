"""Figure 6: eight local methods at every stage of the cascade, with infidelity and max-sensitivity of each map."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from matplotlib.figure import Figure

from probatum.attributions import (
    DeepLIFT,
    DeepLiftSHAP,
    Gradient,
    GradientSHAP,
    GuidedBackprop,
    GuidedGradCAM,
    IntegratedGradients,
    Method,
    NoisyBaselines,
    SmoothGrad,
    Zero,
)
from probatum.experiments import sanity_check
from probatum.experiments.levels import store_levels
from probatum.experiments.quality import quality_scores
from probatum.maps import get_reduction
from probatum.metrics import get_metric
from probatum.randomization import preset
from probatum.report import boxes_figure, grid_figure
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
from probatum.reproductions.hatching import drawable
from probatum.reproductions.kokhlikyan2021.cascade import cross_image_similarity
from probatum.reproductions.kokhlikyan2021.judging import (
    IMAGES,
    SCALE,
    Judged,
    counted,
    findings,
    rising,
    span,
    unchanged,
    undefined_note,
)
from probatum.reproductions.kokhlikyan2021.quality import METRICS, QUANTITIES, SHARE, TITLES, quality_metrics
from probatum.reproductions.kokhlikyan2021.subjects import load_subject, network_of
from probatum.reproductions.kokhlikyan2021.table1 import ORIGINAL, THIRD
from probatum.reproductions.rules import above, all_of, below, measure

METHODS = {
    "ig": "IG",
    "ig-sg": "IG-SG",
    "deeplift": "DeepLIFT",
    "deeplift-shap": "DeepLiftSHAP",
    "gradient-shap": "GradientSHAP",
    "gradient": "Gradient",
    "guided-backprop": "Guided Backprop",
    "guided-grad-cam": "Guided Grad-CAM",
}
PLAIN, MODIFIED = range(6), range(6, 8)  # methods that keep the gradient, and those that modify backpropagation
SSIM, RANK_ABS = "ssim-adebayo-issue", "spearman-abs"
SIMILARITIES = (SSIM, RANK_ABS)
STYLES: tuple[MapStyle, ...] = ("abs-normalized", "diverging")
RETAINED = 0.1  # similarity above chance up to which nothing of the trained map is left


@dataclass(frozen=True)
class MethodSizes:
    """Sizes of the experiment.

    Args:
        images: number of explained images.
        trials: number of randomizations.
        steps: of IG.
        samples: noise samples of IG-SG, and points of GradientSHAP.
        estimator: of IG-SG; see `SmoothGrad`.
        baselines: of DeepLiftSHAP and GradientSHAP.
        infidelity_samples: noise samples of infidelity.
    """

    images: int
    trials: int
    steps: int
    samples: int
    estimator: Literal["nested", "joint"]
    baselines: int
    infidelity_samples: int = 50


PHOTOGRAPH_SIZES = {
    "paper": MethodSizes(images=10, trials=10, steps=50, samples=25, estimator="nested", baselines=10),
    "cpu": MethodSizes(images=6, trials=3, steps=4, samples=4, estimator="joint", baselines=1, infidelity_samples=20),
    "quick": MethodSizes(images=5, trials=1, steps=5, samples=5, estimator="joint", baselines=2, infidelity_samples=20),
}
DIGIT_SIZES = MethodSizes(images=4, trials=2, steps=15, samples=15, estimator="joint", baselines=5)


def methods(sizes: MethodSizes, layer: str | None) -> dict[str, Method]:
    """Return the eight methods, all without the multiplier x − x₀."""
    baselines = NoisyBaselines(Zero(), sizes.baselines)
    ig = IntegratedGradients(sizes.steps, multiply_by_inputs=False)
    return {
        "ig": ig,
        "ig-sg": SmoothGrad(ig, samples=sizes.samples, estimator=sizes.estimator),
        "deeplift": DeepLIFT(multiply_by_inputs=False),
        "deeplift-shap": DeepLiftSHAP(baselines, multiply_by_inputs=False),
        "gradient-shap": GradientSHAP(sizes.samples, baselines, multiply_by_inputs=False),
        "gradient": Gradient(),
        "guided-backprop": GuidedBackprop(),
        "guided-grad-cam": GuidedGradCAM(layer),
    }


def compute(context: Context, folder: Path) -> None:
    """Compare the maps of the trained network with those of each randomized one, and score all of them."""
    config = context.config
    sizes = context.pick(PHOTOGRAPH_SIZES) if network_of(context) else DIGIT_SIZES
    subject = load_subject(context, sizes.images)
    images = subject.data.images.to(context.device)
    probabilities = subject.probabilities(images, config.memory_budget)
    chosen = methods(sizes, subject.layer)
    randomizer = preset("kokhlikyan").randomizer(subject.model, subject.plan, config.seed)
    targets, names = probabilities.argmax(1), subject.data.image_names
    compared = sanity_check(
        subject.model,
        images,
        targets,
        methods=chosen,
        metrics=SIMILARITIES,
        randomizer=randomizer,
        trials=sizes.trials,
        seed=config.seed,
        image_names=names,
        keep_maps=len(images),
        memory_budget=config.memory_budget,
        cells=context.cells,
        progress=context.progress,
    )
    quality = quality_scores(
        subject.model,
        images,
        targets,
        methods=chosen,
        metrics=quality_metrics(sizes.infidelity_samples),
        randomizer=randomizer,
        trials=sizes.trials,
        seed=config.seed,
        image_names=names,
        memory_budget=config.memory_budget,
        cells=context.cells,
        progress=context.progress,
    )
    store_levels(folder / "levels.csv", subject.title, compared)
    shown = compared.maps[names[0]]
    store_arrays(
        folder,
        scores=compared.scores,
        constant=compared.constant,
        cross_image_similarity=cross_image_similarity(compared),
        quality=quality.scores,
        picture=subject.data.pictures()[0].permute(1, 2, 0).numpy(),
        **{
            f"{key}-{style}": get_reduction(style)(torch.from_numpy(shown[key]))[:, 0].numpy()
            for key in METHODS
            for style in STYLES
        },
    )
    write_facts(
        folder,
        **subject.facts(context),
        stages=list(compared.stages),
        explained=subject.class_name(int(targets[0])),
        confidence=float(probabilities[0].max()),
        trials=sizes.trials,
        steps=sizes.steps,
        samples=sizes.samples,
        estimator=sizes.estimator,
        baselines=sizes.baselines,
        infidelity_samples=sizes.infidelity_samples,
    )


def draw(folder: Path) -> dict[str, Figure]:
    """Draw figure 6 in both map styles, and box plots of infidelity, max-sensitivity and similarity."""
    facts, arrays = read_facts(folder), stored_arrays(folder)
    picture = arrays["picture"][..., 0] if arrays["picture"].shape[2] == 1 else arrays["picture"]
    stages = [ORIGINAL, *facts["stages"]]
    of_map = arrays["quality"][:, :, :, 0, 0]  # (method, metric, stage) of the maps that are shown
    notes = [
        ["\n".join(_short(float(value)) for value in of_map[m, :2, stage]) for stage in range(len(stages))]
        for m in range(len(METHODS))
    ]
    figures: dict[str, Figure] = {}
    for style in STYLES:
        figures["" if style == "abs-normalized" else style] = grid_figure(
            [drawable(arrays[f"{key}-{style}"]) for key in METHODS],
            list(METHODS.values()),
            stages,
            style=style,
            image=np.clip(picture, 0, 1),
            image_title=f"{facts['explained']} ({facts['confidence']:.2f})",
            notes=notes,
            caption=f"Below each map: its infidelity, its max-sensitivity. One randomization. {_protocol(facts)}",
        )
    for k, (metric, quantity) in enumerate(QUANTITIES.items()):
        figures[metric] = boxes_figure(
            {title: arrays["quality"][m, k] for m, title in enumerate(METHODS.values())},
            metric_title=TITLES[metric],
            column_titles=stages,
            quantity=quantity,
            caption=f"{counted(facts)}; the trained network is scored once. {_protocol(facts)}",
        )
    live = np.where(arrays["constant"][:, None] > 0, np.nan, arrays["scores"])  # (method, metric, stage, image, trial)
    for k, (name, metric) in enumerate(zip(("ssim", RANK_ABS), SIMILARITIES, strict=True)):
        figures[name] = boxes_figure(
            {title: live[m, k] for m, title in enumerate(METHODS.values())},
            metric_title=f"{get_metric(metric).title} ({metric})",
            column_titles=facts["stages"],
            reference={
                title: arrays["cross_image_similarity"][m, k].mean(axis=1) for m, title in enumerate(METHODS.values())
            },
            reference_title="maps of other images",
            caption=f"Maps of the randomized networks against those of the trained one; compared maps: "
            f"{get_reduction(get_metric(metric).reduction).title}; {counted(facts)}. {_protocol(facts)}",
        )
    return figures


def _short(value: float) -> str:
    if np.isnan(value):
        return "–"
    return f"{value:.2f}" if 0.01 <= value < 1000 else f"{value:.1e}" if value else "0"


def _protocol(facts: dict[str, Any]) -> str:
    sg = {"joint": "one random point of the path each", "nested": "a whole path each"}[facts["estimator"]]
    return (
        f"{facts['network']}; preset {facts['preset']}; cascading Xavier randomization; all methods without "
        f"multiplier. IG of {facts['steps']} steps from zero; IG-SG of {facts['samples']} noisy images, {sg}; "
        f"{facts['baselines']} noise baselines around zero for DeepLiftSHAP and GradientSHAP ({facts['samples']} "
        f"points). Infidelity: noise N(0, 0.03²), {facts['infidelity_samples']} samples; max-sensitivity: L∞ ball of "
        "0.02, 5 samples, L2 norm; stochastic methods draw new noise. Units of the normalized input; seed "
        f"{facts['seed']}."
    )


def _claim(name: str, where: str, statement: str, paper: str, about: tuple[str, ...] = IMAGES) -> Claim:
    return Claim(f"local-{name}", where, statement, paper, about)


SENSITIVE = {
    name: _claim(f"{name}-sensitive", "Figure 6, appendix A", f"{title} is sensitive to randomization.", "seen by eye")
    for name, title in list(METHODS.items())[: len(PLAIN)]
}
INVARIANT = {
    name: _claim(
        f"{name}-fails",
        "Figure 6, section 2",
        f"{title} does not pass the randomization test, although it is local.",
        "seen by eye",
    )
    for name, title in list(METHODS.items())[len(PLAIN) :]
}
RISES = _claim(
    "infidelity-rises",
    "Figure 6, appendix A",
    "From the second or third randomized layer on, infidelity increases significantly for all sensitivity methods.",
    "increases significantly",
    SCALE,
)
FLAT = _claim(
    "sensitivity-unchanged",
    "Figure 6, appendix A",
    "Max-sensitivity remains almost unchanged for all sensitivity methods.",
    "almost unchanged",
)


def judge(folder: Path) -> list[Finding]:
    """Judge the claims on figure 6."""
    facts, arrays = read_facts(folder), stored_arrays(folder)
    stages = [ORIGINAL, *facts["stages"]]
    infidelity, sensitivity = (arrays["quality"][:, METRICS.index(name)] for name in METRICS[:2])
    titles = list(METHODS.values())
    rises = all_of(rising(f"infidelity of {title}", stages, infidelity[m], THIRD) for m, title in enumerate(titles))
    flat = all_of(unchanged(f"max-sensitivity of {t}", stages, sensitivity[m]) for m, t in enumerate(titles))
    share = f"; share of the response of IG {span(arrays['quality'][0, METRICS.index(SHARE)], THIRD)}"
    judged = [*_similar(arrays), Judged(RISES, replace(rises, ours=rises.ours + share)), Judged(FLAT, flat)]
    constant = int((arrays["constant"] > 0).sum())
    notes = [
        f"{constant} of {arrays['constant'].size} comparisons had a constant map, left out" if constant else "",
        undefined_note(arrays["quality"]),
    ]
    return findings(facts, judged, "; ".join(filter(None, notes)))


def _similar(arrays: dict[str, np.ndarray]) -> list[Judged]:
    """Judge the similarity of fully randomized maps to their own image's map, above that to maps of other images."""
    k = SIMILARITIES.index(RANK_ABS)
    live = np.where(arrays["constant"][:, -1] > 0, np.nan, arrays["scores"][:, k, -1])  # (method, image, trial)
    excess = live - arrays["cross_image_similarity"][:, k, -1, :, None]
    judged = []
    for m, (name, title) in enumerate(METHODS.items()):
        what = f"ABS rank correlation of {title}, all layers random, less that with maps of other images"
        mean = measure(what, excess[m], "image", "trial")
        claim = SENSITIVE[name] if name in SENSITIVE else INVARIANT[name]
        judged.append(Judged(claim, (below if name in SENSITIVE else above)(mean, RETAINED)))
    return judged


LOCAL_METHODS = Experiment(
    name="figure6",
    title="Eight local methods under cascading Xavier randomization, with infidelity and max-sensitivity (figure 6)",
    compute=compute,
    draw=draw,
    judge=judge,
    covers={"Figure 6": "*"},
    inputs=Inputs(photographs=True, networks=("inception_v3",)),
)
