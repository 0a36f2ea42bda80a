"""Data randomization: maps of networks trained on true and on permuted labels."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

from probatum.attributions import METHODS, Method, attribute
from probatum.data import ImageSet
from probatum.experiments.build import configured_metric
from probatum.maps import REDUCTIONS, get_reduction
from probatum.metrics import get_metric, is_constant
from probatum.randomization import permute_labels
from probatum.report import Interval, bootstrap_interval, grid_figure
from probatum.report.bars import bars_figure
from probatum.reproductions.adebayo2018 import rules
from probatum.reproductions.adebayo2018.checks import STYLES, drawable, panel, reduced
from probatum.reproductions.adebayo2018.rules import NO_CORRELATION, SENSITIVE, Measured, conclude
from probatum.reproductions.adebayo2018.setting import (
    CONTROL,
    METRICS,
    NETWORKS,
    SIZES,
    AdebayoSizes,
    datasets,
    load_small,
    methods_for,
    substitution_of,
    title_of,
    trained,
)
from probatum.reproductions.base import (
    Claim,
    Context,
    Finding,
    read_facts,
    store_arrays,
    stored_arrays,
    write_facts,
)
from probatum.reproductions.findings import joined

WHERE = "data randomization, CNN on MNIST"  # the paper's numbers are read off its bars
MEMORIZED = Claim(
    "labels-memorized",
    "data randomization",
    "A network can memorize permuted labels.",
    "training accuracy of at least 0.95",
)
DEPENDENT = Claim(
    "labels-sensitive",
    WHERE,
    "Gradient and Grad-CAM depend on the labels.",
    "ABS rank correlation 0.17 and 0.02",
)
PRODUCTS = Claim(
    "labels-products",
    WHERE,
    "Integrated Gradients and Input × Gradient highlight the same regions under random labels.",
    "ABS rank correlation 0.99 and 0.99",
)
GUIDED = Claim(
    "labels-guided-backprop",
    WHERE,
    "Guided Backprop depends on the labels less than Gradient does.",
    "ABS rank correlation 0.57, Gradient 0.17",
)
GUIDED_CAM = Claim(
    "labels-guided-grad-cam",
    WHERE,
    "Guided Grad-CAM depends on the labels less than Gradient does.",
    "ABS rank correlation 0.57, Gradient 0.17",
)
SIGNS = Claim(
    "labels-sign",
    f"{WHERE}, no ABS",
    "With their signs, the maps of no method are similar under true and random labels.",
    "signed rank correlation from 0.0 to 0.14",
)
MLP = Claim("labels-mlp", "data randomization, MLP", "An MLP shows the same.", "no numbers available")

ENOUGH = 0.95  # training accuracy
SAME_PLACES = 0.8  # ABS rank correlation
COLUMNS = (
    *("gradient", "smoothgrad", "guided-backprop", "grad-cam", "guided-grad-cam"),
    *("integrated-gradients", "integrated-gradients-sg", "input-x-gradient", CONTROL),
)
"""The columns of the paper's figure, and the control."""

SHOWN = ("spearman-abs", "spearman", "ssim")


def compute(context: Context, folder: Path) -> None:
    """Train each network on true and on permuted labels of the same images, and compare their maps."""
    sizes, names = context.pick(SIZES), datasets(context)
    conditions: list[dict[str, Any]] = []
    arrays: dict[str, np.ndarray] = {}
    for dataset in names:
        training = load_small(context, dataset, "train", sizes.memorized)
        test = load_small(context, dataset, "test", sizes.test_images)
        assert training.labels is not None
        permuted = permute_labels(training.labels, context.config.seed)
        shuffled = replace(training, labels=permuted.labels)
        explained = test.take_per_class(sizes.per_class)
        for network in NETWORKS:
            name, title = f"{network}-{dataset}", title_of(network, dataset)
            true, true_report = trained(context, network, training, test, sizes.true_labels, f"{title}, true labels")
            other, report = trained(context, network, shuffled, test, sizes.memorizing, f"{title}, permuted labels")
            found = _compare(context, sizes, network, true, other, explained)
            arrays |= {f"{name}-{key}": values for key, values in found.items()}
            conditions.append(
                {
                    "name": name,
                    "title": title,
                    "network": network,
                    "methods": list(_methods(network, sizes)),
                    "images": len(training),
                    "test_accuracy": true_report.best_accuracy,
                    "random_accuracy": report.best_accuracy,
                    "random_epochs": len(report.history),
                    "agreement": permuted.agreement,
                    "explained": len(explained),
                    "classes": _classes(explained, sizes.drawn),
                }
            )
    protocol = f"{sizes.points}; preset {context.config.preset}, seed {context.config.seed}"
    store_arrays(folder, **arrays)
    write_facts(folder, conditions=conditions, substitution=substitution_of(names), protocol=protocol)


