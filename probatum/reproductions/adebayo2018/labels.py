"""Data randomization: maps of networks trained on true and on permuted labels.

The paper's numbers are read off the bars of its figures. Its signed correlations do not rest on the same maps as its
absolute ones: Grad-CAM has no negative values, so that both must be equal, and the bars say 0.02 and 0.01 on MNIST,
−0.06 and 0.08 on Fashion-MNIST. This is as near as we came to the reason why Guided Backprop's signed correlation is
0.12 there and 0.4 to 0.5 here. Tried in vain, with 300 digits, 40 test digits and networks of one seed (signed
correlation of Guided Backprop; 0.47 where both networks begin with the same weights and the true class is explained):

    1. the class that each network predicts itself is explained: 0.48;
    2. each network begins with other weights, as the authors' script does: 0.37; with 1. as well: 0.39;
    3. the authors' first weights, truncated N(0, 0.1²) and biases of 0.1: 0.55, with 2. 0.45, with 1. and 2. 0.45;
    4. 2. and 3. with 1,000 digits: 0.46 over three pairs of trainings;
    5. 4. with a network of true labels that was trained on 55,000 images: 0.51, without 0.49 (one pair).

Each map of Guided Backprop has a signed correlation of about 0.4 with the digit itself, whatever its network learned
(0.42, 0.39 and 0.44 for the networks of 5.). So two such maps are alike because both show the digit.

Not tried: 55,000 memorized labels. L2 regularization is an option of their script that is off by default.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure
from torch import Tensor, nn

from probatum.attributions import METHODS, Method
from probatum.data import ImageSet
from probatum.experiments.build import configured_metric
from probatum.maps import REDUCTIONS
from probatum.metrics import get_metric
from probatum.randomization import permute_labels
from probatum.report import bootstrap_interval, grid_figure
from probatum.report.bars import bars_figure
from probatum.reproductions.adebayo2018.checks import STYLES, panel, reduced
from probatum.reproductions.adebayo2018.rules import GUIDED, as_authors, authors
from probatum.reproductions.adebayo2018.setting import (
    CONTROL,
    INPUTS,
    METRICS,
    NETWORKS,
    SIZES,
    TRAINING_IMAGES,
    datasets,
    explained_images,
    load_split,
    methods_for,
    setting_of,
    title_of,
    title_of_method,
    trained,
    used_on,
    weights_of,
)
from probatum.reproductions.base import Context, store_arrays, write_facts
from probatum.reproductions.digits import MNIST, Digits, labels_of, similarity
from probatum.reproductions.hatching import drawable
from probatum.reproductions.results import Claims, Results, experiment
from probatum.reproductions.rules import Mean, Outcome, above, all_of, between, fact, measure, span
from probatum.reproductions.subjects import explain

WITHIN = 0.2  # how near a number must be to one that is read off a bar
ENOUGH = 0.95  # training accuracy
OPEN = "why the paper's number is lower is open; the differences that were tried are listed under difference 8"
COLUMNS = (
    *("gradient", "smoothgrad", "guided-backprop", "grad-cam-pair", "guided-grad-cam-pair"),
    *("integrated-gradients", "integrated-gradients-sg", "input-x-gradient", "grad-cam", "guided-grad-cam", CONTROL),
)
"""The columns of the paper's figure, the published Grad-CAM, and the control."""

SHOWN = ("spearman-abs", "spearman", "ssim")


