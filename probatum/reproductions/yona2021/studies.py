"""The three studies: their tasks, their trainings, and the images that are explained."""

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Bool, Float, Int64, UInt8
from torch import Tensor, nn

from probatum.data import MNIST, Preprocessing, read_mnist, render_digits
from probatum.data.tasks import Half, RegionTask, half_digits, image_pairs, shapes_on_digits
from probatum.data.tiny_imagenet import read_tiny_imagenet
from probatum.errors import InvalidInput
from probatum.experiments.effects import Subject
from probatum.models import TrainingConfig, load_model, model_spec
from probatum.models.pairs import load_pretrained, make_pair_cnn
from probatum.preprocessing import IMAGENET
from probatum.reproductions.base import Context
from probatum.reproductions.findings import joined
from probatum.reproductions.setting import PHOTOGRAPHS, PRETRAINED, Setting
from probatum.reproductions.subjects import before_last_relu
from probatum.runs.cache import train_once

# The classes of section 4.2, by WordNet number and by the name that torchvision's networks give them.
DECIDING = {
    "n12267677": "acorn",
    "n07920052": "espresso",
    "n07753592": "banana",
    "n07614500": "ice cream",
    "n03447447": "gondola",
}
OTHER = ("n04596742", "n07715103", "n04265275", "n03902125", "n02486410")  # wok ... baboon
PAIRS = Preprocessing(IMAGENET.mean, IMAGENET.std)  # pairs keep their 64x128 pixels
_RANDOM_SEEDS = 1_000  # apart from the seeds of the trainings


@dataclass(frozen=True)
class YonaSizes:
    """Sizes of the study.

    Args:
        train: digits of a training.
        test: digits of a test.
        epochs: at most, of a training on digits.
        half_epochs: of the training on halved digits, all of them.
        pairs: of the training.
        test_pairs: of the test.
        per_class: photographs of a class from which training pairs are drawn.
        pair_epochs: at most.
        explained: images with scores.
        untrained: random models.
        examples: images of Figures 4 to 7.
        trainings: of every network.
    """

    train: int
    test: int
    epochs: int
    half_epochs: int
    pairs: int
    test_pairs: int
    per_class: int
    pair_epochs: int
    explained: int
    untrained: int
    examples: int
    trainings: int = 3


# The paper states the 250 training images of a class, of the 500 that Tiny-ImageNet has; the rest are our choice.
SIZES = {
    "paper": YonaSizes(60_000, 10_000, 20, 5, 10_000, 2_000, 250, 20, 500, 10, 6),
    "cpu": YonaSizes(6_000, 2_000, 4, 2, 1_000, 500, 250, 4, 60, 6, 4),
    "quick": YonaSizes(3_000, 1_000, 5, 2, 1_000, 500, 250, 5, 60, 6, 4),
}


PAPER_DIGITS, PAPER_PAIRS = "60,000 training digits", "10,000 training pairs"


@dataclass(frozen=True, eq=False)
class Study:
    """Trained and untrained models with the images on which their maps are compared.

    Args:
        trained: models by name.
        untrained: of the same architecture.
        images: preprocessed.
        pictures: the same, in [0, 1].
        weights: Pr(T = t | X = x) of each trained model's task.
        regions: by name.
        counted: (image,) False for images that are shown but not scored.
        shown: how many of the first images the figures show.
        shown_names: their row titles.
        accuracies: test accuracy of each trained model.
        facts: for captions and verdicts.
    """

    trained: Mapping[str, Subject]
    untrained: tuple[Subject, ...]
    images: Float[Tensor, "image channel height width"]
    pictures: Float[Tensor, "image channel height width"]
    weights: Float[Tensor, "image trained"]
    regions: Mapping[str, Bool[Tensor, "image height width"]]
    counted: Bool[Tensor, " image"]
    shown: int
    shown_names: tuple[str, ...]
    accuracies: Mapping[str, float]
    facts: dict[str, Any]


