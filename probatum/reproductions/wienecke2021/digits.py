"""Sections 2 and 3: the basic CNN, its cascade (table 2.2), the Gradient (figure 1), all seven methods (figure 3)."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from matplotlib.figure import Figure

from probatum.models import TrainingReport, accuracy, load_model, model_spec
from probatum.randomization import preset
from probatum.report import grid_figure, methods_figure
from probatum.reproductions.base import Context, Inputs, write_facts
from probatum.reproductions.digits import MNIST, digits_setting, labels_of, load_digits, trained
from probatum.reproductions.results import Claims, Results, experiment
from probatum.reproductions.rules import Outcome, above, below, fact, mean_over, measure, proportion, worst
from probatum.reproductions.setting import Setting
from probatum.reproductions.subjects import Subject
from probatum.reproductions.wienecke2021.cascade import (
    RANK,
    SIMILAR,
    SIZES,
    TITLES,
    AbsoluteGradient,
    Cascade,
    methods,
    run_cascade,
)

SHOWN = 5  # digits of figure 1
ACCURACY = 0.99  # the paper's 0.994 less three standard errors of 10,000 digits
EPOCHS = "50 epochs on 60,000 images"
INK = 0.1  # a pixel above it belongs to the digit, of 1

ARCHITECTURE = {
    "conv1": "Conv2d(1, 32, kernel_size=(5, 5), stride=(1, 1), padding=(2, 2))",
    "relu1": "ReLU()",
    "maxpool1": "MaxPool2d(kernel_size=2, stride=2, padding=0, dilation=1, ceil_mode=False)",
    "conv2": "Conv2d(32, 64, kernel_size=(5, 5), stride=(1, 1), padding=(2, 2))",
    "relu2": "ReLU()",
    "maxpool2": "MaxPool2d(kernel_size=2, stride=2, padding=0, dilation=1, ceil_mode=False)",
    "flatten": "Flatten(start_dim=1, end_dim=-1)",
    "linear1": "Linear(in_features=3136, out_features=1024, bias=True)",
    "relu3": "ReLU()",
    "linear2": "Linear(in_features=1024, out_features=10, bias=True)",
}
"""The network as PyTorch prints it in section 2.1."""

TABLE = (
    ("linear2",),
    ("linear2", "linear1"),
    ("linear2", "linear1", "conv2"),
    ("linear2", "linear1", "conv2", "conv1"),
)
"""Table 2.2: the layers randomized in each step."""

INPUTS = Inputs(data=("MNIST",))


def trained_cnn(context: Context) -> tuple[Subject, TrainingReport, dict[str, Any]]:
    """The trained network with the test digits, its report, and facts about both."""
    config, sizes = context.config, context.pick(SIZES)
    digits = load_digits(context, sizes.train_images, sizes.test_images)
    model = load_model("basic_cnn", "none", seed=config.seed).to(context.device)
    report = trained(context, model, digits, replace(sizes.training, seed=config.seed), "the basic CNN")
    epochs, images = len(report.history), len(digits.train)
    setting = setting_of(digits.title, epochs, images)
    facts = {
        "data_title": digits.title,
        "train_images": images,
        "test_images": len(digits.test),
        "accuracy": report.best_accuracy,
        "epochs": epochs,
        "setting": setting.to_json(),
        "network": f"basic CNN ({report.best_accuracy:.4f} of {len(digits.test)} test digits right)",
    }
    spec = model_spec("basic_cnn")
    subject = Subject(
        spec.name,
        spec.title,
        model,
        digits.test,
        setting,
        spec.stages,
        spec.grad_cam_layer,
        digits.test.class_names,
    )
    return subject, report, facts


def setting_of(title: str, epochs: int, images: int) -> Setting:
    """What replaced the paper's digits and training."""
    short = epochs < 50 or images < 60_000
    return digits_setting(title, {EPOCHS: f"{epochs} epochs on {images:,} images"} if short else {})