def compute(context: Context, folder: Path) -> None:
    """Train networks on true and on permuted labels of the same images, and compare their maps in pairs."""
    sizes, sets = context.pick(SIZES), datasets(context)
    conditions: list[dict[str, Any]] = []
    arrays: dict[str, np.ndarray] = {}
    for dataset in sets:
        split, explained = load_split(context, dataset, sizes.memorized), explained_images(context, dataset)
        names = explained.class_names or ()
        for network in NETWORKS:
            pairs = [_pair(context, network, split, turn) for turn in range(sizes.label_trainings)]
            found = [_compare(context, network, pair, explained) for pair in pairs]
            name = f"{network}-{dataset}"
            arrays[f"{name}-scores"] = np.stack([one["scores"] for one in found])
            arrays[f"{name}-maps"] = found[0]["maps"]
            conditions.append(
                {
                    "name": name,
                    "title": title_of(network, dataset),
                    "network": network,
                    "dataset": dataset,
                    "methods": list(methods_of(context, network)),
                    "images": len(split.train),
                    "test_accuracy": [pair.accuracy for pair in pairs],
                    "random_accuracy": [pair.memorized for pair in pairs],
                    "random_epochs": [pair.epochs for pair in pairs],
                    "agreement": pairs[0].agreement,
                    "explained": len(explained),
                    "classes": [names[label] for label in labels_of(explained)[: sizes.drawn].tolist()],
                }
            )
    protocol = (
        f"first weights by the initializer {weights_of(context)}, other ones for each network; {sizes.points}; "
        f"preset {context.config.preset}, seed {context.config.seed}"
    )
    store_arrays(folder, **arrays)
    write_facts(
        folder,
        conditions=conditions,
        setting=setting_of(sets, sizes.memorized).to_json(),
        used=used_on(sets),
        protocol=protocol,
    )


@dataclass(frozen=True, eq=False)
class _Pair:
    """A network of true labels and one of permuted labels, with facts about their trainings."""

    true: nn.Module
    other: nn.Module
    accuracy: float
    memorized: float
    epochs: int
    agreement: float


def _pair(context: Context, network: str, split: Digits, turn: int) -> _Pair:
    """Train a pair whose networks begin with different weights, as those of the authors' scripts do."""
    sizes = context.pick(SIZES)
    permuted = permute_labels(labels_of(split.train), context.config.seed + turn)
    what = f"{title_of(network, split.name)}, {{}} labels, {turn + 1} of {sizes.label_trainings}"
    true, report = trained(context, network, split, sizes.true_labels, what.format("true"), 2 * turn)
    other, by_heart = trained(
        context, network, split, sizes.memorizing, what.format("permuted"), 2 * turn + 1, permuted.labels
    )
    return _Pair(true, other, report.best_accuracy, by_heart.best_accuracy, len(by_heart.history), permuted.agreement)


def methods_of(context: Context, network: str) -> dict[str, Method]:
    """The methods that the network allows, in the order of the paper's figure."""
    methods = methods_for(network, context.pick(SIZES).points)
    return {name: methods[name] for name in COLUMNS if name in methods}


def _compare(context: Context, network: str, pair: _Pair, data: ImageSet) -> dict[str, np.ndarray]:
    """Scores (method, metric, image), NaN where a map is constant, and the maps that will be drawn."""
    methods = methods_of(context, network)
    first, second = (
        explain(context, model, data.images, labels_of(data), methods, f"maps of the network of {labels} labels")
        for model, labels in ((pair.true, "true"), (pair.other, "permuted"))
    )

    def shown(maps: Tensor) -> np.ndarray:
        return reduced(maps[: context.pick(SIZES).drawn].float().numpy())

    metrics = {name: configured_metric(name, data.images.shape[2:]) for name in METRICS}
    maps = [np.stack([shown(first[name]), shown(second[name])]) for name in methods]
    return {"scores": similarity(first, second, metrics), "maps": np.stack(maps)}  # maps (method, labels, image, ...)


@dataclass(frozen=True, eq=False)
class Condition:
    """One network's facts with the scores (training, method, metric, image) of its methods."""

    facts: dict[str, Any]
    scores: Float[np.ndarray, "training method metric image"]

    def of(self, method: str, metric: str) -> Float[np.ndarray, "training image"]:
        """The scores of a method."""
        table: np.ndarray = self.scores[:, self.facts["methods"].index(method), METRICS.index(metric)]
        return table

    def mean(self, method: str, metric: str) -> Mean:
        """Mean score of a method."""
        return measure(title_of_method(method), self.of(method, metric), "training", "image").within(-1.0, 1.0)

    def noted(self, outcome: Outcome) -> Outcome:
        """The outcome, with a note where the labels were not learned."""
        missed = min(self.facts["random_accuracy"]) < ENOUGH
        return outcome.noting(f"less than {ENOUGH} of the permuted labels were learned" if missed else "")