def half_study(context: Context, examples: bool, turn: int = 0) -> Study:
    """Section 4.1: a model of the digits and one of the halved digits.

    The tasks are equally likely, the first shows every digit whole and the second every other one, so by Bayes' rule
    Pr(T | X) is 2/3 and 1/3 for a whole digit, and 0 and 1 for a half.
    """
    sizes, seed = context.pick(SIZES), context.config.seed
    source, root = _digit_source(context)
    (images, labels), (test, test_labels) = (_digits(root, split, sizes, seed) for split in ("train", "test"))
    deleted: Half = "top" if context.wants("top-half") else "bottom"
    halved, test_halved = half_digits(images, 2 * seed, deleted), half_digits(test, 2 * seed + 1, deleted)
    digit, digit_accuracy = _trained_cnn(
        context, _whole(images, labels), _whole(test, test_labels), 0.99, "the CNN on digits", turn
    )
    half, half_accuracy = _trained_cnn(
        context, halved, test_halved, None, "the CNN on halved digits", turn, passes=sizes.half_epochs
    )
    pixels = test[: sizes.explained].clone()
    pixels[1].masked_fill_(test_halved.regions[1], 0)  # shown between two whole digits, as in Figure 1
    counted = torch.arange(len(pixels)) != 1
    weights = torch.where(counted[:, None], torch.tensor([2 / 3, 1 / 3]), torch.tensor([0.0, 1.0]))
    return Study(
        trained={"digit": Subject(digit), "half": Subject(half)},
        untrained=_untrained_cnns(context, sizes),
        images=MNIST.apply(pixels).to(context.device),
        pictures=pixels / 255,
        weights=weights.to(context.device),
        regions={f"{deleted} half": test_halved.regions[: len(pixels)].to(context.device)},
        counted=counted,
        shown=min(3, len(pixels)),
        shown_names=("whole", "halved", "whole")[: len(pixels)],
        accuracies={"digit": digit_accuracy, "half": half_accuracy},
        facts={
            "images": f"Digits: {source}, {len(images)} for training",
            "network": "Basic CNN with ten logits in every task",
            "titles": {"digit": "Digit model", "half": "Half-digit model"},
            "targets": "the logit that each model predicts",
            "weights": "2/3 (digits) and 1/3 (halved digits)",
            "region_rule": f"the {deleted} half of the image, which the second task may delete (section 4.1 says the "
            "bottom half, the caption of Figure 1 the top half)",
            "tested": len(test),
            "setting": _digits_setting(root, len(images)).to_json(),
        },
    )


def shapes_study(context: Context, examples: bool, turn: int = 0) -> Study:
    """Section 4.2 on digits: a model of the shape and one of the digit, on the same images."""
    sizes, seed = context.pick(SIZES), context.config.seed
    source, root = _digit_source(context)
    (shapes, digits), (test_shapes, test_digits) = (_shapes(root, split, sizes, seed) for split in ("train", "test"))
    digit, digit_accuracy = _trained_cnn(context, digits, test_digits, 0.99, "the CNN on digits with shapes", turn)
    shape, shape_accuracy = _trained_cnn(context, shapes, test_shapes, 0.99, "the CNN on shapes", turn)
    count = sizes.examples if examples else sizes.explained
    rows = (test_shapes.labels > 0).nonzero()[1 if examples else 0 :, 0][:count]  # Figure 2 shows the first
    pixels = test_shapes.images[rows]
    names = [f"{test_shapes.class_names[test_shapes.labels[row]]} on a {int(test_digits.labels[row])}" for row in rows]
    shown = count if examples else 1
    return Study(
        trained={"digit": Subject(digit), "shape": Subject(shape)},
        untrained=_untrained_cnns(context, sizes),
        images=MNIST.apply(pixels).to(context.device),
        pictures=pixels / 255,
        weights=torch.full((len(pixels), 2), 0.5, device=context.device),
        regions={
            "shape": test_shapes.regions[rows].to(context.device),
            "digit": test_digits.regions[rows].to(context.device),
        },
        counted=torch.ones(len(pixels), dtype=torch.bool),
        shown=shown,
        shown_names=tuple(names[:shown]),
        accuracies={"digit": digit_accuracy, "shape": shape_accuracy},
        facts={
            "images": f"Digits: {source}, {len(shapes)} for training; test images with a shape",
            "network": "Basic CNN with ten logits in every task",
            "titles": {"digit": "Digit model", "shape": "Shape model"},
            "targets": "the logit that each model predicts",
            "weights": "1/2 (digit) and 1/2 (shape)",
            "region_rule": "the object with a margin of 2 pixels",
            "tested": len(test_shapes),
            "setting": _digits_setting(root, len(shapes)).to_json(),
        },
    )


