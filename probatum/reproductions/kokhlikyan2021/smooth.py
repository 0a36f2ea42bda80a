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
from probatum.models.profiles import function_along
from probatum.models.smooth import Activation, Pooling, smoothed
from probatum.randomization import Randomizer, preset
from probatum.report import boxes_figure
from probatum.report.profiles import Profile, profiles_figure
from probatum.reproductions.base import Context, joined, store_arrays, write_facts
from probatum.reproductions.kokhlikyan2021.judging import (
    IMAGES,
    POINTS,
    STEPS,
    counted,
    geometric_mean,
    number,
    relative_responses,
    smaller,
    testable,
    undefined_note,
)
from probatum.reproductions.kokhlikyan2021.quality import HOMOGENEOUS, METRICS, QUANTITIES, SHARE, TITLES, scored
from probatum.reproductions.kokhlikyan2021.subjects import INPUTS, facts_of, load_subject
from probatum.reproductions.kokhlikyan2021.variants import IG_TITLES, ig_variants
from probatum.reproductions.results import Claims, Results, experiment
from probatum.reproductions.rules import Outcome, below, fact, mean_over, ratio
from probatum.reproductions.subjects import Subject, wants_networks

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


def can_be_smoothed(model: nn.Module, image: Tensor) -> None:
    """Raises ModelError unless a network has both: activations and max-pooling that smooth ones can replace."""
    for variant in VARIANTS:
        with torch.no_grad():
            variant.of(model, SHARPNESS[0])(image)


