"""Figures 3 and 4: maps of networks that learnt true and permuted labels of 200 digits."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

from probatum.attributions import Method, attribute
from probatum.data import DATASETS, MNIST_RGB_64, ImageSet, load_dataset
from probatum.experiments.cache import train_once
from probatum.maps import get_reduction
from probatum.metrics import is_constant
from probatum.models import TrainingConfig, TrainingReport, accuracy
from probatum.randomization import permute_labels
from probatum.report import Interval, grid_figure
from probatum.report.dots import dots_figure
from probatum.reproductions.base import Claim, Context, Finding, read_arrays, read_facts, write_arrays, write_facts
from probatum.reproductions.shin2021.setting import (
    LAYERS,
    METHODS,
    METRICS,
    NETWORKS,
    SAMPLES,
    TITLES,
    methods,
    over_images,
    percentile_range,
    sentence,
    text,
    verdict,
)

SHOWN = 7  # the class of Figure 3


@dataclass(frozen=True)
class Sizes:
    """How much is computed.

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
PAPER = Sizes(1.0, 200, 100, 10_000, {"alexnet": _PAPER, "vgg11": _PAPER})
QUICK = Sizes(
    0.125,
    200,
    40,
    1_000,
    {
        "alexnet": TrainingConfig(150, 16, 1e-3, "adam", monitor="train", target_accuracy=0.95),
        "vgg11": TrainingConfig(150, 16, 5e-4, "adam", monitor="train", target_accuracy=0.95),
    },
)

MODELS = {
    "true": ("true labels", 0),
    "permuted": ("permuted labels", 0),
    "true-again": ("true labels, other first weights", 1),
    "permuted-again": ("permuted labels, other first weights", 1),
}
"""The trained networks: their labels, and what is added to the seed of first weights, order of images and dropout."""

COMPARED = {
    "permuted": "true | permuted labels",
    "permuted-again": "true | permuted labels, other first weights",
    "true-again": "true | true labels, other first weights",
}
"""With which network that of the true labels is compared. The first is the paper's, whose appendix has one seed: both
networks begin with the same weights. The other two tell what the labels do from what the first weights do."""


def digits(context: Context, sizes: Sizes) -> tuple[ImageSet, ImageSet]:
    """Training and test digits, MNIST where it is, as appendix B.5 prepares them."""
    name = "mnist" if context.data_folder("MNIST") else "digits"
    config = context.config

    def load(split: str, count: int) -> ImageSet:
        return load_dataset(name, split, count, config.data_dir, config.seed, preprocessing=MNIST_RGB_64)

    return load("train", sizes.train_images), load("test", max(sizes.tested, sizes.explained))


def trained(
    context: Context, network: str, key: str, sizes: Sizes, train_set: ImageSet, test_set: ImageSet
) -> tuple[nn.Module, TrainingReport]:
    """One of `MODELS`, on the context's device."""
    labels, again = MODELS[key]
    seed = context.config.seed
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed + again)
        model = NETWORKS[network](10, sizes.width).to(context.device)
    known = labels_of(train_set)
    report = train_once(
        model,
        train_set.images,
        permute_labels(known, seed).labels if key.startswith("permuted") else known,
        test_set.images,
        labels_of(test_set),
        TrainingConfig(**asdict(sizes.training[network]) | {"seed": seed + again}),
        what=f"{TITLES[network]} on {labels}",
        progress=context.progress,
    )
    return model, report


def labels_of(data: ImageSet) -> Tensor:
    """The labels of a set that has them."""
    assert data.labels is not None, f"{data.name} has no labels"
    return data.labels


