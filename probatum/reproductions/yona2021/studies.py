"""What the studies share: sizes, models of digits, and scores of several trainings, stored and read back."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int64, UInt8
from torch import Tensor, nn

from probatum.attributions import Gradient, GuidedBackprop, Method
from probatum.data import MNIST, Preprocessing, read_mnist, render_digits
from probatum.data.tasks import RegionTask
from probatum.experiments.effects import Effects, Subject, measure_effects
from probatum.models import TrainingConfig, load_model
from probatum.reproductions.base import Context, Inputs, store_arrays, write_facts
from probatum.reproductions.results import Results
from probatum.reproductions.rules import Mean, mean_over, measure
from probatum.reproductions.setting import Setting
from probatum.runs.cache import train_once

METHODS: dict[str, Method] = {"GBP": GuidedBackprop(), "Gradient": Gradient()}
SCORES = ("distance", "distance_floor", "effect", "effect_floor", "share")
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

    def digits(self, split: str) -> int:
        """Digits of a training or of a test."""
        return self.train if split == "train" else self.test


# The paper states the 250 training images of a class, of the 500 that Tiny-ImageNet has; the rest are our choice.
SIZES = {
    "paper": YonaSizes(60_000, 10_000, 20, 5, 10_000, 2_000, 250, 20, 500, 10, 6),
    "cpu": YonaSizes(6_000, 2_000, 4, 2, 1_000, 500, 250, 4, 60, 6, 4),
    "quick": YonaSizes(3_000, 1_000, 5, 2, 1_000, 500, 250, 5, 60, 6, 4),
}
PAPER_DIGITS = "60,000 training digits"
INPUTS = Inputs(data=("MNIST",))  # of the studies on digits


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
        shown_names: row titles of the first images, which the figures show.
        accuracies: test accuracy of each trained model.
        facts: for captions and verdicts.
        counted: (image,) False for images that are shown but not scored; None counts all.
    """

    trained: Mapping[str, Subject]
    untrained: tuple[Subject, ...]
    images: Float[Tensor, "image channel height width"]
    pictures: Float[Tensor, "image channel height width"]
    weights: Float[Tensor, "image trained"]
    regions: Mapping[str, Bool[Tensor, "image height width"]]
    shown_names: tuple[str, ...]
    accuracies: Mapping[str, float]
    facts: dict[str, Any]
    counted: Bool[Tensor, " image"] | None = None

    def effects(self, context: Context) -> Effects:
        """The scores and maps of all methods."""
        return measure_effects(
            self.trained,
            self.untrained,
            self.images,
            self.weights,
            self.regions,
            METHODS,
            shown=len(self.shown_names),
            memory_budget=context.config.memory_budget,
            progress=context.progress,
        )


Make = Callable[[Context, bool, int], Study]
"""Makes one training of a study: takes the context, if examples are wanted, and the number of the training from 0."""


def compute(make: Make, context: Context, folder: Path, *, examples: bool = False) -> None:
    """Train the models of a study, or load them, and store the scores and maps of all methods.

    Scores are those of several trainings, from other first weights and in other orders of the images. All explain the
    same images; maps are shown of the first.

    Args:
        make: trains the models.
        context: the configuration.
        folder: receives `facts.json` and `arrays.npz`.
        examples: whether more examples are wanted instead of many scores.
    """
    study = make(context, examples, 0)
    found, accuracies = [study.effects(context)], [study.accuracies]
    for turn in range(1, 1 if examples else context.pick(SIZES).trainings):
        other = make(context, examples, turn)
        found.append(other.effects(context))
        accuracies.append(other.accuracies)
    counted = np.ones(len(study.images), dtype=bool) if study.counted is None else study.counted.numpy()
    store_arrays(
        folder,
        **{name: np.stack([getattr(one, name) for one in found]) for name in SCORES},  # the training is the first axis
        panels=found[0].panels,
        untrained_share=found[0].untrained_share,
        pictures=study.pictures[: len(study.shown_names)].numpy(),
        area=np.stack([region.float().mean((1, 2)).cpu().numpy() for region in study.regions.values()]),
        counted=counted,
    )
    write_facts(
        folder,
        **study.facts,
        accuracies={name: [one[name] for one in accuracies] for name in study.accuracies},
        used=f"{study.facts['network']}; {study.facts['images']}",
        trained=list(study.trained),
        regions=list(study.regions),
        methods=[method.title for method in METHODS.values()],
        untrained=len(study.untrained),
        shown_names=list(study.shown_names),
        seed=context.config.seed,
        preset=context.config.preset,
    )


