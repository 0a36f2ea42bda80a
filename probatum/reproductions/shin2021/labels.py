"""Figures 3 and 4: maps of networks trained on true and permuted labels of 200 digits."""

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from matplotlib.figure import Figure
from torch import Tensor, nn

from probatum.data import MNIST_RGB_64
from probatum.maps import get_reduction
from probatum.models import TrainingConfig, TrainingReport, accuracy
from probatum.models.stages import STAGES
from probatum.randomization import permute_labels
from probatum.report import Interval, grid_figure
from probatum.report.dots import dots_figure
from probatum.reproductions.base import Context, Inputs, store_arrays, write_facts
from probatum.reproductions.digits import MNIST, Digits, digits_setting, labels_of, load_digits, similarity, trained
from probatum.reproductions.hatching import drawable
from probatum.reproductions.results import Claims, Results, experiment
from probatum.reproductions.rules import Outcome, above, between, fact, measure
from probatum.reproductions.setting import Setting
from probatum.reproductions.shin2021.setting import (
    IMAGES,
    LAYERS,
    METHODS,
    METRICS,
    NETWORKS,
    SAMPLES,
    TITLES,
    methods,
    percentile_range,
)
from probatum.reproductions.subjects import Subject, explain

SHOWN = 7  # the class of Figure 3


@dataclass(frozen=True)
class LabelSizes:
    """Sizes of the experiment.

    Args:
        width: factor on the printed widths of the networks.
        train_images: whose labels are learnt.
        explained: test images with maps.
        tested: test images that measure accuracy.
        training: the recipe of each network, up to the seed.
    """

    width: float
    train_images: int
    explained: int
    tested: int
    training: dict[str, TrainingConfig]


# Appendix B.1 allows 200 epochs, B.6.2 logs 203 of 249 for AlexNet on permuted labels.
_PAPER = TrainingConfig(250, 16, 0.001, "sgd", 0.9, monitor="train", target_accuracy=0.95)
SIZES = {
    "paper": LabelSizes(1.0, 200, 100, 10_000, {"alexnet": _PAPER, "vgg11": _PAPER}),
    "cpu": LabelSizes(
        0.125,
        200,
        50,
        1_000,
        {
            "alexnet": TrainingConfig(150, 16, 1e-3, "adam", monitor="train", target_accuracy=0.95),
            "vgg11": TrainingConfig(150, 16, 5e-4, "adam", monitor="train", target_accuracy=0.95),
        },
    ),
    "quick": LabelSizes(
        0.125,
        200,
        40,
        1_000,
        {
            "alexnet": TrainingConfig(150, 16, 1e-3, "adam", monitor="train", target_accuracy=0.95),
            "vgg11": TrainingConfig(150, 16, 5e-4, "adam", monitor="train", target_accuracy=0.95),
        },
    ),
}

TRAININGS = 3
MODELS = {
    f"{labels}-{turn}": (f"{labels} labels, {turn + 1} of {TRAININGS}", turn)
    for turn in range(TRAININGS)
    for labels in ("true", "permuted")
}
"""The trained networks: their labels, and what is added to the seed of first weights, order of images and dropout."""

COMPARED = {
    "true | permuted labels": ("permuted", 0),
    "true | permuted labels, other first weights": ("permuted", 1),
    "true | true labels, other first weights": ("true", 1),
}
"""With which labels, and training how much later, each network of true labels is compared. The first is the paper's,
whose appendix has one seed: both networks begin with the same weights. The other two tell what the labels do from what
the first weights do."""


def digits(context: Context, sizes: LabelSizes) -> Digits:
    """Training and test digits, MNIST where it is, as appendix B.5 prepares them."""
    return load_digits(context, sizes.train_images, max(sizes.tested, sizes.explained), MNIST_RGB_64)


def network(context: Context, name: str, key: str, sizes: LabelSizes, data: Digits) -> tuple[nn.Module, TrainingReport]:
    """Trains one of `MODELS` on the context's device."""
    labels, again = MODELS[key]
    seed = context.config.seed
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed + again)
        model = NETWORKS[name](10, sizes.width).to(context.device)
    known = labels_of(data.train)
    if key.startswith("permuted"):
        known = permute_labels(known, seed).labels
    config = replace(sizes.training[name], seed=seed + again)
    return model, trained(context, model, data, config, f"{TITLES[name]} on {labels}", known)


