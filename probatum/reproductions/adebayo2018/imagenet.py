"""Cascading randomization of the ImageNet network, Inception v3 by its 17 blocks."""

from pathlib import Path

from matplotlib.figure import Figure

from probatum.attributions import METHODS
from probatum.experiments.run_folder import read_run
from probatum.maps import REDUCTIONS
from probatum.randomization import PRESETS, automatic_stages, stages_from_table
from probatum.report import methods_figure
from probatum.reproductions.adebayo2018 import rules
from probatum.reproductions.adebayo2018.checks import draw_check, drawable, panel, pictures_of, stored_check
from probatum.reproductions.adebayo2018.photographs import imagenet_task
from probatum.reproductions.adebayo2018.rules import PRODUCTS, conclude
from probatum.reproductions.adebayo2018.setting import SIZES, methods_for
from probatum.reproductions.base import Claim, Context, Finding, read_facts, write_facts
from probatum.reproductions.findings import joined, not_computed

WHERE = "cascading randomization of Inception v3"
SENSITIVE = Claim(
    "imagenet-sensitive",
    WHERE,
    "Gradient, SmoothGrad and Grad-CAM depend on the weights.",
    "maps change from the first re-drawn blocks on and lose all resemblance",
)
GUIDED = Claim(
    "imagenet-guided-backprop",
    WHERE,
    "Guided Backprop hardly depends on the weights of the higher layers.",
    "maps stay almost the same down to the lowest blocks",
)
GUIDED_CAM = Claim(
    "imagenet-guided-grad-cam",
    WHERE,
    "Guided Grad-CAM hardly depends on the weights of the higher layers.",
    "maps stay almost the same down to the lowest blocks",
)
SIGN = Claim(
    "imagenet-sign",
    f"{WHERE}, rank correlation without ABS",
    "The signs in Input × Gradient and Integrated Gradients depend on the weights.",
    "signed rank correlation falls to about 0",
)
STRUCTURE = Claim(
    "imagenet-structure",
    f"{WHERE}, rank correlation with ABS and SSIM",
    "Input × Gradient and Integrated Gradients keep the structure of the input when nothing trained is left.",
    "maps still show the outlines of the photograph",
)
EDGE_CONTROL = Claim(
    "imagenet-edge-control",
    "edge detectors",
    "An edge detector does not depend on the model, so no randomization changes its map.",
    "similarity 1 by construction",
)


def compute(context: Context, folder: Path) -> None:
    """Checks all methods on the network and the photographs, where both were given."""
    sizes = context.pick(SIZES)
    task = imagenet_task(context, sizes.photographs)
    if isinstance(task, str):
        write_facts(folder, missing=task)
        return
    table = task.spec.stages
    if table is not None:
        plan = stages_from_table(task.model, table)
    else:
        plan = automatic_stages(task.model, task.photographs.images[:1].to(context.device))
    protocol = (
        f"each layer's own initializer, running statistics of batch norm kept; {sizes.photograph_points}; "
        f"preset {context.config.preset}, seed {context.config.seed}"
    )
    stored_check(
        context,
        folder / task.spec.name,
        task.model,
        task.photographs,
        methods_for(task.spec.name, sizes.photograph_points),
        PRESETS["adebayo"].randomizer(task.model, plan, context.config.seed),
        trials=1,
        drawn=sizes.photographs_drawn,
        class_names=task.spec.class_names or (),
        facts={"title": task.title, "protocol": protocol},
    )
    write_facts(folder, check=task.spec.name, substitution=task.substitution, comparable=not task.untrained)


def draw(folder: Path) -> dict[str, Figure]:
    """Grids and curves as for the small networks, and Guided Backprop on every drawn photograph."""
    facts = read_facts(folder)
    if "missing" in facts:
        return {}
    place = folder / facts["check"]
    return draw_check(place) | {f"{facts['check']}-guided-backprop": _guided_backprop(place)}


def _guided_backprop(folder: Path) -> Figure:
    """A row for each photograph, a column for each stage."""
    run = read_run(folder)
    return methods_figure(
        pictures_of(folder),
        [drawable(panel(maps["guided-backprop"], "abs-normalized")) for maps in run.result.maps.values()],
        run.config["classes"],
        ["Original", *run.result.stages],
        photograph_title="Input",
        caption=f"{METHODS['guided-backprop'].title} on {run.config['title']}, cascading randomization; "
        f"{run.config['protocol']}; maps: {REDUCTIONS['abs-normalized'].title}.",
    )


def judge(folder: Path) -> list[Finding]:
    """The claims on ImageNet."""
    facts = read_facts(folder)
    claims = (SENSITIVE, GUIDED, GUIDED_CAM, SIGN, STRUCTURE, EDGE_CONTROL)
    if "missing" in facts:
        return not_computed(claims, facts["missing"])
    run, substitution = read_run(folder / facts["check"]), facts["substitution"]
    looks = ("gradient", "smoothgrad", "grad-cam")
    guided, guided_cam = ("guided-backprop",), ("guided-grad-cam",)
    measured = (
        (SENSITIVE, looks, rules.sensitive(run, looks), rules.RULE_SENSITIVE),
        (GUIDED, guided, rules.invariant(run, *guided), rules.RULE_INVARIANT),
        (GUIDED_CAM, guided_cam, rules.invariant(run, *guided_cam), rules.RULE_INVARIANT),
        (SIGN, PRODUCTS, rules.sign_lost(run, PRODUCTS), rules.RULE_SIGN_LOST),
        (STRUCTURE, PRODUCTS, rules.structure_kept(run, PRODUCTS), rules.RULE_STRUCTURE),
        (EDGE_CONTROL, (), rules.controlled(run), rules.RULE_CONTROL),
    )
    findings = []
    for claim, methods, one, rule in measured:
        about = joined(rules.exceptions(run, methods) if methods else "", substitution)
        if not facts["comparable"]:
            findings.append(Finding(claim, one.ours, "not comparable", about))
        else:
            findings.append(conclude(claim, {run.config["title"]: one}, rule, about))
    return findings