class Labels(Results):
    """The networks of true and of permuted labels on every data set."""

    @property
    def conditions(self) -> list[Condition]:
        """Each network on each data set."""
        return [Condition(one, self.arrays[f"{one['name']}-scores"]) for one in self.facts["conditions"]]

    def on_digits(self, network: str) -> Condition:
        """A network on MNIST or what replaced it, of which the paper has numbers."""
        return next(one for one in self.conditions
                    if one.facts["network"] == network and one.facts["dataset"] != "fashion-mnist")  # fmt: skip


def draw(found: Labels) -> dict[str, Figure]:
    """For each network the two rows of maps in both styles, and bars of their similarity."""
    figures = {}
    for condition in found.facts["conditions"]:
        caption = f"{_about(condition)}; target: the true class; {found.facts['protocol']}"
        methods = [title_of_method(method) for method in condition["methods"]]
        maps = found.arrays[f"{condition['name']}-maps"]
        titles = [f"{name}: {labels} labels" for name in condition["classes"] for labels in ("true", "random")]
        for style in STYLES:
            # (method, labels, image, height, width) -> a row for each image and labeling
            rows = panel(maps, style).transpose(2, 1, 0, 3, 4)
            figures[f"{condition['name']}-{style}"] = grid_figure(
                [drawable(row) for row in rows.reshape(-1, *rows.shape[2:])],
                titles,
                methods,
                style=style,
                caption=f"{caption}; the first training; maps: {REDUCTIONS[style].title}.",
            )
        scores = found.arrays[f"{condition['name']}-scores"]  # (training, method, metric, image)
        dead = int(np.isnan(scores[:, :, 0]).sum())
        left_out = f"; {dead} comparisons with a constant map are left out" if dead else ""
        figures[f"{condition['name']}-similarity"] = bars_figure(
            {
                get_metric(metric).title: {
                    title: bootstrap_interval(scores[:, row, METRICS.index(metric)].T)
                    for row, title in enumerate(methods)
                }
                for metric in SHOWN
            },
            control=METHODS[CONTROL].title,
            caption=f"{caption}. Bars: mean over {len(scores)} pairs of trainings and {condition['explained']} test "
            f"images with its 95 % bootstrap interval{left_out}.",
        )
    return figures


def _about(condition: dict[str, Any]) -> str:
    """Describe the trainings for a caption."""
    return (
        f"{condition['title']}, both trained on the same {condition['images']} images: true labels (test accuracy "
        f"{span(condition['test_accuracy'])}) and permuted labels (training accuracy "
        f"{span(condition['random_accuracy'])}, {100 * condition['agreement']:.0f} % of them true by chance)"
    )


PAPER = {
    "basic_cnn": {
        "gradient": (0.17, 0.09),
        "smoothgrad": (0.25, 0.10),
        "guided-backprop": (0.57, 0.12),
        "grad-cam": (0.02, 0.01),
        "guided-grad-cam": (0.57, 0.12),
        "integrated-gradients": (0.99, 0.14),
        "integrated-gradients-sg": (0.46, 0.12),
        "input-x-gradient": (0.99, 0.13),
    },
    "mlp": {
        "gradient": (0.61, 0.11),
        "smoothgrad": (0.60, 0.11),
        "guided-backprop": (0.70, 0.20),
        "integrated-gradients": (0.99, 0.10),
        "integrated-gradients-sg": (0.80, 0.07),
        "input-x-gradient": (0.99, 0.09),
    },
}
"""The paper's rank correlations on MNIST, with ABS and with signs, read off the bars of its figures."""

claims = Claims(Labels, about=(MNIST, TRAINING_IMAGES))