def pairs_study(context: Context, examples: bool, turn: int = 0) -> Study:
    """Section 4.2 on photographs: a network fine-tuned on pairs, beside itself before that.

    The paper does not say of which logit the pretrained network is explained: "start" is the network with the new last
    layer before any step, for the label of the pair; "imagenet" the published one, for the ImageNet class itself.

    Without Tiny-ImageNet the pairs are of digits; without a pretrained network the `PairCNN` learns from scratch. Then
    nothing is comparable to the paper, and every finding says so.
    """
    sizes, seed = context.pick(SIZES), context.config.seed
    folder = context.data_folder("tiny-imagenet-200")
    task, test = (_pairs(folder, split, sizes, seed) for split in ("train", "test"))
    preprocessing = PAIRS if folder else MNIST
    name = context.config.model or context.pick({"quick": None, "cpu": "resnet18", "paper": "resnet18"})
    if name is not None and not set(DECIDING.values()) <= set(model_spec(name).class_names or ()):
        raise InvalidInput(f"{model_spec(name).title} is no ImageNet classifier; give --model resnet18, say")
    own = seed + turn
    pretrained: nn.Module | None = None
    model: nn.Module
    if folder is None or name is None:
        name, model, network = None, make_pair_cnn(preprocessing.channels, 5, own), "Pair CNN, from scratch"
    elif context.config.weights == "none":
        model, network = load_model(name, "none", 5, own), f"{model_spec(name).title}, from scratch"
    else:
        pretrained, model = load_pretrained(name, context.config.weights, 5, own)
        network = f"{model_spec(name).title}, pretrained on ImageNet"
    config = TrainingConfig(
        epochs=sizes.pair_epochs,
        batch_size=32,
        learning_rate=1e-4 if pretrained else 1e-3,
        schedule="linear",
        target_accuracy=0.77 if pretrained else None,
        seed=own,
    )
    rows = slice(1, 1 + sizes.examples) if examples else slice(0, sizes.explained)  # Figure 3 shows the first
    pixels, labels = test.images[rows], test.labels[rows].to(context.device)
    images = preprocessing.apply(pixels).to(context.device)
    # Behind a last ReLU, a class whose logits are all negative has no gradient, and training cannot revive it.
    model, behind = before_last_relu(model.to(context.device), images)
    start = deepcopy(model) if pretrained else None
    accuracy = _train(context, model, task, test, preprocessing, config, f"the network on pairs, {turn + 1}")

    def explained(network: nn.Module, classes: Tensor) -> Subject:
        return Subject(before_last_relu(network.to(context.device), images)[0], classes)

    trained = {"pairs": explained(model, labels)}
    if pretrained is not None and start is not None and name is not None:
        known = explained(pretrained, _imagenet_labels(name, labels))
        trained = {"start": explained(start, labels), **trained, "imagenet": known}
    titles = {"start": "Pretrained model", "pairs": "Fine-tuned model" if pretrained else "Trained model"}
    titles["imagenet"] = "Pretrained, ImageNet class"
    shown = sizes.examples if examples else 1
    return Study(
        trained=trained,
        untrained=tuple(
            explained(_untrained_network(name, preprocessing.channels, seed, k), labels) for k in range(sizes.untrained)
        ),
        images=images,
        pictures=pixels / 255,
        weights=torch.tensor([[float(key == "pairs") for key in trained]], device=context.device).expand(
            len(pixels), -1
        ),
        regions={"deciding image": test.regions[rows].to(context.device)},
        counted=torch.ones(len(pixels), dtype=torch.bool),
        shown=shown,
        shown_names=tuple(test.class_names[label] for label in labels[:shown].tolist()),
        accuracies={"pairs": accuracy},
        facts={
            "images": f"Pairs of {'Tiny-ImageNet photographs' if folder else 'rendered digits, 0-4 beside 5-9'}, "
            f"{len(task)} for training, {pixels.shape[2]}x{pixels.shape[3]} pixels",
            "network": network,
            "titles": {key: titles[key] for key in trained},
            "targets": joined("the logit of the true class", behind),
            "weights": "1 (one task)",
            "region_rule": "the half of the image that decides the label",
            "tested": len(test),
            "setting": _pairs_setting(folder, name, len(task), pretrained=pretrained is not None).to_json(),
        },
    )


def _digits_setting(root: Path | None, count: int) -> Setting:
    return Setting(
        stand_ins=() if root else ("rendered digits instead of MNIST",),
        smaller={PAPER_DIGITS: f"{count:,}"} if count < SIZES["paper"].train else {},
    )


def _pairs_setting(folder: Path | None, name: str | None, count: int, *, pretrained: bool) -> Setting:
    lacks = {}
    if folder is None:
        lacks[PHOTOGRAPHS] = "the pairs are of digits: give --data-dir with tiny-imagenet-200/"
    if not pretrained:
        lacks[PRETRAINED] = "this one is trained from scratch: give --model resnet18, or --model with --weights FILE"
    other = name not in (None, "resnet18")
    return Setting(
        stand_ins=(f"{model_spec(str(name)).title} instead of ResNet-18",) if other else (),
        lacks=lacks,
        smaller={PAPER_PAIRS: f"{count:,}"} if count < SIZES["paper"].pairs else {},
    )