def compute(context: Context, folder: Path) -> None:
    """Trains four networks of each kind and correlates their maps."""
    sizes = context.pick(quick=QUICK, paper=PAPER)
    train_set, test_set = digits(context, sizes)
    labels = labels_of(test_set)
    chosen = test_set.subset(range(sizes.explained))
    shown = int((labels_of(chosen) == SHOWN).nonzero()[0])
    scores = np.empty((len(METRICS), len(NETWORKS), len(COMPARED), len(METHODS), sizes.explained))
    constant = np.zeros(scores.shape[1:4], dtype=int)
    ceiling = np.empty((len(METRICS), len(NETWORKS), sizes.explained))
    drawn = np.empty((len(NETWORKS), len(MODELS), len(METHODS), *chosen.images.shape[2:]), dtype=np.float32)
    networks = {}
    for row, network in enumerate(NETWORKS):
        maps: dict[str, dict[str, Tensor]] = {}
        training = {}
        for column, key in enumerate(MODELS):
            model, report = trained(context, network, key, sizes, train_set, test_set)
            tested = accuracy(model, test_set.images[: sizes.tested], labels[: sizes.tested])
            training[key] = {"epochs": len(report.history), "train": report.best_accuracy, "test": tested}
            table = methods(MNIST_RGB_64, LAYERS[network])
            maps[key] = _explained(context, model, chosen, table, f"{TITLES[network]}, {MODELS[key][0]}")
            if key == "true":
                smooth = {"smoothgrad": table["smoothgrad"]}
                again = _explained(context, model, chosen, smooth, f"{TITLES[network]}, noise ceiling", seed=1)
                for index, metric in enumerate(METRICS):
                    ceiling[index, row] = _correlate(metric, maps["true"]["smoothgrad"], again["smoothgrad"])
            for method, name in enumerate(METHODS):
                drawn[row, column, method] = get_reduction("absolute")(maps[key][name][shown : shown + 1])[0, 0]
        for column, key in enumerate(COMPARED):
            for method, name in enumerate(METHODS):
                a, b = maps["true"][name], maps[key][name]
                constant[row, column, method] = int((is_constant(a) | is_constant(b)).sum())
                for index, metric in enumerate(METRICS):
                    scores[index, row, column, method] = _correlate(metric, a, b)
        networks[network] = training
    write_arrays(
        folder, scores=scores, constant=constant, ceiling=ceiling, maps=drawn, picture=chosen.pictures()[shown].numpy()
    )
    write_facts(
        folder,
        preset=context.config.preset,
        data=DATASETS[test_set.name].title,
        seed=context.config.seed,
        width=sizes.width,
        train_images=sizes.train_images,
        tested=sizes.tested,
        training=networks,
        agreement=permute_labels(labels_of(train_set), context.config.seed).agreement,
        recipes={name: asdict(recipe) for name, recipe in sizes.training.items()},
    )


def _explained(
    context: Context, model: nn.Module, chosen: ImageSet, table: dict[str, Method], what: str, seed: int = 0
) -> dict[str, Tensor]:
    """The maps of the true classes, on the CPU."""
    maps = attribute(
        model,
        chosen.images.to(context.device),
        labels_of(chosen).to(context.device),
        table,
        seed=context.config.seed + seed,
        memory_budget=context.config.memory_budget,
        progress=lambda done, total: context.progress(done, total, what),
    )
    return {name: values.cpu() for name, values in maps.items()}


def _correlate(metric: str, a: Tensor, b: Tensor) -> np.ndarray:
    """The scores of each pair of maps."""
    chosen = METRICS[metric]
    reduce = get_reduction(chosen.reduction)
    scores: np.ndarray = chosen(reduce(a), reduce(b)).numpy()
    return scores


def draw(folder: Path) -> dict[str, Figure]:
    """Figure 3, the maps of one digit, and Figure 4, the correlations over all of them."""
    facts, arrays = read_facts(folder), read_arrays(folder)
    pairs = [(n, m) for n in range(len(NETWORKS)) for m, key in enumerate(MODELS) if not key.endswith("again")]
    names, keys = list(NETWORKS), list(MODELS)
    maps = grid_figure(
        [[arrays["maps"][n, m, method] for n, m in pairs] for method in range(len(METHODS))],
        list(METHODS.values()),
        [f"{TITLES[names[n]]}, {MODELS[keys[m]][0]}" for n, m in pairs],
        image=np.clip(arrays["picture"][0], 0, 1),
        image_title=f"class {SHOWN}",
        caption=f"Figure 3. {_protocol(facts)} Maps: {get_reduction('absolute').title}.",
    )
    dots = dots_figure(
        _rows(arrays),
        axis_title=METRICS["magnitude"].title,
        limits=(-1.0, 1.0),
        hollow=("SmoothGrad, signed values",),
        reference=(0.0, "unrelated maps"),
        caption=f"Figure 4. {_protocol(facts)} Dots: mean over {arrays['scores'].shape[-1]} test images; bars: the "
        "range of 95 % of the images (2.5th to 97.5th percentile). Noise ceiling: SmoothGrad of the network of true "
        f"labels against itself under other noise. Constant maps (score 0, or 1 where both are): {_constants(arrays)}.",
    )
    return {"figure3": maps, "figure4": dots}