def _methods(network: str, sizes: AdebayoSizes) -> dict[str, Method]:
    """The methods that the network allows, in the order of the paper's figure."""
    methods = methods_for(network, sizes.points)
    return {name: methods[name] for name in COLUMNS if name in methods}


def _classes(data: ImageSet, count: int) -> list[str]:
    assert data.labels is not None
    assert data.class_names is not None
    return [data.class_names[label] for label in data.labels[:count].tolist()]


def _compare(
    context: Context, sizes: AdebayoSizes, network: str, true: nn.Module, other: nn.Module, data: ImageSet
) -> dict[str, np.ndarray]:
    """Scores (method, metric, image), which maps were constant, and the maps that will be drawn."""
    assert data.labels is not None
    images, targets = data.images.to(context.device), data.labels.to(context.device)
    methods = _methods(network, sizes)
    first, second = (
        attribute(model, images, targets, methods, seed=context.config.seed, memory_budget=context.config.memory_budget)
        for model in (true, other)
    )
    metrics = [configured_metric(name, data.images.shape[2:]) for name in METRICS]

    def score(method: str) -> np.ndarray:
        rows = []
        for metric in metrics:
            reduce = get_reduction(metric.reduction)
            rows.append(metric(reduce(first[method]), reduce(second[method])))
        return torch.stack(rows).cpu().double().numpy()

    def shown(maps: Tensor) -> np.ndarray:
        return reduced(maps[: sizes.drawn].float().cpu().numpy())

    return {
        "scores": np.stack([score(method) for method in methods]),
        "constant": np.stack([(is_constant(first[m]) | is_constant(second[m])).cpu().numpy() for m in methods]),
        "maps": np.stack(
            [np.stack([shown(first[m]), shown(second[m])]) for m in methods]
        ),  # (method, labels, image, ...)
    }


def draw(folder: Path) -> dict[str, Figure]:
    """For each network the two rows of maps in both styles, and bars of their similarity."""
    facts, arrays = read_facts(folder), stored_arrays(folder)
    figures = {}
    for condition in facts["conditions"]:
        caption = f"{_about(condition)}; target: the true class; {facts['protocol']}"
        methods = [METHODS[method].title for method in condition["methods"]]
        maps = arrays[f"{condition['name']}-maps"]
        titles = [f"{name}: {labels} labels" for name in condition["classes"] for labels in ("true", "random")]
        for style in STYLES:
            # (method, labels, image, height, width) -> a row for each image and labeling
            rows = panel(maps, style).transpose(2, 1, 0, 3, 4)
            figures[f"{condition['name']}-{style}"] = grid_figure(
                [drawable(row) for row in rows.reshape(-1, *rows.shape[2:])],
                titles,
                methods,
                style=style,
                caption=f"{caption}; maps: {REDUCTIONS[style].title}.",
            )
        scores = arrays[f"{condition['name']}-scores"]
        constant = int(arrays[f"{condition['name']}-constant"].sum())
        figures[f"{condition['name']}-similarity"] = bars_figure(
            {
                get_metric(metric).title: {
                    METHODS[method].title: bootstrap_interval(scores[row, METRICS.index(metric), :, None])
                    for row, method in enumerate(condition["methods"])
                }
                for metric in SHOWN
            },
            control=METHODS[CONTROL].title,
            caption=f"{caption}. Bars: mean over {condition['explained']} test images with its 95 % bootstrap "
            "interval; "
            f"{constant} comparisons with a constant map.",
        )
    return figures


def _about(condition: dict[str, Any]) -> str:
    """Describe the training for a caption."""
    return (
        f"{condition['title']}, both trained on the same {condition['images']} images: true labels (test accuracy "
        f"{condition['test_accuracy']:.3f}) and permuted labels (training accuracy {condition['random_accuracy']:.3f}, "
        f"{100 * condition['agreement']:.0f} % of them true by chance)"
    )