def digit_subjects(context: Context, count: int) -> list[Subject]:
    """The networks of Figure 4 trained on true labels, with test digits, in the place of pretrained networks."""
    sizes = context.pick(SIZES)
    data = digits(context, sizes)
    stand_in = (
        f"AlexNet and VGG-11 of appendix B at {sizes.width:g} of the printed widths, trained on {sizes.train_images} "
        f"images of {data.title}, instead of pretrained networks, and test digits instead of photographs"
    )
    missing = "small networks were trained on digits: give --model, --weights and --photographs or --data-dir"
    return [
        Subject(
            name=name,
            title=TITLES[name],
            model=network(context, name, "true-0", sizes, data)[0],
            data=replace(data.test.subset(range(count)), name=data.title),
            setting=Setting((stand_in,), dict.fromkeys(IMAGES, missing)),
            stages=STAGES[name],
            layer=LAYERS[name],
            class_names=data.test.class_names,
        )
        for name in NETWORKS
    ]


def compute(context: Context, folder: Path) -> None:
    """Trains six networks of each kind and correlates their maps."""
    sizes = context.pick(SIZES)
    data = digits(context, sizes)
    chosen = data.test.subset(range(sizes.explained))
    shown = int((labels_of(chosen) == SHOWN).nonzero()[0])
    training: dict[str, Any] = {}
    scores, ceiling, drawn = [], [], []
    for name in NETWORKS:
        table = methods(MNIST_RGB_64, LAYERS[name])
        maps: dict[str, dict[str, Tensor]] = {}
        training[name] = {}
        for key in MODELS:
            model, report = network(context, name, key, sizes, data)
            tested = accuracy(model, data.test.images[: sizes.tested], labels_of(data.test)[: sizes.tested])
            training[name][key] = {"epochs": len(report.history), "train": report.best_accuracy, "test": tested}
            what = f"{TITLES[name]}, {MODELS[key][0]}"
            maps[key] = explain(context, model, chosen.images, labels_of(chosen), table, what)
            if key == "true-0":
                smooth = {"smoothgrad": table["smoothgrad"]}
                again = explain(context, model, chosen.images, labels_of(chosen), smooth, what, again=1)
                ceiling.append(similarity(maps[key], again, METRICS)[0])
        scores.append(
            [
                [
                    similarity(maps[f"true-{turn}"], maps[f"{kind}-{(turn + later) % TRAININGS}"], METRICS)
                    for turn in range(TRAININGS)
                ]
                for kind, later in COMPARED.values()
            ]
        )
        reduce = get_reduction("abs-normalized")
        drawn.append([[reduce(found[m][shown : shown + 1])[0, 0].numpy() for m in METHODS] for found in maps.values()])
    store_arrays(
        folder,
        # (network, comparison, training, method, metric, image), and the metric in front of all
        scores=np.moveaxis(np.array(scores), 4, 0),
        ceiling=np.moveaxis(np.array(ceiling), 1, 0),
        maps=np.array(drawn),
        picture=chosen.pictures()[shown].numpy(),
    )
    write_facts(
        folder,
        preset=context.config.preset,
        data=data.title,
        used=f"AlexNet and VGG-11 of appendix B{_scale(sizes.width)} on {data.title}",
        seed=context.config.seed,
        width=sizes.width,
        train_images=sizes.train_images,
        tested=sizes.tested,
        training=training,
        agreement=permute_labels(labels_of(data.train), context.config.seed).agreement,
        recipes={name: asdict(recipe) for name, recipe in sizes.training.items()},
    )


def _scale(width: float) -> str:
    return "" if width == 1 else f" at {width:g} of the printed widths"