def _rows(arrays: dict[str, np.ndarray]) -> dict[str, dict[str, Interval]]:
    """The rows of Figure 4."""
    rows = {}
    for n, network in enumerate(NETWORKS):
        for c, title in enumerate(COMPARED.values()):
            magnitude, signed = arrays["scores"][:, n, c]
            rows[f"{TITLES[network]}: {title}"] = {
                "SmoothGrad": percentile_range(magnitude[0]),
                "SmoothGrad, signed values": percentile_range(signed[0]),
                "Grad-CAM": percentile_range(magnitude[1]),
            }
        magnitude, signed = arrays["ceiling"][:, n]
        rows[f"{TITLES[network]}: noise ceiling"] = {
            "SmoothGrad": percentile_range(magnitude),
            "SmoothGrad, signed values": percentile_range(signed),
        }
    return rows


def _protocol(facts: dict[str, Any]) -> str:
    """What the figures rest on, in a sentence or two."""
    scale = "as printed" if facts["width"] == 1 else f"at {facts['width']:g} of the printed widths"
    return (
        f"Preset {facts['preset']}: AlexNet and VGG-11 of appendix B {scale}, {facts['train_images']} training images "
        f"of {facts['data']}, seed {facts['seed']}; maps of the true class, SmoothGrad n = {SAMPLES}, σ = 20/255."
    )


def _constants(arrays: dict[str, np.ndarray]) -> str:
    """How many pairs of each method have a constant map."""
    pairs = arrays["constant"][0, 0, 0] * 0 + arrays["scores"][0, :, :, 0].size
    return ", ".join(
        f"{title} {int(arrays['constant'][..., m].sum())} of {int(pairs)} pairs"
        for m, title in enumerate(METHODS.values())
    )


MEMORISED = Claim(
    "memorised",
    "Section 4.1, B.6, B.7",
    "Each network learns 95 % of its training labels, true and permuted.",
    "AlexNet 0.962 and 0.950, VGG-11 0.963 and 0.955",
)
GENERALISED = Claim(
    "generalised",
    "B.6, B.7",
    "A network of true labels recognises new digits.",
    "test accuracy of AlexNet 0.92, of VGG-11 0.94",
)
GUESSED = Claim(
    "guessed",
    "Section 4.1, B.6, B.7",
    "A network of permuted labels is no better than guessing on new digits.",
    "test accuracy of AlexNet 0.14, of VGG-11 0.15",
)
SLOWER = Claim(
    "slower",
    "B.6, B.7",
    "Permuted labels take more epochs to learn than true ones.",
    "AlexNet 203 and 25 epochs, VGG-11 68 and 9",
)
SMOOTHGRAD = Claim(
    "smoothgrad", "Figure 4", "SmoothGrad's maps of true and permuted labels correlate highly.", "about 0.8"
)
GRAD_CAM = Claim("grad-cam", "Figure 4", "Grad-CAM's maps of true and permuted labels are unrelated.", "close to 0")
ORDER = Claim("grad-cam-below", "Figure 4", "Grad-CAM's correlation is below SmoothGrad's.", "0 against 0.8")
DEPTH = Claim("vgg-below", "Figure 4", "VGG-11's correlations are below AlexNet's, for both methods.", "lower SRC")


def judge(folder: Path) -> list[Finding]:
    """The findings of section 4.1."""
    facts, arrays = read_facts(folder), read_arrays(folder)
    return [*_judge_training(facts), *_judge_scores(facts, arrays)]


