"""Figure 7: IG and IG-SmoothGrad, global and local, of a network trained on permuted labels."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

from probatum.attributions import IntegratedGradients, Method, SmoothGrad, attribute
from probatum.data import UNIT_RANGE
from probatum.maps import absolute_sum, get_reduction
from probatum.metrics import get_metric, is_constant, spearman
from probatum.models import accuracy
from probatum.randomization import permute_labels
from probatum.report import boxes_figure, methods_figure
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
from probatum.reproductions.kokhlikyan2021 import digits_cnn
from probatum.reproductions.kokhlikyan2021.digits_cnn import (
    MEMORIZED,
    labels_of,
    load_digits,
    trained_cnn,
)
from probatum.reproductions.rules import above, between, fact, measure
from probatum.reproductions.setting import Setting, conclude

METHODS = {
    "ig-global": "IG, global",
    "ig-sg-global": "IG-SG, global",
    "ig-local": "IG, local",
    "ig-sg-local": "IG-SG, local",
}
GLOBAL, LOCAL = (0, 1), (2, 3)
TRUE, AGAIN, PERMUTED = range(3)
MNIST = "MNIST"
ABOUT = (MNIST, "60,000 permuted labels")
NETWORKS = ("true labels", "true labels, other initial weights", "permuted labels")
METRICS = ("ssim-adebayo-issue", "spearman", "spearman-abs")
STYLES: tuple[MapStyle, ...] = ("abs-normalized", "diverging")


@dataclass(frozen=True)
class LabelSizes:
    """Number of images per class, steps of IG, noise samples, and images shown."""

    per_class: int
    steps: int
    samples: int
    shown: int = 3


SIZES = {
    "paper": LabelSizes(per_class=10, steps=50, samples=25),
    "cpu": LabelSizes(per_class=3, steps=25, samples=5),
    "quick": LabelSizes(per_class=2, steps=20, samples=10),
}


def methods(sizes: LabelSizes) -> dict[str, Method]:
    """Return IG and IG-SG, global and local."""
    found: dict[str, Method] = {}
    for variant in ("global", "local"):
        inner = IntegratedGradients(sizes.steps, multiply_by_inputs=variant == "global")
        found |= {f"ig-{variant}": inner, f"ig-sg-{variant}": SmoothGrad(inner, samples=sizes.samples)}
    return {name: found[name] for name in METHODS}


def compute(context: Context, folder: Path) -> None:
    """Train on true labels, on true labels from other initial weights and on permuted labels, and compare the maps."""
    seed = context.config.seed
    sizes, training = context.pick(SIZES), context.pick(digits_cnn.SIZES)
    digits = load_digits(context, training, UNIT_RANGE)  # as in the notebook of Adebayo et al.: zero is black
    chosen = digits.test.take_per_class(sizes.per_class)
    images, targets = chosen.images.to(context.device), labels_of(chosen).to(context.device)
    first: list[dict[str, Tensor]] = []
    accuracies, compared, agreement = [], [], 0.0
    for turn in range(training.trainings):
        maps: list[dict[str, Tensor]] = []
        reached: list[dict[str, float]] = []
        true = labels_of(digits.train)
        permuted = permute_labels(true[: training.memorized], seed + turn)
        plans = (
            (training.true, true, seed + 2 * turn),
            (training.true, true, seed + 2 * turn + 1),
            (training.permuted, permuted.labels, seed + 2 * turn),
        )
        for name, (config, labels, start) in zip(NETWORKS, plans, strict=True):
            what = f"on {name}, {turn + 1} of {training.trainings}"
            model, _ = trained_cnn(context, digits, config, labels, start=start, what=what)
            reached.append(
                {
                    "train": accuracy(model, digits.train.images[: len(labels)], labels),
                    "test": accuracy(model, digits.test.images, labels_of(digits.test)),
                }
            )
            maps.append(
                attribute(
                    model,
                    images,
                    targets,
                    methods(sizes),
                    seed=seed,
                    memory_budget=context.config.memory_budget,
                    progress=partial(_report, context, name),
                )
            )
        accuracies.append(reached)
        compared.append(_compared(maps, images))
        first, agreement = first or maps, agreement or permuted.agreement
    shown = slice(0, len(chosen), max(1, len(chosen) // sizes.shown))
    store_arrays(
        folder,
        **{key: np.stack([one[key] for one in compared]) for key in compared[0]},
        pictures=chosen.pictures()[shown][: sizes.shown, 0].numpy(),
        **{
            style: np.stack([_shown(first[network], style, shown)[: sizes.shown] for network in (TRUE, PERMUTED)])
            for style in STYLES
        },
    )
    memorized = training.memorized or len(digits.train)
    write_facts(
        folder,
        preset=context.config.preset,
        data=digits.title,
        setting=_setting(digits.title, memorized).to_json(),
        train_images=len(digits.train),
        memorized=memorized,
        test_images=len(digits.test),
        images=len(chosen),
        shown=labels_of(chosen)[shown][: sizes.shown].tolist(),
        accuracies=accuracies,
        agreement=agreement,
        steps=sizes.steps,
        samples=sizes.samples,
        seed=seed,
    )


def _setting(data: str, memorized: int) -> Setting:
    """What replaced MNIST and the training on all of it."""
    smaller = {ABOUT[1]: f"{memorized:,}"} if memorized < 60_000 else {}
    if data == MNIST:
        return Setting(smaller=smaller)
    lacks = {MNIST: f"{data} were used: give MNIST/ in the folder of --data-dir"}
    return Setting((f"{data} instead of MNIST",), lacks, smaller)


def _report(context: Context, name: str, done: int, total: int) -> None:
    context.progress(done, total, f"maps, {name}")


def _compared(maps: list[dict[str, Tensor]], images: Tensor) -> dict[str, np.ndarray]:
    """Score the maps against those of the true labels, and against |x − x₀|.

    Returns:
        `scores` (network, metric, method, image) and `constant` (network, method, image) of the second and third
        network, `input` (network, method, image) of the first and third.
    """
    scores = np.zeros((2, len(METRICS), len(METHODS), len(images)))
    constant = np.zeros((2, len(METHODS), len(images)), dtype=bool)
    structure = np.zeros((2, len(METHODS), len(images)))
    for m, method in enumerate(METHODS):
        trained = maps[TRUE][method]
        for n, network in enumerate((AGAIN, PERMUTED)):
            other = maps[network][method]
            constant[n, m] = (is_constant(trained) | is_constant(other)).cpu().numpy()
            for k, key in enumerate(METRICS):
                metric = get_metric(key)
                reduce = get_reduction(metric.reduction)
                scores[n, k, m] = metric(reduce(trained), reduce(other)).cpu().numpy()
        for n, network in enumerate((TRUE, PERMUTED)):
            # |x − x₀| for the zero baseline: the structure that the multiplier adds.
            found = spearman(absolute_sum(maps[network][method]), absolute_sum(images))
            structure[n, m] = found.masked_fill(is_constant(maps[network][method]), torch.nan).cpu().numpy()
    return {"scores": scores, "constant": constant, "input": structure}


def _shown(maps: Mapping[str, Tensor], style: MapStyle, which: slice) -> np.ndarray:
    """Return the maps to show, (image, method, height, width)."""
    reduced = [get_reduction(style)(maps[method][which])[:, 0] for method in METHODS]
    stacked: np.ndarray = torch.stack(reduced, dim=1).cpu().numpy()
    return stacked


def draw(folder: Path) -> dict[str, Figure]:
    """Draw figure 7 in both map styles, and box plots of the similarities."""
    facts, arrays = read_facts(folder), stored_arrays(folder)
    rows = [(image, network) for image in range(len(facts["shown"])) for network in (0, 1)]
    figures = {
        "" if style == "abs-normalized" else style: methods_figure(
            [arrays["pictures"][image] for image, _ in rows],
            [drawable(arrays[style][network, image]) for image, network in rows],
            [("True labels", "Permuted labels")[network] for _, network in rows],
            list(METHODS.values()),
            style=style,
            caption=f"{_protocol(facts)}; maps: {get_reduction(style).title}.",
        )
        for style in STYLES
    }
    live = np.where(arrays["constant"][:, :, None], np.nan, arrays["scores"])
    for k, key in enumerate(METRICS):
        metric = get_metric(key)
        figures[key.removesuffix("-adebayo-issue")] = boxes_figure(
            {_capital(NETWORKS[n]): _by_method(live[:, n - 1, k]) for n in (AGAIN, PERMUTED)},
            metric_title=f"{metric.title} ({key})",
            column_titles=list(METHODS.values()),
            caption=f"Maps of a network trained as given in the legend, compared with those of one trained on the true "
            f"labels. {_protocol(facts)}; compared maps: {get_reduction(metric.reduction).title}.",
        )
    figures["input"] = boxes_figure(
        {_capital(NETWORKS[n]): _by_method(arrays["input"][:, r]) for r, n in enumerate((TRUE, PERMUTED))},
        metric_title="Rank correlation of |map| with |x − x₀|",
        column_titles=list(METHODS.values()),
        caption=f"Similarity of maps to the input. {_protocol(facts)}.",
    )
    return figures


def _by_method(scores: np.ndarray) -> np.ndarray:
    """(training, method, image) scores as (method, all)."""
    return scores.swapaxes(0, 1).reshape(scores.shape[1], -1)


def _capital(name: str) -> str:
    return name[0].upper() + name[1:]


def _protocol(facts: dict[str, Any]) -> str:
    true, _, permuted = facts["accuracies"][0]
    return (
        f"Basic CNN on {facts['data']}, preset {facts['preset']}: {facts['train_images']} training images, test "
        f"accuracy {true['test']:.3f} (true labels), training accuracy {permuted['train']:.3f} of {facts['memorized']} "
        f"permuted labels in the first of {len(facts['accuracies'])} trainings (of which "
        f"{facts['agreement']:.0%} are true by chance); target: the true class; "
        f"{facts['images']} test digits; IG of {facts['steps']} steps from black, SG of "
        f"{facts['samples']} samples, noise 15 % of the range; seed {facts['seed']}"
    )


def _claim(name: str, statement: str, paper: str, about: tuple[str, ...] = ABOUT) -> Claim:
    return Claim(f"labels-{name}", "Figure 7, appendix A", statement, paper, about)


LEARNT = _claim("learnt", "The networks learn the true labels.", "trained; accuracy not stated", (MNIST,))
BY_HEART = _claim("memorized", "The networks memorize the permuted labels.", "trained; accuracy not stated", (MNIST,))
INPUT = {
    method: _claim(
        f"{method}-input",
        f"After label randomization the maps of {title} still show the input."
        if m in GLOBAL
        else f"After label randomization the maps of {title} carry almost no structure of the input.",
        "seen by eye",
    )
    for m, (method, title) in enumerate(METHODS.items())
}
MULTIPLIER = {
    GLOBAL[pair]: _claim(
        f"multiplier-{name}",
        f"The multiplier makes maps of {title} of networks with true and with permuted labels more similar.",
        "similar results regardless of the parameters (abstract)",
    )
    for pair, (name, title) in enumerate((("ig", "IG"), ("ig-sg", "IG-SG")))
}
UNITS = ("training", "image")


def judge(folder: Path) -> list[Finding]:
    """Judge the claims on figure 7."""
    facts, arrays = read_facts(folder), stored_arrays(folder)
    setting = Setting.from_json(facts["setting"])
    test = np.array([turn[TRUE]["test"] for turn in facts["accuracies"]])
    by_heart = min(turn[PERMUTED]["train"] for turn in facts["accuracies"])
    note = "" if by_heart >= MEMORIZED and test.min() >= 0.95 else "training did not reach the required accuracy"
    live = np.where(arrays["constant"][:, PERMUTED - 1], np.nan, arrays["scores"][:, PERMUTED - 1, 0])
    outcomes = {
        LEARNT: fact(test.min() >= 0.95, f"at least {test.min():.3f} of test digits", "every training reaches 0.95"),
        BY_HEART: fact(
            by_heart >= MEMORIZED, f"at least {by_heart:.3f} of training labels", f"every training reaches {MEMORIZED}"
        ),
    }
    for m, claim in enumerate(INPUT.values()):
        follows = measure("rank correlation of |map| with |x − x₀|", arrays["input"][:, 1, m], *UNITS)
        outcomes[claim] = above(follows, 0.4) if m in GLOBAL else between(follows, -0.2, 0.2)
    for m, claim in MULTIPLIER.items():
        gain = live[:, m] - live[:, LOCAL[GLOBAL.index(m)]]  # (training, image)
        outcomes[claim] = above(measure("SSIM, global less local", gain, *UNITS), 0.0)
    return [conclude(claim, outcome, setting, note) for claim, outcome in outcomes.items()]


LABELS = Experiment(
    name="data-randomization",
    title="IG and IG-SG, global and local, before and after label randomization on MNIST (figure 7)",
    compute=compute,
    draw=draw,
    judge=judge,
    covers={"Figure 7": "*"},
    inputs=Inputs(data=("MNIST",)),
)