class Trainings(Results):
    """The trained networks and the correlations of their maps."""

    @property
    def setting(self) -> Setting:
        """What replaced the paper's networks, training and data."""
        width = self.facts["width"]
        smaller = {} if width == 1 else {WIDTHS: f"{width:g} of the widths and Adam"}
        return digits_setting(self.facts["data"], smaller)

    def scores(
        self, network: str, method: str, metric: str = "magnitude", compared: int = 0
    ) -> Float[np.ndarray, "training image"]:
        """The correlations of a method between pairs of networks, by default the paper's of `COMPARED`."""
        place = (list(METRICS).index(metric), list(NETWORKS).index(network), compared)
        found: Float[np.ndarray, "training image"] = self.arrays["scores"][place][:, list(METHODS).index(method)]
        return found

    def reached(self, what: str, *kinds: str) -> tuple[list[float], str]:
        """The numbers of epochs or accuracies of all networks of some kinds of labels, and these in words."""
        numbers, words = [], []
        for network, runs in self.facts["training"].items():
            for kind in kinds:
                own = [float(run[what]) for key, run in runs.items() if key.startswith(kind)]
                numbers += own
                words.append(f"{TITLES[network]}, {kind} labels: {', '.join(f'{value:.3g}' for value in own)}")
        return numbers, "; ".join(words)

    @property
    def constants(self) -> str:
        """How many pairs of each method have a constant map."""
        missing = np.isnan(self.arrays["scores"][0])  # (network, comparison, training, method, image)
        return ", ".join(
            f"{title} {int(missing[..., m, :].sum())} of {missing[..., m, :].size} pairs"
            for m, title in enumerate(METHODS.values())
        )


def draw(found: Trainings) -> dict[str, Figure]:
    """Figure 3, the maps of one digit, and Figure 4, the correlations over all of them."""
    facts, arrays = found.facts, found.arrays
    scale = _scale(facts["width"]) or " as printed"
    protocol = (
        f"Preset {facts['preset']}: AlexNet and VGG-11 of appendix B{scale}, {facts['train_images']} training images "
        f"of {facts['data']}, seed {facts['seed']}; maps of the true class, SmoothGrad n = {SAMPLES}, σ = 20/255."
    )
    pairs = [(n, m) for n in range(len(NETWORKS)) for m, key in enumerate(MODELS) if key.endswith("-0")]
    titles, models = list(TITLES.values()), list(MODELS.values())
    maps = grid_figure(
        [drawable(arrays["maps"][n, m, method] for n, m in pairs) for method in range(len(METHODS))],
        list(METHODS.values()),
        [f"{titles[n]}, {models[m][0]}" for n, m in pairs],
        image=np.clip(arrays["picture"][0], 0, 1),
        image_title=f"class {SHOWN}",
        caption=f"Figure 3. {protocol} Maps: {get_reduction('abs-normalized').title}.",
    )
    dots = dots_figure(
        _rows(found),
        axis_title=METRICS["magnitude"].title,
        limits=(-1.0, 1.0),
        hollow=("SmoothGrad, signed values",),
        reference=(0.0, "unrelated maps"),
        caption=f"Figure 4. {protocol} Dots: mean over {TRAININGS} pairs of trainings and "
        f"{arrays['scores'].shape[-1]} test images; bars: the range of 95 % of the scores (2.5th to 97.5th "
        "percentile). Noise ceiling: SmoothGrad of a network of true labels against itself under other noise. Left "
        f"out, for one map is constant: {found.constants}.",
    )
    return {"figure3": maps, "figure4": dots}


def _rows(found: Trainings) -> dict[str, dict[str, Interval]]:
    """The rows of Figure 4."""
    rows = {}
    shown = {
        "SmoothGrad": ("smoothgrad", "magnitude"),
        "SmoothGrad, signed values": ("smoothgrad", "signed"),
        "Grad-CAM": ("grad-cam", "magnitude"),
    }
    for n, (network, title) in enumerate(TITLES.items()):
        for compared, words in enumerate(COMPARED):
            rows[f"{title}: {words}"] = {
                name: percentile_range(found.scores(network, *of, compared).ravel()) for name, of in shown.items()
            }
        ceilings = zip(list(shown)[:2], found.arrays["ceiling"][:, n], strict=True)
        rows[f"{title}: noise ceiling"] = {name: percentile_range(scores) for name, scores in ceilings}
    return rows


WIDTHS = "the printed widths and SGD"
UNITS = ("training", "image")
claims = Claims(Trainings, "Figure 4", (MNIST, WIDTHS))


@claims.each(
    {"true": "true", "permuted": "permuted"},
    "memorized-{key}",
    "Each network learns 95 % of its {title} labels.",
    {"true": "AlexNet 0.962, VGG-11 0.963", "permuted": "AlexNet 0.950, VGG-11 0.955"},
    where="Section 4.1, B.6, B.7",
)
def _memorized(kind: str, found: Trainings) -> Outcome:
    shares, words = found.reached("train", kind)
    return fact(min(shares) >= 0.95, words, "every training reaches 0.95")


