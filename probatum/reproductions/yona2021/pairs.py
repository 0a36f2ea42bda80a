"""Figures 3, 6 and 7, section 4.2: pairs of photographs, of which one decides the label."""

from copy import deepcopy
from functools import lru_cache, partial
from pathlib import Path

import torch
from jaxtyping import Int64
from torch import Tensor, nn

from probatum.data import MNIST, Preprocessing
from probatum.data.tasks import RegionTask, image_pairs
from probatum.data.tiny_imagenet import read_tiny_imagenet
from probatum.errors import InvalidInput
from probatum.experiments.effects import Subject
from probatum.models import TrainingConfig, load_model, model_spec
from probatum.models.pairs import load_pretrained, make_pair_cnn
from probatum.preprocessing import IMAGENET
from probatum.reproductions.base import Context, Inputs, joined
from probatum.reproductions.results import Claims, experiment
from probatum.reproductions.rules import NOT_COMPUTED, Outcome, all_of, between
from probatum.reproductions.setting import PHOTOGRAPHS, PRETRAINED, Setting
from probatum.reproductions.subjects import before_last_relu
from probatum.reproductions.yona2021.figures import draw_study, examples_of
from probatum.reproductions.yona2021.rules import METHODS, ROLES, SEEN, accurate, causal_effect, highlights
from probatum.reproductions.yona2021.studies import (
    SIZES,
    Stored,
    Study,
    YonaSizes,
    compute,
    read_digits,
    train_on,
    untrained_seeds,
)

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
PAPER_PAIRS = "10,000 training pairs"
INPUTS = Inputs(data=("tiny-imagenet-200",), networks=("resnet18",))


def pairs_study(context: Context, examples: bool, turn: int = 0) -> Study:
    """A network fine-tuned on pairs, beside itself before that.

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
    accuracy = train_on(context, model, task, test, preprocessing, config, f"the network on pairs, {turn + 1}")

    def explained(network: nn.Module, classes: Tensor) -> Subject:
        return Subject(before_last_relu(network.to(context.device), images)[0], classes)

    trained = {"pairs": explained(model, labels)}
    if pretrained is not None and start is not None and name is not None:
        known = explained(pretrained, _imagenet_labels(name, labels))
        trained = {"start": explained(start, labels), **trained, "imagenet": known}
    titles = {"start": "Pretrained model", "pairs": "Fine-tuned model" if pretrained else "Trained model"}
    titles["imagenet"] = "Pretrained, ImageNet class"
    shown = labels if examples else labels[:1]
    return Study(
        trained=trained,
        untrained=tuple(
            explained(_untrained(name, preprocessing.channels, number), labels) for number in untrained_seeds(context)
        ),
        images=images,
        pictures=pixels / 255,
        weights=torch.tensor([[float(key == "pairs") for key in trained]], device=context.device).expand(
            len(pixels), -1
        ),
        regions={"deciding image": test.regions[rows].to(context.device)},
        shown_names=tuple(test.class_names[label] for label in shown.tolist()),
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


@lru_cache(maxsize=2)
def _pairs(folder: Path | None, split: str, sizes: YonaSizes, seed: int) -> RegionTask:
    """Pairs of photographs, or of a rendered digit below 5 beside one from 5 on."""
    count = sizes.pairs if split == "train" else sizes.test_pairs
    own = 2 * seed + (split == "test")
    if folder is None:
        images, labels = read_digits(None, split, sizes.digits(split), seed)
        low = labels < 5
        return image_pairs(images[low], labels[low], images[~low], tuple("01234"), count, own)
    per_class = sizes.per_class if split == "train" else None
    first = read_tiny_imagenet(folder, tuple(DECIDING), split, per_class)
    second = read_tiny_imagenet(folder, OTHER, split, per_class)
    return image_pairs(first.images, first.labels, second.images, first.class_names, count, own)


def _untrained(name: str | None, channels: int, seed: int) -> nn.Module:
    return make_pair_cnn(channels, 5, seed) if name is None else load_model(name, "none", 5, seed)


def _imagenet_labels(name: str, labels: Int64[Tensor, " image"]) -> Int64[Tensor, " image"]:
    """The classes of the pairs among the thousand of the pretrained network."""
    names = model_spec(name).class_names or ()
    return torch.tensor([names.index(each) for each in DECIDING.values()], device=labels.device)[labels]


claims = Claims(Stored, "Figure 3", (PHOTOGRAPHS, PRETRAINED, PAPER_PAIRS))
NO_PAIRS = (PHOTOGRAPHS, PRETRAINED)  # claims on networks that no pair has trained


@claims("pair accuracy", "A fine-tuned ResNet-18 learns the pairs.", "test accuracy about 0.77", where="section 4.2")
def _learns(found: Stored) -> Outcome:
    return accurate("pairs", 0.72, found)


@claims.each(METHODS, "pairs region {key}", "{title} focuses on the image that decides.", SEEN, role=ROLES)
def _focuses(method: str, found: Stored) -> Outcome:
    return highlights("deciding image", "pairs", method, found)


@claims("pairs random", "A random model shows both images.", SEEN, about=NO_PAIRS)
def _random(found: Stored) -> Outcome:
    return _both_images(None, found)


@claims("pairs start", "The pretrained model without fine-tuning shows both images.", SEEN, about=NO_PAIRS)
def _start(found: Stored) -> Outcome:
    return _both_images("start", found) if "start" in found.trained else NOT_COMPUTED


def _both_images(model: str | None, found: Stored) -> Outcome:
    """About half of the map lies in either image, whatever the method."""
    return all_of(
        between(found.mean(f"share of {title}'s map in the deciding image", found.share(method, model, 0)), 0.4, 0.6)
        for method, title in found.titles.items()
    )


causal_effect(claims, "pairs", "pairs of photographs", "Figure 3")

FIGURE_3 = experiment(
    "figure3",
    "Pairs of photographs",
    partial(compute, pairs_study),
    draw_study,
    claims,
    covers={"Figure 3": ""},
    inputs=INPUTS,
)
FIGURE_6 = examples_of(6, "Pairs of photographs", "Gradient", pairs_study, INPUTS)
FIGURE_7 = examples_of(7, "Pairs of photographs", "GBP", pairs_study, INPUTS)
