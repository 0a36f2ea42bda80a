"""Cascading and independent randomization of the small networks."""

from dataclasses import replace
from pathlib import Path

from matplotlib.figure import Figure

from probatum.experiments.run_folder import Run, read_run
from probatum.models import model_spec
from probatum.randomization import PRESETS, stages_from_table
from probatum.reproductions.adebayo2018 import rules
from probatum.reproductions.adebayo2018.checks import draw_check, stored_check
from probatum.reproductions.adebayo2018.setting import (
    INITIALIZERS,
    MNIST_DIGITS,
    NETWORKS,
    SIZES,
    TRAINING_IMAGES,
    datasets,
    load_small,
    load_split,
    methods_for,
    setting_of,
    title_of,
    trained,
    used_on,
    weights_of,
)
from probatum.reproductions.base import Claim, Context, Finding, read_facts, write_facts
from probatum.reproductions.rules import Outcome, above, proportion
from probatum.reproductions.setting import Setting, conclude

SEEN = "maps of the small networks lose their resemblance as layers are re-drawn"
STEADY = "maps stay almost the same until the lower layers are re-drawn"
WHERE = "cascading randomization"
PRODUCTS_KEEP = "Input × Gradient and Integrated Gradients keep the structure of the input when nothing trained is left"
ACCURACY = 0.99  # of the CNN on MNIST: the paper's 0.994 less what the 5,000 images of its validation leave open

ACCURATE = Claim(
    "trained-networks",
    "setting",
    "The explained CNN classifies held-out digits well.",
    "0.994 of the validation digits",
    (MNIST_DIGITS, TRAINING_IMAGES),
)
EDGE_CONTROL = Claim(
    "edge-control",
    "edge detectors",
    "An edge detector does not depend on the model, so no randomization changes its map.",
    "similarity 1 by construction",
    role="self-test",
)
GRADIENT = Claim("cascading-gradient", WHERE, "Gradient depends on the weights.", SEEN, role="main result")
GRAD_CAM = Claim("cascading-grad-cam", WHERE, "Grad-CAM depends on the weights.", SEEN)
GUIDED = Claim(
    "cascading-guided-backprop",
    WHERE,
    "Guided Backprop hardly depends on the weights of the higher layers.",
    STEADY,
    role="main result",
)
GUIDED_MORE = Claim(
    "cascading-guided-backprop-above",
    WHERE,
    "Guided Backprop depends on the weights of the higher layers less than Gradient does.",
    STEADY,
)
GUIDED_CAM = Claim(
    "cascading-guided-grad-cam",
    WHERE,
    "Guided Grad-CAM hardly depends on the weights of the higher layers.",
    STEADY,
)
GUIDED_CAM_MORE = Claim(
    "cascading-guided-grad-cam-above",
    WHERE,
    "Guided Grad-CAM depends on the weights of the higher layers less than Gradient does.",
    STEADY,
)
SIGN = Claim(
    "cascading-sign",
    f"{WHERE}, rank correlation without ABS",
    "The signs in Input × Gradient and Integrated Gradients depend on the weights.",
    "signed rank correlation falls to about 0",
)
RANKS = Claim(
    "cascading-structure-rank",
    f"{WHERE}, rank correlation with ABS",
    f"By ABS rank correlation, {PRODUCTS_KEEP}.",
    "ABS rank correlation stays high",
)
STRUCTURE = Claim("cascading-structure-ssim", f"{WHERE}, SSIM", f"By SSIM, {PRODUCTS_KEEP}.", "SSIM stays high")
EACH_LAYER = Claim(
    "independent-gradient",
    "independent randomization",
    "Gradient depends on every single layer.",
    "re-drawing any one layer changes the map",
)
GUIDED_LAYERS = Claim(
    "independent-guided-backprop",
    "independent randomization",
    "Guided Backprop hardly depends on any single one of the higher layers.",
    "maps stay almost the same",
)
GUIDED_LAYERS_MORE = Claim(
    "independent-guided-backprop-above",
    "independent randomization",
    "Guided Backprop depends on any single one of the higher layers less than Gradient does.",
    "maps stay almost the same",
)