@claims(
    "generalized",
    "A network of true labels recognizes new digits.",
    "test accuracy of AlexNet 0.92, of VGG-11 0.94",
    where="B.6, B.7",
)
def _generalized(found: Trainings) -> Outcome:
    shares, words = found.reached("test", "true")
    return fact(min(shares) >= 0.82, words, f"at least 0.82 on {found.facts['tested']} test images, 0.1 below theirs")


@claims(
    "guessed",
    "A network of permuted labels is no better than guessing on new digits.",
    "test accuracy of AlexNet 0.14, of VGG-11 0.15",
    where="Section 4.1, B.6, B.7",
)
def _guessed(found: Trainings) -> Outcome:
    shares, words = found.reached("test", "permuted")
    rule = (
        f"at most 0.2 on {found.facts['tested']} test images, twice the rate of guessing; "
        f"{found.facts['agreement']:.2f} of the permuted labels are true"
    )
    return fact(max(shares) <= 0.2, words, rule)


@claims(
    "slower",
    "Permuted labels take more epochs to learn than true ones.",
    "AlexNet 203 and 25 epochs, VGG-11 68 and 9",
    where="B.6, B.7",
)
def _slower(found: Trainings) -> Outcome:
    epochs = [
        {kind: [run["epochs"] for key, run in runs.items() if key.startswith(kind)] for kind in ("true", "permuted")}
        for runs in found.facts["training"].values()
    ]
    rule = "every training on permuted labels takes more epochs"
    holds = all(min(each["permuted"]) > max(each["true"]) for each in epochs)
    return fact(holds, found.reached("epochs", "permuted", "true")[1], rule)


def _control(network: str, method: str, found: Trainings) -> str:
    """The correlation that networks reach whose labels are the same."""
    reached = measure("", found.scores(network, method, compared=2), *UNITS).words()
    return (
        f"two networks trained on true labels from different first weights reach {reached}; only what is lower than "
        "that is due to the labels"
    )


@claims.each(
    TITLES,
    "smoothgrad-{key}",
    "SmoothGrad's maps of true and permuted labels correlate highly in {title}.",
    "about 0.8",
)
def _high(network: str, found: Trainings) -> Outcome:
    signed = measure("SRC of signed values", found.scores(network, "smoothgrad", "signed"), *UNITS).words()
    ceiling = np.nanmean(found.arrays["ceiling"][0, list(NETWORKS).index(network)])
    return between(measure("SRC of magnitudes", found.scores(network, "smoothgrad"), *UNITS), 0.6, 1.0).noting(
        signed,
        _control(network, "smoothgrad", found),
        f"the same network reaches {ceiling:.2f} with itself under other noise",
    )


@claims.each(
    TITLES,
    "grad-cam-{key}",
    "Grad-CAM's maps of true and permuted labels are unrelated in {title}.",
    "close to 0",
)
def _unrelated(network: str, found: Trainings) -> Outcome:
    left_out = f"left out, for one map is constant: {found.constants}"
    return between(measure("SRC", found.scores(network, "grad-cam"), *UNITS), -0.2, 0.2).noting(
        _control(network, "grad-cam", found), left_out
    )


@claims.each(
    TITLES, "grad-cam-below-{key}", "Grad-CAM's correlation is below SmoothGrad's in {title}.", "0 against 0.8"
)
def _below(network: str, found: Trainings) -> Outcome:
    less = found.scores(network, "smoothgrad") - found.scores(network, "grad-cam")
    return above(measure("SRC, SmoothGrad less Grad-CAM", less, *UNITS), 0.0)


@claims.each(METHODS, "vgg-below-{key}", "{title}'s correlation is lower in VGG-11 than in AlexNet.", "lower SRC")
def _deeper(method: str, found: Trainings) -> Outcome:
    less = found.scores("alexnet", method) - found.scores("vgg11", method)
    return above(measure("SRC, AlexNet less VGG-11", less, *UNITS), 0.0)


LABELS = experiment(
    "figures3-4",
    "Label randomization",
    compute,
    draw,
    claims,
    covers={"Figure 3": "figure3*", "Figure 4": "figure4*"},
    inputs=Inputs(data=("MNIST",)),
)
