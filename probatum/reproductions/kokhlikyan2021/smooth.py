"""Figure 2: the logit along five input dimensions and the quality of IG, for smooth and non-smooth networks."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from matplotlib.figure import Figure
from torch import Tensor, nn

from probatum.attributions import Gradient
from probatum.engine import all_logits, prepare
from probatum.experiments.quality import quality_scores
from probatum.models.profiles import function_along
from probatum.models.smooth import Activation, Pooling, smoothed
from probatum.randomization import Randomizer, preset
from probatum.report import boxes_figure
from probatum.report.profiles import Profile, profiles_figure
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
from probatum.reproductions.kokhlikyan2021.judging import (
    IMAGES,
    POINTS,
    STEPS,
    Judged,
    counted,
    defined_mean,
    findings,
    geometric_mean,
    number,
    smaller,
    undefined_note,
)
from probatum.reproductions.kokhlikyan2021.quality import (
    HOMOGENEOUS,
    METRICS,
    QUANTITIES,
    SHARE,
    TITLES,
    quality_metrics,
)
from probatum.reproductions.kokhlikyan2021.subjects import Subject, load_subject, network_of
from probatum.reproductions.kokhlikyan2021.variants import IG_TITLES, ig_variants
from probatum.reproductions.rules import Outcome, below, fact, ratio

NETWORKS = {"trained": "trained network", "randomized": "network with all layers Xavier-randomized"}
SHARPNESS = (1.0, 2.0, 5.0, 10.0, 20.0, 50.0)
"""Values tried in turn for β of Softplus and t of LogSumExp; the paper gives neither."""
DIMENSIONS = 5
SPAN = 1.0  # range of an input value to either side, in units of the input


@dataclass(frozen=True)
class Variant:
    """A network with smooth activations or pooling; None keeps the original ones."""

    title: str
    activation: Activation | None
    pooling: Pooling | None

    def of(self, model: nn.Module, sharpness: float) -> nn.Module:
        """Make the variant of a network; return the original if nothing is replaced."""
        if self.activation is None and self.pooling is None:
            return model
        return smoothed(model, activation=self.activation, beta=sharpness, pooling=self.pooling, sharpness=sharpness)


VARIANTS = (
    Variant("ReLU, MaxPool", None, None),
    Variant("Softplus, MaxPool", "softplus", None),
    Variant("ReLU, LogSumExp", None, "logsumexp"),
    Variant("Softplus, LogSumExp", "softplus", "logsumexp"),
)


@dataclass(frozen=True)
class SmoothSizes:
    """Number of images, randomizations, steps of IG, noise samples of infidelity, and points of a profile."""

    images: int
    trials: int
    steps: int
    samples: int = 50
    points: int = 401


PHOTOGRAPH_SIZES = {
    "paper": SmoothSizes(images=10, trials=10, steps=50),
    "cpu": SmoothSizes(images=6, trials=3, steps=8, samples=20, points=161),
    "quick": SmoothSizes(images=5, trials=1, steps=8, samples=20, points=31),
}
DIGIT_SIZES = SmoothSizes(images=10, trials=1, steps=20, points=201)


def compute(context: Context, folder: Path) -> None:
    """Score global and local IG of the four networks, trained and fully randomized, and sample their logits."""
    config = context.config
    sizes = context.pick(PHOTOGRAPH_SIZES) if network_of(context) else DIGIT_SIZES
    subject = load_subject(context, sizes.images)
    small = smaller(steps=(sizes.steps, 50), points=(sizes.points, 161))
    subject = replace(subject, setting=replace(subject.setting, smaller=small))
    images = subject.data.images.to(context.device)
    targets = subject.probabilities(images, config.memory_budget).argmax(1)
    dimensions = chosen_dimensions(subject, images[:1], targets[:1], config.memory_budget)
    sharpness = chosen_sharpness(subject.model, images, targets, config.memory_budget)
    scores, profiles, kept = [], [], []
    for place, variant in enumerate(VARIANTS):
        model = variant.of(subject.model, sharpness)
        randomizer = Randomizer(model, subject.plan, preset("kokhlikyan").initializer, "full", config.seed)

        def report(done: int, total: int, what: str, before: int = place, title: str = variant.title) -> None:
            context.progress(before * total + done, len(VARIANTS) * total, f"{title}, {what}")

        result = quality_scores(
            model,
            images,
            targets,
            methods=ig_variants(sizes.steps),
            metrics=quality_metrics(sizes.samples),
            randomizer=randomizer,
            trials=sizes.trials,
            seed=config.seed,
            image_names=subject.data.image_names,
            memory_budget=config.memory_budget,
            cells=context.cells,
            progress=report,
        )
        scores.append(result.scores)
        along = [
            function_along(
                version,
                images[0],
                int(targets[0]),
                dimensions,
                (-SPAN, SPAN),
                sizes.points,
                precision="float64",  # jumps of the slope are second differences, which float32 cannot resolve
                memory_budget=config.memory_budget,
            )[1]
            for version in (model, randomizer.model(1, trial=0))
        ]
        profiles.append(torch.stack(along).cpu().numpy())
        kept.append(_same_class(model, images, targets, config.memory_budget))
    store_arrays(folder, scores=np.stack(scores), profiles=np.stack(profiles))
    write_facts(
        folder,
        **subject.facts(context),
        dimensions=dimensions,
        shape=list(images.shape[1:]),
        explained=subject.class_name(int(targets[0])),
        same_class=kept,
        sharpness=sharpness,
        trials=sizes.trials,
        steps=sizes.steps,
        samples=sizes.samples,
    )


def chosen_sharpness(model: nn.Module, images: Tensor, targets: Tensor, memory_budget: str | None) -> float:
    """Return the smallest sharpness at which every smooth network keeps all predictions, or the largest of all."""
    for sharpness in SHARPNESS:
        networks = (variant.of(model, sharpness) for variant in VARIANTS)
        if all(_same_class(network, images, targets, memory_budget) == len(images) for network in networks):
            break
    return sharpness


def _same_class(model: nn.Module, images: Tensor, targets: Tensor, memory_budget: str | None) -> int:
    """Count the images for which the network predicts the target."""
    logits = all_logits(prepare(model, memory_budget=memory_budget), images)
    return int((logits.argmax(1) == targets).sum())


def chosen_dimensions(subject: Subject, image: Tensor, target: Tensor, memory_budget: str | None) -> list[int]:
    """Choose the five input values with the largest gradients that are at least a tenth of the image apart."""
    gradient = Gradient()(subject.model, image, target, memory_budget=memory_budget)[0].abs()
    reach = max(1, image.shape[-1] // 10)
    chosen: list[int] = []
    while len(chosen) < DIMENSIONS:
        place = int(gradient.argmax())
        chosen.append(place)
        _, row, column = np.unravel_index(place, gradient.shape)
        gradient[:, max(0, row - reach) : row + reach + 1, max(0, column - reach) : column + reach + 1] = -1
    return chosen


def kinks(profiles: Float[np.ndarray, "*variants dimension point"]) -> Float[np.ndarray, "*variants"]:
    """Non-smoothness of a function: Σ (jumps of the slope)² / mean (slope)², averaged over dimensions.

    As the step size goes to 0, it converges to 0 for a smooth function, and otherwise to the sum over its kinks.
    """
    slopes = np.diff(profiles) * (profiles.shape[-1] - 1) / (2 * SPAN)
    jumps, power = np.square(np.diff(slopes)).sum(-1), np.square(slopes).mean(-1)
    shares: Float[np.ndarray, "*variants"] = (jumps / np.where(power > 0, power, np.nan)).mean(-1)
    return shares


def draw(folder: Path) -> dict[str, Figure]:
    """Draw the logits of the trained and of the randomized networks, and box plots of the three scores."""
    facts, arrays = read_facts(folder), stored_arrays(folder)
    figures: dict[str, Figure] = {}
    for state, name in enumerate(NETWORKS):
        means = defined_mean(arrays["scores"][:, :, :, state])  # (variant, method, metric)
        panels = {
            variant.title: Profile(arrays["profiles"][v, state], _scored(means[v]))
            for v, variant in enumerate(VARIANTS)
        }
        figures["" if name == "trained" else name] = profiles_figure(
            panels,
            np.linspace(-SPAN, SPAN, arrays["profiles"].shape[-1]),
            [_place(dimension, facts["shape"]) for dimension in facts["dimensions"]],
            axis_title="change of one input value",
            value_title=f"logit of {facts['explained']}, less that of the image",
            columns=2,
            caption=f"The {NETWORKS[name]} with each activation and pooling, with the same weights. The five input "
            f"values of the first image with the largest gradients, far apart. Above each panel: means over "
            f"{counted(facts, 1 if name == 'trained' else None)}. {_protocol(facts)}",
        )
    titles = [f"{variant.title}{', random' * state}" for state in range(2) for variant in VARIANTS]
    for metric, quantity in QUANTITIES.items():
        scores = arrays["scores"][:, :, METRICS.index(metric)]  # (variant, method, state, image, trial)
        by_state = scores.transpose(1, 2, 0, 3, 4).reshape(len(IG_TITLES), 2 * len(VARIANTS), -1)
        figures[metric] = boxes_figure(
            {title: by_state[m] for m, title in enumerate(IG_TITLES.values())},
            metric_title=TITLES[metric],
            column_titles=titles,
            quantity=quantity,
            caption=f"Trained networks, and these with all layers Xavier-randomized; {counted(facts)}, the trained "
            f"ones scored once. {HOMOGENEOUS} {_protocol(facts)}",
        )
    return figures


def _place(dimension: int, shape: list[int]) -> str:
    channel, row, column = np.unravel_index(dimension, shape)
    return f"({row}, {column})" + (f", channel {channel}" if shape[0] > 1 else "")


def _scored(means: Float[np.ndarray, "method metric"]) -> str:
    """Write infidelity and max-sensitivity of both variants of IG, one line each."""
    (infidelity, sensitivity) = ([number(float(value)) for value in means[:, k]] for k in (0, 1))
    return (
        f"infidelity {infidelity[1]} local, {infidelity[0]} global\n"
        f"max-sensitivity {sensitivity[1]} local, {sensitivity[0]} global"
    )


def _protocol(facts: dict[str, Any]) -> str:
    kept = ", ".join(f"{count} ({v.title})" for v, count in zip(VARIANTS, facts["same_class"], strict=True))
    return (
        f"{facts['network']}, preset {facts['preset']}; β of Softplus and t of LogSumExp {facts['sharpness']:g}; "
        f"images for which the trained networks predict the target: {kept} of {len(facts['images'])}; IG of "
        f"{facts['steps']} steps from zero; infidelity: noise N(0, 0.03²), {facts['samples']} samples (local), x − x₀ "
        f"(global); max-sensitivity: L∞ ball of 0.02, 5 samples; units of the normalized input; seed {facts['seed']}."
    )


def _claim(name: str, statement: str, paper: str, *about: str) -> Claim:
    return Claim(f"smooth-{name}", "Figure 2, section 3", statement, paper, (*IMAGES, *about))


_NAMES = {1: ("softplus", "Softplus instead of ReLU"), 2: ("logsumexp", "LogSumExp instead of MaxPool"),
          3: ("both", "Softplus and LogSumExp together")}  # fmt: skip
_PAPER = {1: "drops significantly", 2: "a similar phenomenon", 3: "significantly improves"}
SMOOTHER = {
    variant: _claim(
        f"function-{name}", f"{what}: the logit along five input dimensions becomes smoother.", "seen by eye", POINTS
    )
    for variant, (name, what) in _NAMES.items()
}
LOWER = {
    (variant, method): _claim(
        f"{name}-{method}", f"{what}: the infidelity of {IG_TITLES[method]} is lower.", _PAPER[variant], STEPS
    )
    for variant, (name, what) in _NAMES.items()
    for method in ("local", "global")
}
ROBUST = {
    method: _claim(
        f"robust-{method}",
        f"Softplus and LogSumExp together: the max-sensitivity of {IG_TITLES[method]} is lower.",
        "more robust",
    )
    for method in ("local", "global")
}


def judge(folder: Path) -> list[Finding]:
    """Judge the claims on figure 2, on the trained network."""
    facts, arrays = read_facts(folder), stored_arrays(folder)
    judged = [*_smoother(arrays), *_lower(arrays), *_robust(arrays)]
    count = len(facts["images"])
    changed = ", ".join(
        f"{variant.title} {count - same} of {count}"
        for variant, same in zip(VARIANTS, facts["same_class"], strict=True)
        if same < count
    )
    notes = [
        f"β = t = {facts['sharpness']:g}, not given in the paper: the smallest value tried that keeps all "
        "predictions, if any does",
        f"smoothing changes the predicted class: {changed}" if changed else "",
        undefined_note(arrays["scores"]),
    ]
    return findings(facts, judged, "; ".join(filter(None, notes)))


def _smoother(arrays: dict[str, np.ndarray]) -> list[Judged]:
    jumps = kinks(arrays["profiles"])[:, 0]  # (variant,) of the trained networks
    rule = (
        "along the five input values that figure 2 shows, the squared jumps of the slope, in units of the mean squared "
        "slope, are at least a tenth less"
    )
    return [
        Judged(claim, fact(jumps[v] <= 0.9 * jumps[0], f"{number(float(jumps[0]))} → {number(float(jumps[v]))}", rule))
        for v, claim in SMOOTHER.items()
    ]


def _against_the_original(arrays: dict[str, np.ndarray], metric: str, variant: int, method: str) -> Outcome:
    """The score of a trained variant is below that of the network with ReLU and MaxPool."""
    scores = arrays["scores"][:, list(IG_TITLES).index(method), METRICS.index(metric), 0, :, 0]  # (variant, image)
    what = f"{TITLES[metric].lower()} / that with ReLU and MaxPool"
    return below(ratio(what, scores[variant], scores[0], "image"), 1.0)


def _lower(arrays: dict[str, np.ndarray]) -> list[Judged]:
    judged = []
    for (variant, method), claim in LOWER.items():
        shares = arrays["scores"][:, list(IG_TITLES).index(method), METRICS.index(SHARE), 0]
        before, after = (geometric_mean(shares[v]) for v in (0, variant))
        outcome = _against_the_original(arrays, "infidelity", variant, method)
        share = f"; share of the response {number(before)} → {number(after)}"
        judged.append(Judged(claim, replace(outcome, ours=outcome.ours + share)))
    return judged


def _robust(arrays: dict[str, np.ndarray]) -> list[Judged]:
    return [Judged(c, _against_the_original(arrays, "max-sensitivity", 3, method)) for method, c in ROBUST.items()]


SMOOTH = Experiment(
    name="figure2",
    title="Smooth networks: the logit along five dimensions, infidelity and max-sensitivity (figure 2)",
    compute=compute,
    draw=draw,
    judge=judge,
    covers={"Figure 2": "*"},
    inputs=Inputs(photographs=True, networks=("inception_v3",)),
)
