"""Figure 1 and section 4.1: digits and halved digits, and the causal effect on them."""

from functools import partial

import torch
from jaxtyping import Int64, UInt8
from matplotlib.figure import Figure
from torch import Tensor

from probatum.data import MNIST
from probatum.data.tasks import Half, RegionTask, half_digits
from probatum.experiments.effects import Subject
from probatum.reproductions.base import Context
from probatum.reproductions.results import Claims, experiment
from probatum.reproductions.rules import Mean, Outcome, above, below
from probatum.reproductions.yona2021.figures import draw_effects, draw_models, draw_regions
from probatum.reproductions.yona2021.rules import accurate, causal_effect, excess
from probatum.reproductions.yona2021.studies import (
    INPUTS,
    METHODS,
    PAPER_DIGITS,
    SIZES,
    Stored,
    Study,
    compute,
    digits_facts,
    digits_source,
    read_digits,
    trained_cnn,
    untrained_cnns,
)

NEAR = 0.1  # a distance between maps of norm 1 that is approximately zero; the most is 1.41


def half_study(context: Context, examples: bool, turn: int = 0) -> Study:
    """A model of the digits and one of the halved digits.

    The tasks are equally likely, the first shows every digit whole and the second every other one, so by Bayes' rule
    Pr(T | X) is 2/3 and 1/3 for a whole digit, and 0 and 1 for a half.
    """
    sizes, seed = context.pick(SIZES), context.config.seed
    (images, labels), (test, test_labels) = (read_digits(*digits_source(context, split)) for split in ("train", "test"))
    deleted: Half = "top" if context.wants("top-half") else "bottom"
    halved, test_halved = half_digits(images, 2 * seed, deleted), half_digits(test, 2 * seed + 1, deleted)
    digit, digit_accuracy = trained_cnn(
        context, _whole(images, labels), _whole(test, test_labels), 0.99, "the CNN on digits", turn
    )
    half, half_accuracy = trained_cnn(
        context, halved, test_halved, None, "the CNN on halved digits", turn, passes=sizes.half_epochs
    )
    pixels = test[: sizes.explained].clone()
    pixels[1].masked_fill_(test_halved.regions[1], 0)  # shown between two whole digits, as in Figure 1
    counted = torch.arange(len(pixels)) != 1
    weights = torch.where(counted[:, None], torch.tensor([2 / 3, 1 / 3]), torch.tensor([0.0, 1.0]))
    return Study(
        trained={"digit": Subject(digit), "half": Subject(half)},
        untrained=untrained_cnns(context),
        images=MNIST.apply(pixels).to(context.device),
        pictures=pixels / 255,
        weights=weights.to(context.device),
        regions={f"{deleted} half": test_halved.regions[: len(pixels)].to(context.device)},
        shown_names=("whole", "halved", "whole")[: len(pixels)],
        accuracies={"digit": digit_accuracy, "half": half_accuracy},
        facts=digits_facts(context, len(images), len(test))
        | {
            "titles": {"digit": "Digit model", "half": "Half-digit model"},
            "weights": "2/3 (digits) and 1/3 (halved digits)",
            "region_rule": f"the {deleted} half of the image, which the second task may delete (section 4.1 says the "
            "bottom half, the caption of Figure 1 the top half)",
        },
        counted=counted,
    )


def _whole(images: UInt8[Tensor, "image 1 28 28"], labels: Int64[Tensor, " image"]) -> RegionTask:
    """The usual task of ten digits, for which no region is known to decide."""
    nowhere = torch.zeros(len(images), *images.shape[2:], dtype=torch.bool)
    return RegionTask(images, labels, nowhere, tuple("0123456789"))


def draw(found: Stored) -> dict[str, Figure]:
    """Figure 1 for both methods, the same digit under all models, Λ, and the shares."""
    images = range(len(found.facts["shown_names"]))
    whole = int(found.arrays["counted"][images].argmax())
    return {
        "": draw_models(found, [(image, "GBP") for image in images]),
        "gradient": draw_models(found, [(image, "Gradient") for image in images]),
        "both": draw_models(found, [(whole, method) for method in METHODS], by_method=True),
        "effect": draw_effects(found),
        "regions": draw_regions(found),
    }


claims = Claims(Stored, "section 4.1", (PAPER_DIGITS,))


@claims("digit accuracy", "A CNN learns the digits.", "near-perfect accuracy")
def _digit(found: Stored) -> Outcome:
    return accurate("digit", 0.98, found)


@claims("half accuracy", "The CNN tells halved digits.", "perfect accuracy")
def _half(found: Stored) -> Outcome:
    return accurate("half", 0.995, found)


def _distance(model: str, found: Stored) -> Mean:
    """By how much Guided Backprop's maps of a trained model differ more from those of an untrained one."""
    what = f"distance for the {model} model less that between untrained models"
    return found.mean(what, excess(found, "distance", "GBP", model))


@claims(
    "digit difference",
    "For Guided Backprop on a digit, the model trained on digits and a random one differ little.",
    "approximately zero",
    role="main result",
)
def _little(found: Stored) -> Outcome:
    return below(_distance("digit", found), NEAR)


@claims(
    "half difference",
    "For Guided Backprop on a digit, the model trained on halved digits and a random one differ much.",
    "far from zero",
    where="Figure 1",
    role="main result",
)
def _much(found: Stored) -> Outcome:
    return above(_distance("half", found), NEAR)


@claims(
    "half farther",
    "For Guided Backprop, the half-digit model is farther from a random one than the digit model is.",
    "far from zero, and approximately zero",
)
def _farther(found: Stored) -> Outcome:
    digit, half = (excess(found, "distance", "GBP", model) for model in ("digit", "half"))
    return above(found.mean("distance for the half-digit model less that for the digit model", half - digit), 0.0)


causal_effect(claims, "half", "digits", "section 4.1")

FIGURE_1 = experiment(
    "figure1",
    "Halved digits, and the causal effect on digits",
    partial(compute, half_study),
    draw,
    claims,
    covers={"Figure 1": ""},
    inputs=INPUTS,
)
