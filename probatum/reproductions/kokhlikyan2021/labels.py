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
from probatum.report import bootstrap_interval, boxes_figure, methods_figure
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
from probatum.reproductions.kokhlikyan2021 import digits_cnn
from probatum.reproductions.kokhlikyan2021.digits_cnn import (
    MEMORIZED,
    labels_of,
    load_digits,
    trained_cnn,
)

METHODS = {
    "ig-global": "IG, global",
    "ig-sg-global": "IG-SG, global",
    "ig-local": "IG, local",
    "ig-sg-local": "IG-SG, local",
}
GLOBAL, LOCAL = (0, 1), (2, 3)
TRUE, AGAIN, PERMUTED = range(3)
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
    """Train on true labels from two initializations and on permuted labels, and compare the three networks' maps."""
    seed = context.config.seed
    sizes = context.pick(SIZES)
    training = context.pick(digits_cnn.SIZES)
    digits = load_digits(context, training, UNIT_RANGE)  # as in the notebook of Adebayo et al.: zero is black
    true = labels_of(digits.train)
    permuted = permute_labels(true, seed)
    plans = (
        (training.true, true, seed),
        (training.true, true, seed + 1),
        (training.permuted, permuted.labels, seed),
    )
    chosen = digits.test.take_per_class(sizes.per_class)
    images, targets = chosen.images.to(context.device), labels_of(chosen).to(context.device)
    maps: list[dict[str, Tensor]] = []
    accuracies: list[dict[str, float]] = []
    for name, (config, labels, start) in zip(NETWORKS, plans, strict=True):
        model, _ = trained_cnn(context, digits, config, labels, start=start, what=f"on {name}")
        accuracies.append(
            {
                "train": accuracy(model, digits.train.images, labels),
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
    shown = slice(0, len(chosen), max(1, len(chosen) // sizes.shown))
    store_arrays(
        folder,
        **_compared(maps, images),
        pictures=chosen.pictures()[shown][: sizes.shown, 0].numpy(),
        **{
            style: np.stack([_shown(maps[network], style, shown)[: sizes.shown] for network in (TRUE, PERMUTED)])
            for style in STYLES
        },
    )
    write_facts(
        folder,
        preset=context.config.preset,
        data=digits.title,
        train_images=len(digits.train),
        test_images=len(digits.test),
        images=len(chosen),
        shown=labels_of(chosen)[shown][: sizes.shown].tolist(),
        accuracies=accuracies,
        agreement=permuted.agreement,
        steps=sizes.steps,
        samples=sizes.samples,
        seed=seed,
    )


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
            structure[n, m] = spearman(absolute_sum(maps[network][method]), absolute_sum(images)).cpu().numpy()
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
            [list(arrays[style][network, image]) for image, network in rows],
            [("True labels", "Permuted labels")[network] for _, network in rows],
            list(METHODS.values()),
            style=style,
            caption=f"{_protocol(facts)}; maps: {get_reduction(style).title}.",
        )
        for style in STYLES
    }
    for k, key in enumerate(METRICS):
        metric = get_metric(key)
        figures[key.removesuffix("-adebayo-issue")] = boxes_figure(
            {_capital(NETWORKS[n]): arrays["scores"][n - 1, k] for n in (AGAIN, PERMUTED)},
            metric_title=f"{metric.title} ({key})",
            column_titles=list(METHODS.values()),
            undefined={_capital(NETWORKS[n]): arrays["constant"][n - 1].sum(axis=1) for n in (AGAIN, PERMUTED)},
            caption=f"Maps of a network trained as given in the legend, compared with those of one trained on the true "
            f"labels. {_protocol(facts)}; compared maps: {get_reduction(metric.reduction).title}.",
        )
    figures["input"] = boxes_figure(
        {_capital(NETWORKS[n]): arrays["input"][row] for row, n in enumerate((TRUE, PERMUTED))},
        metric_title="Rank correlation of |map| with |x − x₀|",
        column_titles=list(METHODS.values()),
        caption=f"Similarity of maps to the input. {_protocol(facts)}.",
    )
    return figures


def _capital(name: str) -> str:
    return name[0].upper() + name[1:]


def _protocol(facts: dict[str, Any]) -> str:
    true, _, permuted = facts["accuracies"]
    return (
        f"Basic CNN on {facts['data']}, preset {facts['preset']}: {facts['train_images']} training images, test "
        f"accuracy {true['test']:.3f} (true labels), training accuracy {permuted['train']:.3f} (permuted, of which "
        f"{facts['agreement']:.0%} are true by chance); target: the true class; "
        f"{facts['images']} test digits; IG of {facts['steps']} steps from black, SG of "
        f"{facts['samples']} samples, noise 15 % of the range; seed {facts['seed']}"
    )


def _claim(name: str, statement: str, paper: str) -> Claim:
    return Claim(f"labels-{name}", "Figure 7, appendix A", statement, paper)


LEARNT = _claim(
    "learnt", "The networks learn the true labels and memorize the permuted labels.", "trained; accuracy not stated"
)
FOLLOWS = _claim(
    "global-follows-input", "After label randomization the global maps still show the input.", "seen by eye"
)
STRUCTURELESS = _claim(
    "local-structureless",
    "After label randomization the local maps carry almost no structure of the input.",
    "seen by eye",
)
MULTIPLIER = _claim(
    "multiplier-similarity",
    "The multiplier makes maps of networks with true and with permuted labels more similar.",
    "similar results regardless of the parameters (abstract)",
)


def judge(folder: Path) -> list[Finding]:
    """Judge the four claims."""
    facts, arrays = read_facts(folder), stored_arrays(folder)
    true, _, permuted = facts["accuracies"]
    learnt = true["test"] >= 0.95 and permuted["train"] >= MEMORIZED
    follows = arrays["input"][1].mean(axis=1)  # (method,) of the permuted labels
    ssim = arrays["scores"][PERMUTED - 1, 0]  # (method, image)
    gains = [ssim[g] - ssim[local] for g, local in zip(GLOBAL, LOCAL, strict=True)]
    lows = [float(bootstrap_interval(gain[:, None]).low) for gain in gains]
    judged = [
        (
            LEARNT,
            f"{true['test']:.3f} of test digits, {permuted['train']:.3f} of permuted training labels",
            learnt,
            f"rule: at least 0.95 of the test digits and {MEMORIZED} of the permuted labels",
        ),
        (
            FOLLOWS,
            f"IG {follows[0]:.2f}, IG-SG {follows[1]:.2f}",
            bool((follows[[*GLOBAL]] >= 0.4).all()),
            "rule: mean rank correlation of |map| with |x − x₀| of at least 0.4, for IG and IG-SG",
        ),
        (
            STRUCTURELESS,
            f"IG {follows[2]:.2f}, IG-SG {follows[3]:.2f}",
            bool((np.abs(follows[[*LOCAL]]) <= 0.2).all()),
            "rule: mean rank correlation of |map| with |x − x₀| within ±0.2, for IG and IG-SG",
        ),
        (
            MULTIPLIER,
            f"SSIM of IG {ssim[0].mean():.2f} against {ssim[2].mean():.2f}, "
            f"of IG-SG {ssim[1].mean():.2f} against {ssim[3].mean():.2f}",
            min(lows) > 0,
            "rule: the 95 % intervals of the differences, global less local, lie above 0",
        ),
    ]
    note = "" if facts["data"] == "MNIST" else f"; judged on {facts['data']} instead of MNIST"
    if not learnt:
        note += "; training did not reach the required accuracy"
    return [
        Finding(claim, ours, "reproduced" if holds else "not reproduced", why + note)
        for claim, ours, holds, why in judged
    ]


LABELS = Experiment(
    name="data-randomization",
    title="IG and IG-SG, global and local, before and after label randomization on MNIST (figure 7)",
    compute=compute,
    draw=draw,
    judge=judge,
    covers={"Figure 7": "*"},
    inputs=Inputs(data=("MNIST",)),
)
