"""Figure 6: eight local methods at every stage of the cascade, with infidelity and max-sensitivity of each map."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
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
from probatum.experiments.levels import store_levels
from probatum.maps import get_reduction
from probatum.metrics import get_metric
from probatum.randomization import preset
from probatum.report import boxes_figure, grid_figure
from probatum.reproductions.base import Context, store_arrays, write_facts
from probatum.reproductions.kokhlikyan2021.cascade import STYLES, Maps, stored
from probatum.reproductions.kokhlikyan2021.judging import (
    IMAGES,
    UNITS,
    by_stage,
    counted,
    relative_responses,
    rising,
    testable,
    unchanged,
)
from probatum.reproductions.kokhlikyan2021.quality import METRICS, QUANTITIES, SHARE, TITLES, scored
from probatum.reproductions.kokhlikyan2021.subjects import INPUTS, facts_of, load_subject
from probatum.reproductions.kokhlikyan2021.table1 import THIRD
from probatum.reproductions.results import Claims, experiment
from probatum.reproductions.rules import Mean, Outcome, above, all_of, below, measure
from probatum.reproductions.subjects import cascade, wants_networks

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
    sizes = context.pick(PHOTOGRAPH_SIZES) if wants_networks(context) else DIGIT_SIZES
    subject = load_subject(context, sizes.images)
    confidences, targets = subject.probabilities(context).max(1)
    chosen, protocol, trials = methods(sizes, subject.layer), preset("kokhlikyan"), sizes.trials
    compared = cascade(
        context,
        subject,
        chosen,
        SIMILARITIES,
        protocol,
        targets=targets,
        trials=trials,
        keep_maps=len(subject.data),
    )
    randomizer = subject.randomizer(context, protocol)
    quality = scored(context, subject, chosen, sizes.infidelity_samples, randomizer, trials, targets)
    store_levels(folder / "levels.csv", subject.used, compared)
    store_arrays(folder, quality=quality.scores, **stored(compared, subject))
    write_facts(
        folder,
        **facts_of(context, subject),
        stages=list(compared.stages),
        explained=subject.class_name(int(targets[0])),
        confidence=float(confidences[0]),
        trials=trials,
        steps=sizes.steps,
        samples=sizes.samples,
        estimator=sizes.estimator,
        baselines=sizes.baselines,
        infidelity_samples=sizes.infidelity_samples,
    )


def draw(found: Maps) -> dict[str, Figure]:
    """Draw figure 6 in both map styles, and box plots of infidelity, max-sensitivity and similarity."""
    facts, quality = found.facts, found.arrays["quality"]
    of_map = quality[:, :2, :, 0, 0]  # (method, metric, stage) of the maps that are shown
    notes = [["\n".join(_short(float(value)) for value in stage) for stage in method.T] for method in of_map]
    figures: dict[str, Figure] = {}
    for style in STYLES:
        figures["" if style == "abs-normalized" else style] = grid_figure(
            [found.panels(key, style) for key in METHODS],
            list(METHODS.values()),
            found.stages,
            style=style,
            image=found.picture,
            image_title=found.picture_title,
            notes=notes,
            caption=f"Below each map: its infidelity, its max-sensitivity. One randomization. {_protocol(facts)}",
        )
    for k, (metric, quantity) in enumerate(QUANTITIES.items()):
        figures[metric] = boxes_figure(
            dict(zip(METHODS.values(), quality[:, k], strict=True)),
            metric_title=TITLES[metric],
            column_titles=found.stages,
            quantity=quantity,
            caption=f"{counted(facts)}; the trained network is scored once. {_protocol(facts)}",
        )
    for k, (name, metric) in enumerate(zip(("ssim", RANK_ABS), SIMILARITIES, strict=True)):
        figures[name] = boxes_figure(
            dict(zip(METHODS.values(), found.live[:, k], strict=True)),
            metric_title=f"{get_metric(metric).title} ({metric})",
            column_titles=facts["stages"],
            reference=dict(zip(METHODS.values(), found.others(k).mean(axis=2), strict=True)),
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


claims = Claims(Maps, "Figure 6, appendix A", IMAGES)


def _left(method: str, found: Maps) -> Mean:
    """The similarity of fully randomized maps to their own image's map, above that to maps of other images."""
    excess = found.excess(SIMILARITIES.index(RANK_ABS))[list(METHODS).index(method), -1]
    what = f"ABS rank correlation of {METHODS[method]}, all layers random, less that with maps of other images"
    return measure(what, excess, *UNITS)


@claims.each(
    {method: METHODS[method] for method in list(METHODS)[: len(PLAIN)]},
    "local-{key}-sensitive",
    "{title} is sensitive to randomization.",
    "seen by eye",
)
def _sensitive(method: str, found: Maps) -> Outcome:
    return below(_left(method, found), RETAINED)


@claims.each(
    {method: METHODS[method] for method in list(METHODS)[len(PLAIN) :]},
    "local-{key}-fails",
    "{title} does not pass the randomization test, although it is local.",
    "seen by eye",
    where="Figure 6, section 2",
)
def _invariant(method: str, found: Maps) -> Outcome:
    return above(_left(method, found), RETAINED)


@claims(
    "local-infidelity-rises",
    "From the second or third randomized layer on, infidelity increases significantly for all sensitivity methods.",
    "increases significantly",
)
def _rises(found: Maps) -> Outcome:
    quality = found.arrays["quality"]  # (method, metric, stage, image, trial)
    scores = zip(METHODS.values(), quality[:, METRICS.index("infidelity")], strict=True)
    rises = all_of(rising(f"infidelity of {title}", found.stages, one, THIRD) for title, one in scores)
    responses = relative_responses(quality[0, METRICS.index("infidelity")], quality[0, METRICS.index(SHARE)])
    return testable(rises, by_stage(found.stages, responses, THIRD))


@claims(
    "local-sensitivity-unchanged",
    "Max-sensitivity remains almost unchanged for all sensitivity methods.",
    "almost unchanged",
)
def _flat(found: Maps) -> Outcome:
    scores = zip(METHODS.values(), found.arrays["quality"][:, METRICS.index("max-sensitivity")], strict=True)
    return all_of(unchanged(f"max-sensitivity of {title}", found.stages, one) for title, one in scores)


LOCAL_METHODS = experiment(
    "figure6",
    "Eight local methods under cascading Xavier randomization, with infidelity and max-sensitivity (figure 6)",
    compute,
    draw,
    claims,
    covers={"Figure 6": "*"},
    inputs=INPUTS,
)