@claims(
    "labels-memorized",
    "A network can memorize permuted labels.",
    "training accuracy of at least 0.95",
    where="data randomization",
    about=(),
)
def _memorized(found: Labels) -> Outcome:
    """Every training reaches the accuracy at which it stops."""
    facts = [condition.facts for condition in found.conditions]
    least = min(accuracy for one in facts for accuracy in one["random_accuracy"])
    words = (
        f"{one['title']}: training accuracy {span(one['random_accuracy'])} after at most "
        f"{max(one['random_epochs'])} epochs on {one['images']} images, {len(one['random_epochs'])} trainings"
        for one in facts
    )
    return fact(least >= ENOUGH, "; ".join(words), f"every training reaches {ENOUGH}")


def _add_numbers(network: str, name: str, where: str) -> None:
    """Add the claims on a network of digits, whose numbers the paper has.

    Args:
        network: a key of `PAPER`.
        name: begins the names of the claims.
        where: of the paper.
    """
    numbers = PAPER[network]
    kinds = {
        "sign": [method for method in numbers if method not in GUIDED],
        "sign-guided": [method for method in numbers if method in GUIDED],
    }

    @claims.each(
        {method: f"{_statement(absolute)}: {METHODS[method].title}" for method, (absolute, _) in numbers.items()},
        f"{name}-{{key}}",
        "{title}.",
        {method: f"ABS rank correlation {absolute:.2f}" for method, (absolute, _) in numbers.items()},
        where=where,
    )
    def absolute(method: str, found: Labels) -> Outcome:
        """The ABS rank correlation is near the paper's."""
        condition, number = found.on_digits(network), numbers[method][0]
        near = as_authors(lambda own: _near(condition.mean(own, "spearman-abs"), number), method)
        return condition.noted(near)

    @claims.each(
        {"sign": "no method but the guided ones", "sign-guided": "no guided method"},
        f"{name}-{{key}}",
        "With their signs, the maps of {title} are similar under true and random labels.",
        {key: f"signed rank correlation: {_signed_numbers(numbers, kinds[key])}" for key in kinds},
        where=where,
    )
    def signed(kind: str, found: Labels) -> Outcome:
        """The signed rank correlation of each method is near the paper's."""
        condition = found.on_digits(network)
        means = {method: condition.mean(authors(method), "spearman") for method in kinds[kind]}
        rule = f"the 95 % interval lies within {WITHIN} of the paper's number"
        found_near = all_of((_near(mean, numbers[method][1]) for method, mean in means.items()), rule)
        return condition.noted(found_near.noting(OPEN if (network, kind) == ("basic_cnn", "sign-guided") else ""))


def _signed_numbers(numbers: Mapping[str, tuple[float, float]], methods: Sequence[str]) -> str:
    return ", ".join(f"{METHODS[method].title} {numbers[method][1]:.2f}" for method in methods)


def _near(mean: Mean, number: float) -> Outcome:
    """A correlation is near one that is read off a bar; none is above 1."""
    if number + WITHIN > 1:
        return above(mean, number - WITHIN)
    return between(mean, number - WITHIN, number + WITHIN)


def _statement(number: float) -> str:
    if number >= 0.9:
        return "Random labels leave the map as it is"
    return "Random labels change the map" if number < 0.5 else "Random labels change the map in part"


_add_numbers("basic_cnn", "labels", "data randomization, CNN on MNIST")


@claims.each(
    GUIDED,
    "labels-{key}-above",
    "{title} depends on the labels less than Gradient does.",
    "ABS rank correlation 0.57, Gradient 0.17",
    where="data randomization, CNN on MNIST",
)
def _less(method: str, found: Labels) -> Outcome:
    """The ABS rank correlation is above Gradient's on the same images."""
    condition = found.on_digits("basic_cnn")

    def gain(own: str) -> Outcome:
        scores = condition.of(own, "spearman-abs") - condition.of("gradient", "spearman-abs")
        return above(measure(f"{title_of_method(own)} less Gradient", scores, "training", "image"), 0.0)

    return condition.noted(as_authors(gain, method))


_add_numbers("mlp", "labels-mlp", "data randomization, MLP on MNIST")

LABELS = experiment(
    "data-randomization",
    "True and permuted labels, CNN and MLP",
    compute,
    draw,
    claims,
    covers={"Figure 5": "*"},
    inputs=INPUTS,
)
