"""Sections 2 and 3: the basic CNN, its cascade (table 2.2), the Gradient (figure 1), all seven methods (figure 3)."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import nn

from probatum.data import DATASETS, ImageSet, load_dataset
from probatum.experiments import Run
from probatum.models import TrainingReport, accuracy, load_model, model_spec
from probatum.report import grid_figure, methods_figure
from probatum.reproductions.base import Claim, Context, Finding, read_facts, write_facts
from probatum.reproductions.rules import Mean, above, below, fact, measure, proportion
from probatum.reproductions.setting import Setting, conclude
from probatum.reproductions.wienecke2021 import cascade
from probatum.reproductions.wienecke2021.cascade import SIMILAR, SIZES, TITLES
from probatum.runs.cache import train_once

SHOWN = 5  # digits of figure 1
ACCURACY = 0.99  # the paper's 0.994 less three standard errors of 10,000 digits
EPOCHS = "50 epochs on 60,000 images"
DIGITS = "MNIST"
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

STRUCTURE = Claim(
    "basic-cnn",
    "section 2.1",
    "The basic CNN has these ten layers.",
    "two convolutions of 5×5, two dense layers",
    role="self-test",
)
TRAINING = Claim(
    "accuracy",
    "section 2.1",
    "Adam at 1e-4 in batches of 50 trains it for 50 epochs to this accuracy.",
    "0.994",
    (DIGITS, EPOCHS),
)
STEPS = Claim(
    "table-2.2",
    "table 2.2",
    "Each step of the cascade randomizes one layer more.",
    "linear2, linear1, conv2, conv1",
    role="self-test",
)
REDRAWN = Claim(
    "redrawn",
    "section 2.2",
    "Weights come from a normal distribution with the layer's own mean and deviation, all above drawn again each step.",
    "as stated",
    role="self-test",
)
SENSITIVE = Claim(
    "gradient",
    "figure 1",
    "The maps of the Gradient are scrambled once the lower layers are random.",
    "seen by eye",
    role="main result",
)


def _seen(name: str, statement: str, paper: str = "seen by eye") -> Claim:
    return Claim(name, "figure 3", statement, paper)


SMOOTH = _seen("smoothgrad", "SmoothGrad looks like the Gradient while the convolutions are trained.")
PARTS = _seen("smoothgrad-parts", "With random convolutions SmoothGrad looks less like the Gradient than before.")
BRIGHTER = _seen("smoothgrad-brighter", "With random convolutions the maps of SmoothGrad are brighter than before.")
BACKGROUND = _seen("background", "With random convolutions, Gradient ⊙ Input shows noise where there is no digit.")
PRODUCT = _seen("input-sg", "Gradient ⊙ Input-SG looks like Gradient ⊙ Input at every stage.")
HALO = _seen("guided", "Guided Backprop still shows the digit after three stages.", "a halo is seen after three stages")
NOISY = _seen("guided-noisy", "With random convolutions Guided Backprop resembles its trained map less than before.")
PATHS = _seen("ig-sg", "Integrated Gradients and Integrated Gradients-SG look alike at every stage.")


def trained_cnn(context: Context) -> tuple[nn.Module, TrainingReport, ImageSet, dict[str, Any]]:
    """The trained network, its report, the test digits and facts about both."""
    config, sizes = context.config, context.pick(SIZES)
    name = "digits" if context.data_folder("MNIST") is None else "mnist"
    train, test = (
        load_dataset(name, split, count, config.data_dir, config.seed)
        for split, count in (("train", sizes.train_images), ("test", sizes.test_images))
    )
    assert train.labels is not None
    assert test.labels is not None
    model = load_model("basic_cnn", "none", seed=config.seed).to(context.device)
    report = train_once(
        model,
        train.images,
        train.labels,
        test.images,
        test.labels,
        replace(sizes.training, seed=config.seed),
        what="the basic CNN",
        progress=context.progress,
    )
    facts = {
        "data_title": DATASETS[name].title,
        "train_images": len(train),
        "test_images": len(test),
        "accuracy": report.best_accuracy,
        "epochs": len(report.history),
        "setting": _setting(name, len(report.history), len(train)).to_json(),
        "network": f"basic CNN ({report.best_accuracy:.4f} of {len(test)} test digits right)",
    }
    return model, report, test, facts


def _setting(data: str, epochs: int, images: int) -> Setting:
    """What replaced the paper's digits and training."""
    short = epochs < 50 or images < 60_000
    smaller = {EPOCHS: f"{epochs} epochs on {images:,} images"} if short else {}
    if data == "mnist":
        return Setting(smaller=smaller)
    title = DATASETS[data].title
    lacks = {DIGITS: f"{title} were used: give MNIST/ in the folder of --data-dir"}
    return Setting((f"{title} instead of MNIST",), lacks, smaller)