def _digit_source(context: Context) -> tuple[str, Path | None]:
    """The name of the digits, and the root of MNIST's folder."""
    folder = context.data_folder("MNIST")
    return ("MNIST", folder.parent) if folder else ("rendered", None)


@lru_cache(maxsize=2)  # several figures of one run show the same images
def _digits(
    root: Path | None, split: str, sizes: YonaSizes, seed: int
) -> tuple[UInt8[Tensor, "image 1 28 28"], Int64[Tensor, " image"]]:
    count = sizes.train if split == "train" else sizes.test
    images, labels = read_mnist(root, split) if root else render_digits(count, split, seed)
    return images[:count], labels[:count]


@lru_cache(maxsize=2)
def _shapes(root: Path | None, split: str, sizes: YonaSizes, seed: int) -> tuple[RegionTask, RegionTask]:
    return shapes_on_digits(*_digits(root, split, sizes, seed), seed=2 * seed + (split == "test"))


@lru_cache(maxsize=2)
def _pairs(folder: Path | None, split: str, sizes: YonaSizes, seed: int) -> RegionTask:
    """Pairs of photographs, or of a rendered digit below 5 beside one from 5 on."""
    count = sizes.pairs if split == "train" else sizes.test_pairs
    own = 2 * seed + (split == "test")
    if folder is None:
        images, labels = _digits(None, split, sizes, seed)
        low = labels < 5
        return image_pairs(images[low], labels[low], images[~low], tuple("01234"), count, own)
    per_class = sizes.per_class if split == "train" else None
    first = read_tiny_imagenet(folder, tuple(DECIDING), split, per_class)
    second = read_tiny_imagenet(folder, OTHER, split, per_class)
    return image_pairs(first.images, first.labels, second.images, first.class_names, count, own)


def _whole(images: UInt8[Tensor, "image 1 28 28"], labels: Int64[Tensor, " image"]) -> RegionTask:
    """The usual task of ten digits, for which no region is known to decide."""
    nowhere = torch.zeros(len(images), *images.shape[2:], dtype=torch.bool)
    return RegionTask(images, labels, nowhere, tuple("0123456789"))


def _trained_cnn(
    context: Context,
    task: RegionTask,
    test: RegionTask,
    target: float | None,
    what: str,
    turn: int,
    passes: int | None = None,
) -> tuple[nn.Module, float]:
    """The basic CNN and its test accuracy, trained until this reaches the target, or for some passes.

    A pass is a training of its own that goes on from the last: `train` keeps the first of the best epochs, and halved
    digits are told without error after one, while their maps still change.
    """
    seed = context.config.seed + turn
    model = load_model("basic_cnn", "none", 10, seed)
    config = TrainingConfig(
        epochs=1 if passes else context.pick(SIZES).epochs,
        batch_size=64,
        learning_rate=1e-3,
        schedule="constant" if passes else "linear",
        target_accuracy=target,
        seed=seed,
    )
    accuracy = 0.0
    for number in range(passes or 1):
        accuracy = _train(context, model, task, test, MNIST, replace(config, seed=seed + number), f"{what}, {turn + 1}")
    return model, accuracy


def _train(
    context: Context,
    model: nn.Module,
    task: RegionTask,
    test: RegionTask,
    preprocessing: Preprocessing,
    config: TrainingConfig,
    what: str,
) -> float:
    """Trains in place, once; returns the test accuracy."""
    report = train_once(
        model.to(context.device),
        preprocessing.apply(task.images),
        task.labels,
        preprocessing.apply(test.images),
        test.labels,
        config,
        what=what,
        progress=context.progress,
    )
    return report.best_accuracy


def _untrained_cnns(context: Context, sizes: YonaSizes) -> tuple[Subject, ...]:
    first = _RANDOM_SEEDS * (context.config.seed + 1)
    return tuple(
        Subject(load_model("basic_cnn", "none", 10, first + k).to(context.device)) for k in range(sizes.untrained)
    )


def _untrained_network(name: str | None, channels: int, seed: int, number: int) -> nn.Module:
    own = _RANDOM_SEEDS * (seed + 1) + number
    return make_pair_cnn(channels, 5, own) if name is None else load_model(name, "none", 5, own)


def _imagenet_labels(name: str, labels: Int64[Tensor, " image"]) -> Int64[Tensor, " image"]:
    """The classes of the pairs among the thousand of the pretrained network."""
    names = model_spec(name).class_names or ()
    return torch.tensor([names.index(each) for each in DECIDING.values()], device=labels.device)[labels]