class Stored(Results):
    """Stored results of a study, with the scores that figures and claims need."""

    @property
    def trained(self) -> list[str]:
        """Names of the trained models."""
        return list(self.facts["trained"])

    @property
    def regions(self) -> list[str]:
        """Names of the regions."""
        return list(self.facts["regions"])

    @property
    def titles(self) -> dict[str, str]:
        """Methods as figures and findings call them."""
        return dict(zip(METHODS, self.facts["methods"], strict=True))

    def mean(self, what: str, scores: Float[np.ndarray, "training image model"]) -> Mean:
        """The mean over trainings and images, each of several untrained models' mean.

        Without several trainings it is that over images and untrained models.
        """
        if len(scores) == 1:
            return measure(what, scores[0], "image", "untrained model")
        return measure(what, mean_over(scores, 2), "training", "image")

    def scores(
        self, name: str, method: str, model: str | None = None, *, reduction: int = 0
    ) -> Float[np.ndarray, "training image untrained"]:
        """The scores of one method, of the images that count.

        Args:
            name: of `SCORES`.
            method: a key of `METHODS`.
            model: the trained one, for scores of each.
            reduction: position in `REDUCTIONS`.
        """
        table = self.arrays[name][:, reduction, list(METHODS).index(method)]
        table = table if model is None else table[:, self.trained.index(model)]
        scores: Float[np.ndarray, "training image untrained"] = table[:, self.arrays["counted"]]
        return scores

    def share(self, method: str, model: str | None, region: int) -> Float[np.ndarray, "training image model"]:
        """The shares of one region; `model` None is all untrained ones, which no training changes."""
        place, counted = list(METHODS).index(method), self.arrays["counted"]
        if model is None:
            return np.asarray(self.arrays["untrained_share"][None, place, region, counted])
        return np.asarray(self.arrays["share"][:, place, self.trained.index(model), region][:, counted, None])

    def area(self, region: int) -> Float[np.ndarray, "1 image 1"]:
        """The share of each image's area that a region takes."""
        return np.asarray(self.arrays["area"][region][None, self.arrays["counted"], None], dtype=np.float64)


def digits_facts(context: Context, train: int, tested: int, note: str = "") -> dict[str, Any]:
    """Facts of the studies on digits, for captions and verdicts.

    Args:
        context: the configuration.
        train: digits of a training.
        tested: digits of a test.
        note: added to the images, in words.
    """
    mnist = _mnist(context) is not None
    setting = Setting(
        stand_ins=() if mnist else ("rendered digits instead of MNIST",),
        smaller={PAPER_DIGITS: f"{train:,}"} if train < SIZES["paper"].train else {},
    )
    return {
        "images": f"Digits: {'MNIST' if mnist else 'rendered'}, {train} for training{note}",
        "network": "Basic CNN with ten logits in every task",
        "targets": "the logit that each model predicts",
        "tested": tested,
        "setting": setting.to_json(),
    }


def _mnist(context: Context) -> Path | None:
    """The folder in which MNIST/ lies."""
    folder = context.data_folder("MNIST")
    return folder.parent if folder else None


def digits_source(context: Context, split: str) -> tuple[Path | None, str, int, int]:
    """Where digits come from, as `read_digits` takes it."""
    return _mnist(context), split, context.pick(SIZES).digits(split), context.config.seed


@lru_cache(maxsize=2)  # several figures of one run show the same images
def read_digits(
    root: Path | None, split: str, count: int, seed: int
) -> tuple[UInt8[Tensor, "image 1 28 28"], Int64[Tensor, " image"]]:
    """Pixels and labels of the first digits of MNIST, or of rendered ones where no folder is given."""
    images, labels = read_mnist(root, split) if root else render_digits(count, split, seed)
    return images[:count], labels[:count]


def trained_cnn(
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
        again = replace(config, seed=seed + number)
        accuracy = train_on(context, model, task, test, MNIST, again, f"{what}, {turn + 1}")
    return model, accuracy


def train_on(
    context: Context,
    model: nn.Module,
    task: RegionTask,
    test: RegionTask,
    preprocessing: Preprocessing,
    config: TrainingConfig,
    what: str,
) -> float:
    """Train in place, once; returns the test accuracy."""
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


def untrained_seeds(context: Context) -> range:
    """Seeds of the untrained models."""
    first = _RANDOM_SEEDS * (context.config.seed + 1)
    return range(first, first + context.pick(SIZES).untrained)


def untrained_cnns(context: Context) -> tuple[Subject, ...]:
    """Basic CNNs that no training has changed."""
    seeds = untrained_seeds(context)
    return tuple(Subject(load_model("basic_cnn", "none", 10, seed).to(context.device)) for seed in seeds)
