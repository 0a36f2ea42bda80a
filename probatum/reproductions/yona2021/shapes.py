"""Figures 2, 4 and 5, section 4.2: shapes on digits, of which one model names the shape and one the digit."""

from functools import lru_cache, partial
from pathlib import Path

import torch

from probatum.data import MNIST
from probatum.data.tasks import RegionTask, shapes_on_digits
from probatum.experiments.effects import Subject
from probatum.reproductions.base import Context
from probatum.reproductions.results import Claims, experiment
from probatum.reproductions.rules import Outcome
from probatum.reproductions.yona2021.figures import draw_study, examples_of
from probatum.reproductions.yona2021.rules import METHODS, ROLES, SEEN, accurate, causal_effect, highlights
from probatum.reproductions.yona2021.studies import (
    INPUTS,
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


def shapes_study(context: Context, examples: bool, turn: int = 0) -> Study:
    """A model of the shape and one of the digit, on the same images."""
    sizes = context.pick(SIZES)
    (shapes, digits), (test_shapes, test_digits) = (
        _shapes(*digits_source(context, split)) for split in ("train", "test")
    )
    digit, digit_accuracy = trained_cnn(context, digits, test_digits, 0.99, "the CNN on digits with shapes", turn)
    shape, shape_accuracy = trained_cnn(context, shapes, test_shapes, 0.99, "the CNN on shapes", turn)
    count = sizes.examples if examples else sizes.explained
    rows = (test_shapes.labels > 0).nonzero()[1 if examples else 0 :, 0][:count]  # Figure 2 shows the first
    pixels = test_shapes.images[rows]
    names = [f"{test_shapes.class_names[test_shapes.labels[row]]} on a {int(test_digits.labels[row])}" for row in rows]
    return Study(
        trained={"digit": Subject(digit), "shape": Subject(shape)},
        untrained=untrained_cnns(context),
        images=MNIST.apply(pixels).to(context.device),
        pictures=pixels / 255,
        weights=torch.full((len(pixels), 2), 0.5, device=context.device),
        regions={
            "shape": test_shapes.regions[rows].to(context.device),
            "digit": test_digits.regions[rows].to(context.device),
        },
        shown_names=tuple(names if examples else names[:1]),
        accuracies={"digit": digit_accuracy, "shape": shape_accuracy},
        facts=digits_facts(context, len(shapes), len(test_shapes), "; test images with a shape")
        | {
            "titles": {"digit": "Digit model", "shape": "Shape model"},
            "weights": "1/2 (digit) and 1/2 (shape)",
            "region_rule": "the object with a margin of 2 pixels",
        },
    )


@lru_cache(maxsize=2)
def _shapes(root: Path | None, split: str, count: int, seed: int) -> tuple[RegionTask, RegionTask]:
    """The tasks of naming the shape and the digit."""
    return shapes_on_digits(*read_digits(root, split, count, seed), seed=2 * seed + (split == "test"))


claims = Claims(Stored, "Figure 2", (PAPER_DIGITS,))


@claims("shape accuracy", "The CNN names the shape on a digit.", "0.99", where="section 4.2")
def _names_shape(found: Stored) -> Outcome:
    return accurate("shape", 0.98, found)


@claims("digit on shapes accuracy", "The CNN learns digits with shapes.", "0.99", where="section 4.2")
def _names_digit(found: Stored) -> Outcome:
    return accurate("digit", 0.98, found)


@claims.each(
    METHODS, "shapes shape {key}", "{title} of the model that names the shape highlights the shape.", SEEN, role=ROLES
)
def _shape(method: str, found: Stored) -> Outcome:
    return highlights("shape", "shape", method, found)


@claims.each(
    METHODS, "shapes digit {key}", "{title} of the model that names the digit highlights the digit.", SEEN, role=ROLES
)
def _digit(method: str, found: Stored) -> Outcome:
    return highlights("digit", "digit", method, found)


causal_effect(claims, "shapes", "digits with shapes", "Figure 2")

FIGURE_2 = experiment(
    "figure2",
    "Shapes on digits, two tasks",
    partial(compute, shapes_study),
    draw_study,
    claims,
    covers={"Figure 2": ""},
    inputs=INPUTS,
)
FIGURE_4 = examples_of(4, "Shapes on digits", "Gradient", shapes_study, INPUTS)
FIGURE_5 = examples_of(5, "Shapes on digits", "GBP", shapes_study, INPUTS)