def compute_table(context: Context, folder: Path) -> None:
    """Trains the network and takes every step of its cascade."""
    model, report, test, facts = trained_cnn(context)
    assert test.labels is not None
    randomizer = cascade.cascading(context, model, model_spec("basic_cnn"), test.images[:1].to(context.device))
    trained = {name: value.detach().double().cpu() for name, value in model.named_parameters()}
    before = trained
    steps: list[dict[str, Any]] = []
    for step in randomizer.steps(start=1):
        drawn = {name: value.detach().double().cpu() for name, value in step.model.named_parameters()}
        steps.append(
            {
                "stage": step.stage,
                "randomized": _changed(trained, drawn, [stage.name for stage in randomizer.stages]),
                "drawn_again": _changed(before, drawn, [stage.name for stage in randomizer.stages]),
                "deviation": max((_deviation(trained[name], drawn[name]) for name in drawn), default=0.0),
                "accuracy": accuracy(step.model, test.images, test.labels),
            }
        )
        before = drawn
    layers = {name: str(module) for name, module in model.named_children()}
    parameters = sum(value.numel() for value in trained.values())
    history = [{"epoch": record.epoch, "accuracy": record.accuracy} for record in report.history]
    write_facts(folder, **facts, layers=layers, parameters=parameters, steps=steps, history=history)
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


def draw_table(folder: Path) -> dict[str, Figure]:
    """Draws nothing, because the table is the file `table2_2.md`."""
    return {}


def judge_table(folder: Path) -> list[Finding]:
    """Judges the claims of sections 2.1 and 2.2."""
    facts = read_facts(folder)
    steps, setting = facts["steps"], Setting.from_json(facts["setting"])
    layers = f"{len(facts['layers'])} layers, {facts['parameters']:,} parameters"
    table = tuple(tuple(step["randomized"]) for step in steps)
    again = all(step["drawn_again"] == step["randomized"] for step in steps)
    worst = max(step["deviation"] for step in steps)
    drawn = (
        f"largest deviation of a mean or spread: {worst:.1f} standard errors; accuracy falls to "
        f"{steps[-1]['accuracy']:.3f}"
    )
    exact = "in step k all parameters of exactly these layers differ from the trained ones"
    own = "every step draws all its layers anew, mean and spread within 5 standard errors of the trained ones"
    accurate = proportion("accuracy", facts["accuracy"], facts["test_images"])
    return [
        conclude(TRAINING, above(accurate, ACCURACY), setting),
        conclude(STRUCTURE, fact(facts["layers"] == ARCHITECTURE, layers, "every layer prints as in the paper")),
        conclude(STEPS, fact(table == TABLE, "; ".join(", ".join(row) for row in table), exact)),
        conclude(REDRAWN, fact(again and worst < 5, drawn, own)),
    ]


def compute_gradient(context: Context, folder: Path) -> None:
    """Computes figure 1, which has the Gradient alone."""
    model, _, test, facts = trained_cnn(context)
    data = _in_turn(test, context.pick(SIZES).gradient_digits)
    chosen = {"gradient": cascade.AbsoluteGradient()}
    cascade.run_cascade(
        context, folder, model, model_spec("basic_cnn"), data, chosen, keep=min(SHOWN, len(data)), facts=facts
    )


def compute_methods(context: Context, folder: Path) -> None:
    """Figure 3: all seven methods; the maps of all digits are kept, for methods are compared with one another."""
    model, _, test, facts = trained_cnn(context)
    effort = context.pick(SIZES).digits
    data = _in_turn(test, effort.images)
    cascade.run_cascade(
        context,
        folder,
        model,
        model_spec("basic_cnn"),
        data,
        cascade.methods(effort),
        keep=len(data),
        facts=facts,
    )


