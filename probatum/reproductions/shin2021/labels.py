"""Figures 3 and 4: maps of networks trained on true and permuted labels of 200 digits."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

from probatum.attributions import Method, attribute
from probatum.data import DATASETS, MNIST_RGB_64, ImageSet, load_dataset
from probatum.maps import get_reduction
from probatum.metrics import is_constant
from probatum.models import TrainingConfig, TrainingReport, accuracy
from probatum.randomization import permute_labels
from probatum.report import Interval, grid_figure
from probatum.report.dots import dots_figure
from probatum.reproductions.base import Context, read_facts, store_arrays, stored_arrays, write_facts
from probatum.reproductions.hatching import drawable
from probatum.reproductions.shin2021.setting import (
    LAYERS,
    METHODS,
    METRICS,
    NETWORKS,
    SAMPLES,
    TITLES,
    methods,
    percentile_range,
)
from probatum.runs.cache import train_once

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


def digits(context: Context, sizes: LabelSizes) -> tuple[ImageSet, ImageSet]:
    """Training and test digits, MNIST where it is, as appendix B.5 prepares them."""
    name = "mnist" if context.data_folder("MNIST") else "digits"
    config = context.config

    def load(split: str, count: int) -> ImageSet:
        return load_dataset(name, split, count, config.data_dir, config.seed, preprocessing=MNIST_RGB_64)

    return load("train", sizes.train_images), load("test", max(sizes.tested, sizes.explained))


def trained(
    context: Context, network: str, key: str, sizes: LabelSizes, train_set: ImageSet, test_set: ImageSet
) -> tuple[nn.Module, TrainingReport]:
    """Trains one of `MODELS` on the context's device."""
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
    sizes = context.pick(SIZES)
    train_set, test_set = digits(context, sizes)
    labels = labels_of(test_set)
    chosen = test_set.subset(range(sizes.explained))
    shown = int((labels_of(chosen) == SHOWN).nonzero()[0])
    scores = np.empty((len(METRICS), len(NETWORKS), len(COMPARED), TRAININGS, len(METHODS), sizes.explained))
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
            if key == "true-0":
                smooth = {"smoothgrad": table["smoothgrad"]}
                again = _explained(context, model, chosen, smooth, f"{TITLES[network]}, noise ceiling", seed=1)
                for index, metric in enumerate(METRICS):
                    ceiling[index, row] = _correlate(metric, maps[key]["smoothgrad"], again["smoothgrad"])
            for method, name in enumerate(METHODS):
                drawn[row, column, method] = get_reduction("abs-normalized")(maps[key][name][shown : shown + 1])[0, 0]
        for column, (kind, later) in enumerate(COMPARED.values()):
            for turn in range(TRAININGS):
                true, other = maps[f"true-{turn}"], maps[f"{kind}-{(turn + later) % TRAININGS}"]
                for method, name in enumerate(METHODS):
                    for index, metric in enumerate(METRICS):
                        scores[index, row, column, turn, method] = _correlate(metric, true[name], other[name])
        networks[network] = training
    store_arrays(folder, scores=scores, ceiling=ceiling, maps=drawn, picture=chosen.pictures()[shown].numpy())
    write_facts(
        folder,
        preset=context.config.preset,
        data=DATASETS[test_set.name].title,
        used=f"AlexNet and VGG-11 of appendix B{_scale(sizes.width)} on {DATASETS[test_set.name].title}",
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
    """The score of each pair of maps; NaN where one is constant."""
    chosen = METRICS[metric]
    reduce = get_reduction(chosen.reduction)
    return torch.where(is_constant(a) | is_constant(b), torch.nan, chosen(reduce(a), reduce(b))).numpy()


def _scale(width: float) -> str:
    return "" if width == 1 else f" at {width:g} of the printed widths"


def draw(folder: Path) -> dict[str, Figure]:
    """Figure 3, the maps of one digit, and Figure 4, the correlations over all of them."""
    facts, arrays = read_facts(folder), stored_arrays(folder)
    pairs = [(n, m) for n in range(len(NETWORKS)) for m, key in enumerate(MODELS) if key.endswith("-0")]
    names, keys = list(NETWORKS), list(MODELS)
    maps = grid_figure(
        [drawable(arrays["maps"][n, m, method] for n, m in pairs) for method in range(len(METHODS))],
        list(METHODS.values()),
        [f"{TITLES[names[n]]}, {MODELS[keys[m]][0]}" for n, m in pairs],
        image=np.clip(arrays["picture"][0], 0, 1),
        image_title=f"class {SHOWN}",
        caption=f"Figure 3. {_protocol(facts)} Maps: {get_reduction('abs-normalized').title}.",
    )
    dots = dots_figure(
        _rows(arrays),
        axis_title=METRICS["magnitude"].title,
        limits=(-1.0, 1.0),
        hollow=("SmoothGrad, signed values",),
        reference=(0.0, "unrelated maps"),
        caption=f"Figure 4. {_protocol(facts)} Dots: mean over {TRAININGS} pairs of trainings and "
        f"{arrays['scores'].shape[-1]} test images; bars: the range of 95 % of the scores (2.5th to 97.5th "
        "percentile). Noise ceiling: SmoothGrad of a network of true labels against itself under other noise. Left "
        f"out, for one map is constant: {constants(arrays)}.",
    )
    return {"figure3": maps, "figure4": dots}


def _rows(arrays: dict[str, np.ndarray]) -> dict[str, dict[str, Interval]]:
    """The rows of Figure 4."""
    rows = {}
    for n, network in enumerate(NETWORKS):
        for c, title in enumerate(COMPARED):
            magnitude, signed = arrays["scores"][:, n, c]  # (training, method, image)
            rows[f"{TITLES[network]}: {title}"] = {
                "SmoothGrad": percentile_range(magnitude[:, 0].ravel()),
                "SmoothGrad, signed values": percentile_range(signed[:, 0].ravel()),
                "Grad-CAM": percentile_range(magnitude[:, 1].ravel()),
            }
        magnitude, signed = arrays["ceiling"][:, n]
        rows[f"{TITLES[network]}: noise ceiling"] = {
            "SmoothGrad": percentile_range(magnitude),
            "SmoothGrad, signed values": percentile_range(signed),
        }
    return rows


def _protocol(facts: dict[str, Any]) -> str:
    """Describe the protocol of the figures in a sentence or two."""
    scale = "as printed" if facts["width"] == 1 else f"at {facts['width']:g} of the printed widths"
    return (
        f"Preset {facts['preset']}: AlexNet and VGG-11 of appendix B {scale}, {facts['train_images']} training images "
        f"of {facts['data']}, seed {facts['seed']}; maps of the true class, SmoothGrad n = {SAMPLES}, σ = 20/255."
    )


def constants(arrays: dict[str, np.ndarray]) -> str:
    """How many pairs of each method have a constant map."""
    missing = np.isnan(arrays["scores"][0])  # (network, comparison, training, method, image)
    return ", ".join(
        f"{title} {int(missing[..., m, :].sum())} of {missing[..., m, :].size} pairs"
        for m, title in enumerate(METHODS.values())
    )
