"""Cascading and independent randomization of the small networks."""

from pathlib import Path

from matplotlib.figure import Figure

from probatum.attributions import METHODS
from probatum.experiments.run_folder import Run, read_run
from probatum.models import model_spec
from probatum.randomization import PRESETS, stages_from_table
from probatum.report import bootstrap_interval
from probatum.reproductions.adebayo2018 import rules
from probatum.reproductions.adebayo2018.checks import draw_check, stored_check
from probatum.reproductions.adebayo2018.rules import PRODUCTS, Measured, conclude
from probatum.reproductions.adebayo2018.setting import (
    NETWORKS,
    SIZES,
    datasets,
    load_small,
    methods_for,
    substitution_of,
    title_of,
    trained,
)
from probatum.reproductions.base import Claim, Context, Finding, read_facts, write_facts
from probatum.reproductions.findings import estimate, joined

ACCURACY = {"digits": 0.94, "mnist": 0.97, "fashion-mnist": 0.8}  # below it, a network is not worth explaining

ACCURATE = Claim(
    "trained-networks",
    "setting",
    "The explained networks classify held-out images well.",
    "CNN on MNIST 0.994 (validation)",
)
EDGE_CONTROL = Claim(
    "edge-control",
    "edge detectors",
    "An edge detector does not depend on the model, so no randomization changes its map.",
    "similarity 1 by construction",
)
SENSITIVE = Claim(
    "cascading-sensitive",
    "cascading randomization",
    "Gradient and Grad-CAM depend on the weights.",
    "maps of the small networks lose their resemblance as layers are re-drawn",
)
GUIDED = Claim(
    "cascading-guided-backprop",
    "cascading randomization",
    "Guided Backprop hardly depends on the weights of the higher layers.",
    "maps stay almost the same until the lower layers are re-drawn",
)
GUIDED_CAM = Claim(
    "cascading-guided-grad-cam",
    "cascading randomization",
    "Guided Grad-CAM hardly depends on the weights of the higher layers.",
    "maps stay almost the same until the lower layers are re-drawn",
)
SIGN = Claim(
    "cascading-sign",
    "cascading randomization, rank correlation without ABS",
    "The signs in Input × Gradient and Integrated Gradients depend on the weights.",
    "signed rank correlation falls to about 0",
)
STRUCTURE = Claim(
    "cascading-structure",
    "cascading randomization, rank correlation with ABS and SSIM",
    "Input × Gradient and Integrated Gradients keep the structure of the input when nothing trained is left.",
    "ABS rank correlation and SSIM stay high",
)
EACH_LAYER = Claim(
    "independent-sensitive",
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


def compute(preset: str, context: Context, folder: Path) -> None:
    """Trains both networks on each data set and checks all methods on them, under a randomization protocol."""
    sizes, names = context.pick(SIZES), datasets(context)
    for dataset in names:
        training = load_small(context, dataset, "train", sizes.train_images)
        test = load_small(context, dataset, "test", sizes.test_images)
        explained = test.take_per_class(sizes.per_class)
        for network in NETWORKS:
            title = title_of(network, dataset)
            model, report = trained(context, network, training, test, sizes.training, title)
            accuracy = report.best_accuracy
            protocol = (
                f"test accuracy {accuracy:.3f}; each layer's own initializer; {sizes.points}; "
                f"preset {context.config.preset}, seed {context.config.seed}"
            )
            stored_check(
                context,
                folder / f"{network}-{dataset}",
                model,
                explained,
                methods_for(network, sizes.points),
                PRESETS[preset].randomizer(
                    model, stages_from_table(model, model_spec(network).stages or ()), context.config.seed
                ),
                trials=sizes.trials,
                drawn=sizes.drawn,
                class_names=test.class_names or (),
                facts={"title": title, "protocol": protocol, "accuracy": accuracy, "dataset": dataset},
            )
    checks = [f"{network}-{dataset}" for dataset in names for network in NETWORKS]
    write_facts(folder, checks=checks, substitution=substitution_of(names))


def draw(folder: Path) -> dict[str, Figure]:
    """Grids and curves of every check."""
    figures: dict[str, Figure] = {}
    for check in read_facts(folder)["checks"]:
        figures |= draw_check(folder / check)
    return figures


def judge_cascading(folder: Path) -> list[Finding]:
    """The claims on cascading randomization."""
    runs, substitution = _runs(folder)
    cnns = {title: run for title, run in runs.items() if "grad-cam" in run.result.methods}
    about_cam = joined(*(rules.exceptions(run, ("grad-cam",)) for run in cnns.values()), substitution)
    both = ("gradient", "grad-cam")
    return [
        conclude(ACCURATE, {title: _accuracy(run) for title, run in runs.items()}, _accuracy_rule(runs), substitution),
        conclude(EDGE_CONTROL, {t: rules.controlled(run) for t, run in runs.items()}, rules.RULE_CONTROL, substitution),
        conclude(
            SENSITIVE, {t: rules.sensitive(run, both) for t, run in runs.items()}, rules.RULE_SENSITIVE, about_cam
        ),
        conclude(
            GUIDED,
            {t: rules.invariant(run, "guided-backprop") for t, run in runs.items()},
            rules.RULE_INVARIANT,
            substitution,
        ),
        conclude(
            GUIDED_CAM,
            {t: rules.invariant(run, "guided-grad-cam") for t, run in cnns.items()},
            rules.RULE_INVARIANT,
            about_cam,
        ),
        conclude(
            SIGN, {t: rules.sign_lost(run, PRODUCTS) for t, run in runs.items()}, rules.RULE_SIGN_LOST, substitution
        ),
        conclude(
            STRUCTURE,
            {t: rules.structure_kept(run, PRODUCTS, high=True) for t, run in runs.items()},
            rules.RULE_HIGH,
            substitution,
        ),
    ]


def judge_independent(folder: Path) -> list[Finding]:
    """The claims on independent randomization."""
    runs, substitution = _runs(folder)
    return [
        conclude(
            EACH_LAYER,
            {title: _each_layer(run) for title, run in runs.items()},
            f"for every layer, the 95 % interval of Gradient's ABS rank correlation lies below {rules.SENSITIVE}",
            substitution,
        ),
        conclude(
            GUIDED_LAYERS,
            {title: _upper_layers(run) for title, run in runs.items()},
            f"for every layer of the upper half, the 95 % interval of SSIM lies above {rules.INVARIANT}, and that of "
            "the gain over Gradient on the same images above 0",
            substitution,
        ),
    ]


def _runs(folder: Path) -> tuple[dict[str, Run], str]:
    """Return the checks by title, and the substitution."""
    facts = read_facts(folder)
    runs = [read_run(folder / check) for check in facts["checks"]]
    return {run.config["title"]: run for run in runs}, facts["substitution"]


def _accuracy(run: Run) -> Measured:
    accuracy = run.config["accuracy"]
    return Measured(f"test accuracy {accuracy:.3f}", accuracy >= ACCURACY[run.config["dataset"]])


def _accuracy_rule(runs: dict[str, Run]) -> str:
    names = dict.fromkeys(run.config["dataset"] for run in runs.values())
    return "test accuracy of at least " + ", ".join(f"{ACCURACY[name]} on {name}" for name in names)


def _each_layer(run: Run) -> Measured:
    interval = bootstrap_interval(rules.scores_of(run, "gradient", "spearman-abs"))
    worst = int(interval.high.argmax())
    stage = rules.mean_of(run, "gradient", "spearman-abs", worst)
    return Measured(
        f"{METHODS['gradient'].title} at most {estimate(stage)} ({run.result.stages[worst]})",
        bool(interval.high[worst] < rules.SENSITIVE),
    )


def _upper_layers(run: Run) -> Measured:
    upper = range((len(run.result.stages) + 1) // 2)
    ones = [rules.mean_of(run, "guided-backprop", "ssim", stage) for stage in upper]
    gains = [rules.gain_of(run, "guided-backprop", "ssim", stage) for stage in upper]
    ours = ", ".join(f"{run.result.stages[stage]} {estimate(ones[stage])}" for stage in upper)
    met = all(one.low > rules.INVARIANT for one in ones) and all(gain.low > 0 for gain in gains)
    return Measured(f"SSIM {ours}", met)