def _judge_training(facts: dict[str, Any]) -> list[Finding]:
    training: dict[str, dict[str, dict[str, Any]]] = facts["training"]
    true, permuted = ({network: runs[key] for network, runs in training.items()} for key in ("true", "permuted"))

    def listed(what: str, *groups: dict[str, dict[str, Any]]) -> str:
        return ", ".join(
            f"{TITLES[network]} {' and '.join(f'{group[network][what]:.3g}' for group in groups)}"
            for network in training
        )

    least = min(run["train"] for runs in training.values() for run in runs.values())
    note = _note(facts)
    return [
        Finding(
            MEMORISED,
            f"{listed('train', true, permuted)}; the least of all trainings {least:.3g}",
            verdict(least >= 0.95),
            f"rule: every training reaches 0.95, measured in eval mode.{note}",
        ),
        Finding(
            GENERALISED,
            listed("test", true),
            verdict(all(run["test"] >= 0.82 for run in true.values())),
            f"rule: at least 0.82, 0.1 below the paper's, on {facts['tested']} test images.{note}",
        ),
        Finding(
            GUESSED,
            listed("test", permuted),
            verdict(all(run["test"] <= 0.2 for run in permuted.values())),
            f"rule: at most 0.2, twice the rate of guessing; {facts['agreement']:.2f} of the permuted labels are "
            f"true.{note}",
        ),
        Finding(
            SLOWER,
            listed("epochs", permuted, true),
            verdict(all(permuted[network]["epochs"] > true[network]["epochs"] for network in training)),
            f"rule: more epochs until 0.95, or until the end of training, for both networks.{note}",
        ),
    ]


def _note(facts: dict[str, Any]) -> str:
    """What stands in for the paper's networks and data."""
    scale = "" if facts["width"] == 1 else f"the networks have {facts['width']:g} of the printed widths"
    data = "" if facts["data"] == DATASETS["mnist"].title else f"{facts['data']} stand in for MNIST"
    return sentence("; ".join(filter(None, (scale, data))))


def _judge_scores(facts: dict[str, Any], arrays: dict[str, np.ndarray]) -> list[Finding]:
    scores = arrays["scores"]  # (metric, network, comparison, method, image)
    magnitude = scores[0, :, 0]
    controls = over_images(scores[0, :, 2])
    means = over_images(magnitude)  # (network, method)

    def listed(method: int) -> str:
        return ", ".join(
            f"{TITLES[n]} {text(Interval(*(end[row, method] for end in means)))}" for row, n in enumerate(NETWORKS)
        )

    def against(method: int) -> str:
        return " and ".join(f"{float(controls.mean[row, method]):.2f}" for row in range(len(NETWORKS)))

    signed = " and ".join(f"{float(value):.2f}" for value in scores[1, :, 0, 0].mean(axis=-1))
    source = _note(facts)
    ceiling = " and ".join(f"{float(value):.2f}" for value in arrays["ceiling"][0].mean(axis=-1))
    below = over_images(magnitude[:, 0] - magnitude[:, 1])  # SmoothGrad less Grad-CAM
    deeper = over_images(magnitude[0] - magnitude[1])  # AlexNet less VGG-11
    control = "two networks of true labels with other first weights"
    return [
        Finding(
            SMOOTHGRAD,
            f"{listed(0)}; of signed values {signed}",
            verdict(bool((abs(means.mean[:, 0] - 0.8) <= 0.2).all())),
            f"rule: mean SRC of magnitudes within 0.2 of 0.8 for both networks. {control.capitalize()} reach "
            f"{against(0)}, which is not owed to the labels; other noise alone leaves {ceiling}.{source}",
        ),
        Finding(
            GRAD_CAM,
            f"{listed(1)}; {_constants(arrays)} with a constant map",
            verdict(bool((abs(means.mean[:, 1]) <= 0.2).all())),
            f"rule: mean SRC within 0.2 of 0 for both networks. {control.capitalize()} reach {against(1)}.{source}",
        ),
        Finding(
            ORDER,
            ", ".join(
                f"{TITLES[n]} {text(Interval(*(end[row] for end in below)))} less" for row, n in enumerate(NETWORKS)
            ),
            verdict(bool((below.low > 0).all())),
            f"rule: the 95 % interval of the difference, paired by image, is above 0.{source}",
        ),
        Finding(
            DEPTH,
            ", ".join(
                f"{title} {text(Interval(*(end[m] for end in deeper)))} less"
                for m, title in enumerate(METHODS.values())
            ),
            verdict(bool((deeper.low > 0).all())),
            "rule: the 95 % interval of AlexNet less VGG-11, paired by image, is above 0 for both methods; one "
            f"training each, so the interval is over images alone.{source}",
        ),
    ]