def in_turn(subject: Subject, count: int) -> Subject:
    """The network with `count` of its images, digits 0 to 9 in turn."""
    classes = len(subject.class_names or ())
    each = -(-count // classes)
    some = subject.data.take_per_class(each)
    chosen = some.subset([digit * each + turn for turn in range(each) for digit in range(classes)][:count])
    return replace(subject, data=chosen)


# Table 2.2: the network, its training and its cascade.


def compute_table(context: Context, folder: Path) -> None:
    """Trains the network and takes every step of its cascade."""
    subject, report, facts = trained_cnn(context)
    test = subject.data
    randomizer = replace(subject, data=test.subset([0])).randomizer(context, preset("wienecke"))
    layers = [stage.name for stage in randomizer.stages]
    first = {name: value.detach().double().cpu() for name, value in subject.model.named_parameters()}
    before = first
    steps: list[dict[str, Any]] = []
    for step in randomizer.steps(start=1):
        drawn = {name: value.detach().double().cpu() for name, value in step.model.named_parameters()}
        steps.append(
            {
                "stage": step.stage,
                "randomized": _changed(first, drawn, layers),
                "drawn_again": _changed(before, drawn, layers),
                "deviation": max((_deviation(first[name], drawn[name]) for name in drawn), default=0.0),
                "accuracy": accuracy(step.model, test.images, labels_of(test)),
            }
        )
        before = drawn
    write_facts(
        folder,
        **facts,
        layers={name: str(module) for name, module in subject.model.named_children()},
        parameters=sum(value.numel() for value in first.values()),
        steps=steps,
        history=[{"epoch": record.epoch, "accuracy": record.accuracy} for record in report.history],
    )
    rows = [
        f"| {number} | {', '.join(step['randomized'])} | {step['accuracy']:.4f} |"
        for number, step in enumerate(steps, 1)
    ]
    head = ["| step | layers randomized | accuracy |", "|---|---|---|", f"| 0 | none | {facts['accuracy']:.4f} |"]
    (folder / "table2_2.md").write_text("\n".join([*head, *rows]) + "\n", encoding="utf-8")


def _changed(old: dict[str, torch.Tensor], new: dict[str, torch.Tensor], layers: list[str]) -> list[str]:
    """The layers of which every parameter differs, in the order of the cascade."""
    names = {layer: [name for name in old if name.startswith(f"{layer}.")] for layer in layers}
    return [layer for layer in layers if all(not torch.equal(old[name], new[name]) for name in names[layer])]


def _deviation(trained: torch.Tensor, drawn: torch.Tensor) -> float:
    """By how many standard errors the mean or the spread of drawn weights is off; 0 for weights left as they were."""
    if torch.equal(trained, drawn):
        return 0.0
    error = trained.std(correction=0) / math.sqrt(trained.numel())
    mean = (drawn.mean() - trained.mean()).abs() / error
    spread = (drawn.std(correction=0) - trained.std(correction=0)).abs() / (error / math.sqrt(2))
    return max(float(mean), float(spread))


def draw_table(found: Results) -> dict[str, Figure]:
    """Draws nothing, because the table is the file `table2_2.md`."""
    return {}


table = Claims(Results, "section 2.1")


@table(
    "accuracy",
    "Trained for 50 epochs by Adam at 1e-4 in batches of 50, the basic CNN reaches this accuracy on test digits.",
    "0.994",
    about=(MNIST, EPOCHS),
)
def _accuracy(found: Results) -> Outcome:
    return above(proportion("accuracy", found.facts["accuracy"], found.facts["test_images"]), ACCURACY)


@table(
    "basic-cnn",
    "The basic CNN has the ten layers that the paper prints.",
    "two convolutions of 5×5, two dense layers",
    role="self-test",
)
def _structure(found: Results) -> Outcome:
    layers = found.facts["layers"]
    ours = f"{len(layers)} layers, {found.facts['parameters']:,} parameters"
    return fact(layers == ARCHITECTURE, ours, "every layer prints as in the paper", own_setting=True)


@table(
    "table-2.2",
    "Each step of the cascade randomizes one layer more.",
    "linear2, linear1, conv2, conv1",
    where="table 2.2",
    role="self-test",
)
def _steps(found: Results) -> Outcome:
    rows = tuple(tuple(step["randomized"]) for step in found.facts["steps"])
    exact = "in step k all parameters of exactly these layers differ from the trained ones"
    return fact(rows == TABLE, "; ".join(", ".join(row) for row in rows), exact, own_setting=True)


@table(
    "redrawn",
    "Weights come from a normal distribution with the layer's own mean and deviation, all above drawn again each step.",
    "as stated",
    where="section 2.2",
    role="self-test",
)
def _redrawn(found: Results) -> Outcome:
    steps = found.facts["steps"]
    again = all(step["drawn_again"] == step["randomized"] for step in steps)
    worst = max(step["deviation"] for step in steps)
    ours = (
        f"largest deviation of a mean or spread: {worst:.1f} standard errors; accuracy falls to "
        f"{steps[-1]['accuracy']:.3f}"
    )
    own = "every step draws all its layers anew, mean and spread within 5 standard errors of the trained ones"
    return fact(again and worst < 5, ours, own, own_setting=True)


TABLE_2_2 = experiment(
    "table2_2",
    "The basic CNN, its training and its cascade",
    compute_table,
    draw_table,
    table,
    covers={"Table 2.2": "*"},
    inputs=INPUTS,
)

# Figure 1: the Gradient on five digits.


def compute_gradient(context: Context, folder: Path) -> None:
    """Computes figure 1, which has the Gradient alone."""
    subject, _, facts = trained_cnn(context)
    subject = in_turn(subject, context.pick(SIZES).gradient_digits)
    keep = min(SHOWN, len(subject.data))
    run_cascade(context, folder, subject, {"gradient": AbsoluteGradient()}, keep=keep, facts=facts)


def draw_gradient(found: Cascade) -> dict[str, Figure]:
    """Figure 1: a row for each digit, the original first, then the stages."""
    maps = found.panels("gradient")
    figure = methods_figure(
        found.pictures,
        maps,
        [found.explained(index) for index in range(len(maps))],
        found.columns,
        caption=f"Gradient. {found.caption(found.run.result.methods)}",
    )
    return {"": figure}


gradient = Claims(Cascade, "figure 1")


@gradient(
    "gradient",
    "The maps of the Gradient are scrambled once the lower layers are random.",
    "seen by eye",
    role="main result",
)
def _scrambled(found: Cascade) -> Outcome:
    scores = found.scores("gradient", RANK)[-1]
    return below(measure("rank correlation with the trained map after the last stage", scores, "image"), SIMILAR)


FIGURE_1 = experiment(
    "figure1",
    "Gradient on five digits over the cascade",
    compute_gradient,
    draw_gradient,
    gradient,
    covers={"Figure 1": "*"},
    inputs=INPUTS,
)

# Figure 3: seven methods on a digit.


def compute_methods(context: Context, folder: Path) -> None:
    """Figure 3: all seven methods; the maps of all digits are kept, for methods are compared with one another."""
    subject, _, facts = trained_cnn(context)
    effort = context.pick(SIZES).digits
    subject = in_turn(subject, effort.images)
    run_cascade(context, folder, subject, methods(effort), keep=len(subject.data), facts=facts)


def draw_methods(found: Cascade) -> dict[str, Figure]:
    """Draws figure 3: a row for each method, a column for each stage."""
    shown = min(3, len(found.pictures) - 1)
    figure = grid_figure(
        [found.panels(method)[shown] for method in TITLES],
        list(TITLES.values()),
        found.columns,
        image=found.pictures[shown],
        image_title=found.explained(shown),
        caption=found.caption(TITLES),
    )
    return {"": figure}


seen = Claims(Cascade, "figure 3")
BY_EYE = "seen by eye"
RANDOM = 3  # row from which on the convolutions are random


def _alike(found: Cascade, method: str, rows: int | None = None) -> Outcome:
    """A method looks like its SmoothGrad at every stage, of the first rows only if told so."""
    both = found.likeness(method, "smoothgrad" if method == "gradient" else f"{method}-sg")
    stages = zip(found.columns[:rows], both[:rows], strict=True)
    means = (measure(f"correlation of the two, {stage}", scores, "image") for stage, scores in stages)
    return worst(above(mean, SIMILAR) for mean in means)


def _grows(what: str, scores: Float[np.ndarray, "row image"], first: int = RANDOM) -> Outcome:
    """Scores grow from the mean of the rows before `first` to that of the others."""
    return above(measure(what, mean_over(scores[first:], 0) - mean_over(scores[:first], 0), "image"), 0.0)


@seen("smoothgrad", "SmoothGrad looks like the Gradient while the convolutions are trained.", BY_EYE)
def _smooth(found: Cascade) -> Outcome:
    return _alike(found, "gradient", RANDOM)


@seen("smoothgrad-parts", "With random convolutions SmoothGrad looks less like the Gradient than before.", BY_EYE)
def _parts(found: Cascade) -> Outcome:
    return _grows("correlation of the two, before less after", -found.likeness("gradient", "smoothgrad"))


@seen("smoothgrad-brighter", "With random convolutions the maps of SmoothGrad are brighter than before.", BY_EYE)
def _brighter(found: Cascade) -> Outcome:
    return _grows("mean of the maps in [0, 1], after less before", found.brightness("smoothgrad"))


@seen("background", "With random convolutions, Gradient ⊙ Input shows noise where there is no digit.", BY_EYE)
def _background(found: Cascade) -> Outcome:
    shares = []
    for maps, picture in zip(found.maps("input-x-gradient"), found.pictures, strict=True):
        total, empty = maps.sum(axis=(1, 2)), maps[:, picture < INK].sum(axis=1)
        shares.append(np.divide(empty, total, out=np.full_like(total, np.nan), where=total > 0))
    return _grows("share of the map outside the digit, after less before", np.stack(shares, axis=1))


@seen("input-sg", "Gradient ⊙ Input-SG looks like Gradient ⊙ Input at every stage.", BY_EYE)
def _product(found: Cascade) -> Outcome:
    return _alike(found, "input-x-gradient")


@seen("guided", "Guided Backprop still shows the digit after three stages.", "a halo is seen after three stages")
def _halo(found: Cascade) -> Outcome:
    scores = found.scores("guided-backprop", RANK)[2]
    return above(measure("rank correlation with the trained map after three stages", scores, "image"), SIMILAR)


@seen("guided-noisy", "With random convolutions Guided Backprop resembles its trained map less than before.", BY_EYE)
def _noisy(found: Cascade) -> Outcome:
    scores = found.scores("guided-backprop", RANK)  # without a row for the trained network
    return _grows("rank correlation with the trained map, before less after", -scores, RANDOM - 1)


@seen("ig-sg", "Integrated Gradients and Integrated Gradients-SG look alike at every stage.", BY_EYE)
def _paths(found: Cascade) -> Outcome:
    return _alike(found, "integrated-gradients")


FIGURE_3 = experiment(
    "figure3",
    "Seven methods on a digit over the cascade",
    compute_methods,
    draw_methods,
    seen,
    covers={"Figure 3": "*"},
    inputs=INPUTS,
)