def compute(preset: str, context: Context, folder: Path) -> None:
    """Trains both networks on each data set and checks all methods on them, under a randomization protocol."""
    sizes, names = context.pick(SIZES), datasets(context)
    for dataset in names:
        training, test = load_split(context, dataset, sizes.train_images)
        explained = load_small(context, dataset, "test", sizes.test_images).take_per_class(sizes.per_class)
        for network in NETWORKS:
            title = title_of(network, dataset)
            model, report = trained(context, network, training, test, sizes.training, title)
            accuracy = report.best_accuracy
            protocol = (
                f"test accuracy {accuracy:.3f}; layers re-drawn by the initializer {weights_of(context)}; "
                f"explained is the class that the trained network predicts; {sizes.points}; "
                f"preset {context.config.preset}, seed {context.config.seed}"
            )
            stored_check(
                context,
                folder / f"{network}-{dataset}",
                model,
                explained,
                methods_for(network, sizes.points),
                replace(PRESETS[preset], initializer=INITIALIZERS[weights_of(context)]).randomizer(
                    model, stages_from_table(model, model_spec(network).stages or ()), context.config.seed
                ),
                trials=sizes.trials,
                drawn=sizes.drawn,
                class_names=test.class_names or (),
                facts={
                    "title": title,
                    "protocol": protocol,
                    "accuracy": accuracy,
                    "tested": len(test),
                    "network": network,
                },
            )
    checks = [f"{network}-{dataset}" for dataset in names for network in NETWORKS]
    write_facts(folder, checks=checks, setting=setting_of(names, sizes.train_images).to_json(), used=used_on(names))


def draw(folder: Path) -> dict[str, Figure]:
    """Draws the grids and curves of every check."""
    figures: dict[str, Figure] = {}
    for check in read_facts(folder)["checks"]:
        figures |= draw_check(folder / check)
    return figures


def judge_cascading(folder: Path) -> list[Finding]:
    """Judges the claims on cascading randomization."""
    runs, setting = _runs(folder)
    cnns = {title: run for title, run in runs.items() if run.config["network"] == "basic_cnn"}
    found = [
        (ACCURATE, _accuracy(cnns), ""),
        (GRADIENT, rules.changed(runs, "gradient"), ""),
        (GRAD_CAM, rules.changed(cnns, "grad-cam-pair"), rules.published(cnns, "grad-cam-pair", "spearman-abs", -1)),
        (GUIDED, rules.stays(runs, "guided-backprop"), ""),
        (GUIDED_MORE, rules.stays_more(runs, "guided-backprop"), ""),
        (
            GUIDED_CAM,
            rules.stays(cnns, "guided-grad-cam-pair"),
            rules.published(cnns, "guided-grad-cam-pair", "ssim"),
        ),
        (GUIDED_CAM_MORE, rules.stays_more(cnns, "guided-grad-cam-pair"), rules.PAIR_REASON),
        (SIGN, rules.sign_lost(runs, *rules.PRODUCTS), ""),
        (RANKS, rules.kept(runs, "spearman-abs", *rules.PRODUCTS), ""),
        (STRUCTURE, rules.kept(runs, "ssim", *rules.PRODUCTS), ""),
        (EDGE_CONTROL, rules.controlled(runs), ""),
    ]
    return [conclude(claim, outcome, setting, note) for claim, outcome, note in found]


def judge_independent(folder: Path) -> list[Finding]:
    """Judges the claims on independent randomization."""
    runs, setting = _runs(folder)
    found = [
        (EACH_LAYER, rules.each_layer(runs, "gradient")),
        (GUIDED_LAYERS, rules.upper_layers(runs, "guided-backprop")),
        (GUIDED_LAYERS_MORE, rules.upper_layers_more(runs, "guided-backprop")),
    ]
    return [conclude(claim, outcome, setting) for claim, outcome in found]


def _runs(folder: Path) -> tuple[dict[str, Run], Setting]:
    """Return the checks by title, and what was replaced."""
    facts = read_facts(folder)
    runs = [read_run(folder / check) for check in facts["checks"]]
    return {run.config["title"]: run for run in runs}, Setting.from_json(facts["setting"])


def _accuracy(runs: dict[str, Run]) -> Outcome:
    """Judges the test accuracy of the CNN that was trained on digits."""
    title, run = next(iter(runs.items()))
    return above(proportion(f"{title}: test accuracy", run.config["accuracy"], run.config["tested"]), ACCURACY)