@dataclass(frozen=True, eq=False)
class _Condition:
    """One network's facts with the scores of its methods."""

    facts: dict[str, Any]
    scores: np.ndarray

    def of(self, method: str, metric: str = "spearman-abs") -> np.ndarray:
        """(image, 1) scores of a method."""
        scores: np.ndarray = self.scores[self.facts["methods"].index(method), METRICS.index(metric), :, None]
        return scores

    def means(self, methods: Sequence[str], metric: str = "spearman-abs") -> dict[str, Interval]:
        """Mean scores of those of the methods that the network allows, with their intervals."""
        allowed = [method for method in methods if method in self.facts["methods"]]
        return {method: bootstrap_interval(self.of(method, metric)) for method in allowed}


def _memorized(condition: _Condition) -> Measured:
    share, epochs = condition.facts["random_accuracy"], condition.facts["random_epochs"]
    ours = f"training accuracy {share:.3f} after {epochs} epochs on {condition.facts['images']} images"
    return Measured(ours, share >= ENOUGH)


def _dependent(condition: _Condition) -> Measured:
    found = condition.means(("gradient", "grad-cam"))
    return Measured(rules.listed(found), all(one.high < SENSITIVE for one in found.values()))


def _same_places(condition: _Condition) -> Measured:
    found = condition.means(("integrated-gradients", "input-x-gradient"))
    return Measured(rules.listed(found), all(one.low > SAME_PLACES for one in found.values()))


def _above_gradient(condition: _Condition, method: str) -> Measured:
    gain = bootstrap_interval(condition.of(method) - condition.of("gradient"))
    return Measured(rules.listed(condition.means((method, "gradient"))), bool(gain.low > 0))


def _signs_change(condition: _Condition) -> Measured:
    found = condition.means([name for name in condition.facts["methods"] if name != CONTROL], "spearman")
    return Measured(rules.listed(found), all(one.mean <= NO_CORRELATION for one in found.values()))


_GAIN = "the 95 % interval of the gain over Gradient on the same images lies above 0"
_RULES: tuple[tuple[Claim, Callable[[_Condition], Measured], str], ...] = (
    (DEPENDENT, _dependent, f"the 95 % interval over test images lies below {SENSITIVE} for each"),
    (PRODUCTS, _same_places, f"the 95 % interval over test images lies above {SAME_PLACES} for each"),
    (GUIDED, lambda condition: _above_gradient(condition, "guided-backprop"), _GAIN),
    (GUIDED_CAM, lambda condition: _above_gradient(condition, "guided-grad-cam"), _GAIN),
    (SIGNS, _signs_change, f"a mean of at most {NO_CORRELATION} for each"),
)


def judge(folder: Path) -> list[Finding]:
    """Judge the claims on data randomization on CNNs, since the paper's numbers are those of the CNN."""
    facts, arrays = read_facts(folder), stored_arrays(folder)
    conditions = {
        condition["title"]: _Condition(condition, arrays[f"{condition['name']}-scores"])
        for condition in facts["conditions"]
    }
    cnns = {title: condition for title, condition in conditions.items() if condition.facts["network"] == "basic_cnn"}
    constant = sum(int(arrays[f"{condition['name']}-constant"].sum()) for condition in facts["conditions"])
    missed = [title for title, condition in conditions.items() if not _memorized(condition).met]
    note = joined(
        f"{constant} comparisons with a constant map" if constant else "",
        f"less than {ENOUGH} of the permuted labels were learned: {', '.join(missed)}" if missed else "",
        facts["substitution"],
    )
    findings = [
        conclude(
            MEMORIZED,
            {t: _memorized(condition) for t, condition in conditions.items()},
            f"at least {ENOUGH}",
            facts["substitution"],
        )
    ]
    for claim, rule, meaning in _RULES:
        findings.append(conclude(claim, {title: rule(condition) for title, condition in cnns.items()}, meaning, note))
    mlps = {title: _all_rules(condition) for title, condition in conditions.items() if title not in cnns}
    ours = "; ".join(f"{title}: {one.ours}" for title, one in mlps.items())
    why = "the paper's numbers are not available; ours under the rules of the CNN, except those on Grad-CAM"
    return [*findings, Finding(MLP, ours, "not comparable", joined(why, note))]


def _all_rules(condition: _Condition) -> Measured:
    """All rules that an MLP allows, as one."""
    measured = {claim.name: rule(condition) for claim, rule, _ in _RULES if claim is not GUIDED_CAM}
    missed = [name for name, one in measured.items() if not one.met]
    ours = ", ".join(one.ours for claim, one in measured.items() if claim != SIGNS.name)
    return Measured(f"{ours}; missed: {', '.join(missed) or 'none'}", not missed)