def compute(context: Context, folder: Path) -> None:
    """Score global and local IG of the four networks, trained and fully randomized, and sample their logits."""
    config = context.config
    sizes = context.pick(PHOTOGRAPH_SIZES) if wants_networks(context) else DIGIT_SIZES
    subject = load_subject(context, sizes.images)
    small = smaller(steps=(sizes.steps, 50), points=(sizes.points, 161))
    subject = replace(subject, setting=replace(subject.setting, smaller=small))
    images = subject.data.images.to(context.device)
    targets, plan = subject.probabilities(context).argmax(1), subject.plan(context)
    dimensions = chosen_dimensions(subject, images[:1], targets[:1], config.memory_budget)
    sharpness = chosen_sharpness(subject.model, images, targets, config.memory_budget)
    scores, profiles, kept = [], [], []
    for place, variant in enumerate(VARIANTS):
        model = variant.of(subject.model, sharpness)
        randomizer = Randomizer(model, plan, preset("kokhlikyan").initializer, "full", config.seed)

        def report(done: int, total: int, what: str, before: int = place, title: str = variant.title) -> None:
            context.progress(before * total + done, len(VARIANTS) * total, f"{title}, {what}")

        result = scored(
            replace(context, progress=report),
            replace(subject, model=model),
            ig_variants(sizes.steps),
            sizes.samples,
            randomizer,
            sizes.trials,
            targets,
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
        **facts_of(context, subject),
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


class Smooth(Results):
    """Scores (variant, method, metric, state, image, trial) and profiles (variant, state, dimension, point)."""

    def of(self, metric: str, variant: str) -> Float[np.ndarray, "variant image"]:
        """The scores of one variant of IG of the trained networks."""
        place = list(IG_TITLES).index(variant), METRICS.index(metric)
        scores: Float[np.ndarray, "variant image"] = self.arrays["scores"][:, place[0], place[1], 0, :, 0]
        return scores

    @property
    def note(self) -> str:
        """The sharpness, the classes that smoothing changes, and how many scores are undefined."""
        facts, count = self.facts, len(self.facts["images"])
        changed = ", ".join(
            f"{variant.title} {count - same} of {count}"
            for variant, same in zip(VARIANTS, facts["same_class"], strict=True)
            if same < count
        )
        return joined(
            f"β = t = {facts['sharpness']:g}, not given in the paper: the smallest value tried that keeps all "
            "predictions, if any does",
            f"smoothing changes the predicted class: {changed}" if changed else "",
            undefined_note(self.arrays["scores"]),
        )


def draw(found: Smooth) -> dict[str, Figure]:
    """Draw the logits of the trained and of the randomized networks, and box plots of the three scores."""
    facts, arrays = found.facts, found.arrays
    figures: dict[str, Figure] = {}
    for state, name in enumerate(NETWORKS):
        means = mean_over(arrays["scores"][:, :, :, state], -2, -1)  # (variant, method, metric)
        figures["" if name == "trained" else name] = profiles_figure(
            {
                variant.title: Profile(arrays["profiles"][v, state], _scored(means[v]))
                for v, variant in enumerate(VARIANTS)
            },
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
            dict(zip(IG_TITLES.values(), by_state, strict=True)),
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


claims = Claims(Smooth, "Figure 2, section 3", IMAGES)
PLACES = {"softplus": 1, "logsumexp": 2, "both": 3}
"""Of the variants that the claims compare with the original network, VARIANTS[0]."""
NAMES = {
    "softplus": "Softplus instead of ReLU",
    "logsumexp": "LogSumExp instead of MaxPool",
    "both": "Softplus and LogSumExp together",
}


@claims.each(
    NAMES,
    "smooth-function-{key}",
    "{title}: the logit along five input dimensions becomes smoother.",
    "seen by eye",
    about=(*IMAGES, POINTS),
)
def _smoother(name: str, found: Smooth) -> Outcome:
    jumps = kinks(found.arrays["profiles"])[:, 0]  # (variant,) of the trained networks
    before, after = float(jumps[0]), float(jumps[PLACES[name]])
    rule = (
        "along the five input values that figure 2 shows, the squared jumps of the slope, in units of the mean squared "
        "slope, are at least a tenth less"
    )
    return fact(after <= 0.9 * before, f"{number(before)} → {number(after)}", rule)


def _less(found: Smooth, metric: str, variant: str, name: str) -> Outcome:
    """The score of a smooth network is below that of the network with ReLU and MaxPool."""
    scores = found.of(metric, variant)
    what = f"{TITLES[metric].lower()} / that with ReLU and MaxPool"
    return below(ratio(what, scores[PLACES[name]], scores[0], "image"), 1.0)


@claims.each(
    {
        f"{name}-{variant}": f"{what}: the infidelity of {IG_TITLES[variant]}"
        for name, what in NAMES.items()
        for variant in ("local", "global")
    },
    "smooth-{key}",
    "{title} is lower.",
    {
        f"{name}-{variant}": paper
        for name, paper in (
            ("softplus", "drops significantly"),
            ("logsumexp", "a similar phenomenon"),
            ("both", "significantly improves"),
        )
        for variant in IG_TITLES
    },
    about=(*IMAGES, STEPS),
)
def _lower(key: str, found: Smooth) -> Outcome:
    name, variant = key.split("-")
    scores, shares = (found.of(metric, variant) for metric in ("infidelity", SHARE))
    before, after = (number(geometric_mean(shares[place])) for place in (0, PLACES[name]))
    lower = _less(found, "infidelity", variant, name)
    responses = relative_responses(scores[..., None], shares[..., None])
    return testable(
        replace(lower, ours=f"{lower.ours}; share of the response {before} → {after}"),
        {f"with {VARIANTS[PLACES[name]].title}": float(responses[PLACES[name]])},
    )


@claims.each(
    {variant: IG_TITLES[variant] for variant in ("local", "global")},
    "smooth-robust-{key}",
    "Softplus and LogSumExp together: the max-sensitivity of {title} is lower.",
    "more robust",
)
def _robust(variant: str, found: Smooth) -> Outcome:
    return _less(found, "max-sensitivity", variant, "both")


SMOOTH = experiment(
    "figure2",
    "Smooth networks: the logit along five dimensions, infidelity and max-sensitivity (figure 2)",
    compute,
    draw,
    claims,
    covers={"Figure 2": "*"},
    inputs=replace(INPUTS, suits=can_be_smoothed),
)