def _in_turn(test: ImageSet, count: int) -> ImageSet:
    """Takes digits 0 to 9 in turn until there are `count` images."""
    classes = len(test.class_names or ())
    each = -(-count // classes)
    some = test.take_per_class(each)
    return some.subset([digit * each + turn for turn in range(each) for digit in range(classes)][:count])


def draw_gradient(folder: Path) -> dict[str, Figure]:
    """Figure 1: a row for each digit, the original first, then the stages."""
    run = cascade.stored(folder)
    maps = cascade.panels(run, "gradient")
    titles = [cascade.explained(run, index) for index in range(len(maps))]
    figure = methods_figure(
        cascade.pictures(run),
        maps,
        titles,
        cascade.columns(run),
        caption=f"Gradient. {cascade.caption(run, run.result.methods)}",
    )
    return {"": figure}


def draw_methods(folder: Path) -> dict[str, Figure]:
    """Draws figure 3: a row for each method, a column for each stage."""
    run = cascade.stored(folder)
    shown = min(3, len(run.result.maps) - 1)
    figure = grid_figure(
        [cascade.panels(run, method)[shown] for method in TITLES],
        list(TITLES.values()),
        cascade.columns(run),
        image=cascade.pictures(run)[shown],
        image_title=cascade.explained(run, shown),
        caption=cascade.caption(run, TITLES),
    )
    return {"": figure}


def judge_gradient(folder: Path) -> list[Finding]:
    """Judges the claim of section 2.3."""
    run = cascade.stored(folder)
    scores = cascade.scores_of(run, "gradient", "spearman-abs")
    last = measure("rank correlation with the trained map after the last stage", scores[-1], "image")
    return [conclude(SENSITIVE, below(last, SIMILAR), Setting.from_json(run.config["setting"]))]


def judge_methods(folder: Path) -> list[Finding]:
    """Judges the claims of section 3.1."""
    run = cascade.stored(folder)
    stages, setting = cascade.columns(run), Setting.from_json(run.config["setting"])
    alike = {
        key: cascade.likeness(run, key, smooth)
        for key, smooth in (
            ("gradient", "smoothgrad"),
            ("input-x-gradient", "input-x-gradient-sg"),
            ("integrated-gradients", "integrated-gradients-sg"),
        )
    }  # (1 + stage, image); the convolutions are random from row 3 on
    smooth, bright, outside = alike["gradient"], cascade.brightness(run, "smoothgrad"), _outside(run)
    guided = cascade.scores_of(run, "guided-backprop", "spearman-abs")  # (stage, image)
    each = "correlation of the two at the stage where it is lowest"
    found = [
        (SMOOTH, above(cascade.lowest(each, stages[:3], smooth[:3]), SIMILAR)),
        (PARTS, above(_change("correlation of the two, before less after", -smooth), 0.0)),
        (BRIGHTER, above(_change("mean of the maps in [0, 1], after less before", bright), 0.0)),
        (BACKGROUND, above(_change("share of the map outside the digit, after less before", outside), 0.0)),
        (PRODUCT, above(cascade.lowest(each, stages, alike["input-x-gradient"]), SIMILAR)),
        (HALO, above(measure("rank correlation with the trained map after three stages", guided[2], "image"), SIMILAR)),
        (NOISY, above(_change("rank correlation with the trained map, before less after", -guided, first=2), 0.0)),
        (PATHS, above(cascade.lowest(each, stages, alike["integrated-gradients"]), SIMILAR)),
    ]
    return [conclude(claim, outcome, setting) for claim, outcome in found]


def _change(what: str, scores: np.ndarray, first: int = 3) -> Mean:
    """By how much the scores (row, image) grow from the mean of the rows before `first` to that of the others."""
    return measure(what, cascade.over_stages(scores[first:]) - cascade.over_stages(scores[:first]), "image")


def _outside(run: Run) -> np.ndarray:
    """The share of Gradient ⊙ Input that lies outside the digit, NaN of a constant map: (1 + stages, image)."""
    maps = cascade.maps_of(run, "input-x-gradient")
    shares = []
    for image, picture in zip(maps, cascade.pictures(run), strict=True):
        total = image.sum(axis=(1, 2))
        empty = image[:, picture < INK].sum(axis=1)
        shares.append(np.divide(empty, total, out=np.full_like(total, np.nan), where=total > 0))
    return np.stack(shares, axis=1)
