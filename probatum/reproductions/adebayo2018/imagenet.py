"""Cascading randomization of the ImageNet network, Inception v3 by its 17 blocks."""

from pathlib import Path

from matplotlib.figure import Figure

from probatum.attributions import METHODS
from probatum.experiments.run_folder import read_run
from probatum.maps import REDUCTIONS
from probatum.randomization import PRESETS, automatic_stages, stages_from_table, usual_stages
from probatum.report import methods_figure
from probatum.reproductions.adebayo2018 import rules
from probatum.reproductions.adebayo2018.checks import draw_check, panel, pictures_of, stored_check
from probatum.reproductions.adebayo2018.photographs import imagenet_task
from probatum.reproductions.adebayo2018.setting import PAIR, SIZES, methods_for
from probatum.reproductions.base import Claim, Context, Finding, Role, read_facts, write_facts
from probatum.reproductions.findings import not_computed
from probatum.reproductions.hatching import drawable
from probatum.reproductions.setting import PHOTOGRAPHS, PRETRAINED, Setting, conclude

WHERE = "cascading randomization of Inception v3"
MAIN: Role = "main result"
RESULT: Role = "result"
ABOUT = (PRETRAINED, PHOTOGRAPHS)
CHANGES = "maps change from the first re-drawn blocks on and lose all resemblance"
STEADY = "maps stay almost the same down to the lowest blocks"
PRODUCTS_KEEP = "Input × Gradient and Integrated Gradients keep the structure of the input when nothing trained is left"


def _claim(name: str, statement: str, paper: str, where: str = WHERE, role: Role = "result") -> Claim:
    return Claim(f"imagenet-{name}", where, statement, paper, ABOUT, role)


SENSITIVE = {
    "gradient": _claim("gradient", "Gradient depends on the weights.", CHANGES, role="main result"),
    "smoothgrad": _claim("smoothgrad", "SmoothGrad depends on the weights.", CHANGES),
    "grad-cam-pair": _claim("grad-cam", "Grad-CAM depends on the weights.", CHANGES),
}
GUIDED = {
    method: (
        _claim(name, f"{title} hardly depends on the weights of the higher layers.", STEADY, role=role),
        _claim(
            f"{name}-above",
            f"{title} depends on the weights of the higher layers less than Gradient does.",
            STEADY,
        ),
    )
    for method, name, title, role in (
        ("guided-backprop", "guided-backprop", "Guided Backprop", MAIN),
        ("guided-grad-cam-pair", "guided-grad-cam", "Guided Grad-CAM", RESULT),
    )
}
SIGN = _claim(
    "sign",
    "The signs in Input × Gradient and Integrated Gradients depend on the weights.",
    "signed rank correlation falls to about 0",
    f"{WHERE}, rank correlation without ABS",
)
OUTLINES = "maps still show the outlines of the photograph"
STRUCTURE = {
    "spearman-abs": _claim(
        "structure-rank",
        f"By ABS rank correlation, {PRODUCTS_KEEP}, more than Gradient does.",
        OUTLINES,
        f"{WHERE}, rank correlation with ABS",
    ),
    "ssim": _claim("structure-ssim", f"By SSIM, {PRODUCTS_KEEP}, more than Gradient does.", OUTLINES, f"{WHERE}, SSIM"),
}
EDGE_CONTROL = Claim(
    "imagenet-edge-control",
    "edge detectors",
    "An edge detector does not depend on the model, so no randomization changes its map.",
    "similarity 1 by construction",
    role="self-test",
)
CLAIMS = (*SENSITIVE.values(), *(one for both in GUIDED.values() for one in both), SIGN, *STRUCTURE.values())


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
        plan = usual_stages(automatic_stages(task.model, task.photographs.images[:1].to(context.device)))
    protocol = (
        f"each layer's own initializer, running statistics of batch norm kept; explained is the class that the trained "
        f"network predicts{', ' + task.layer if task.layer else ''}; {sizes.photograph_points}; "
        f"preset {context.config.preset}, seed {context.config.seed}"
    )
    check = task.spec.name.replace(":", "-")  # which some file systems cannot hold
    stored_check(
        context,
        folder / check,
        task.model,
        task.photographs,
        methods_for(task.spec.name, sizes.photograph_points),
        PRESETS["adebayo"].randomizer(task.model, plan, context.config.seed),
        trials=1,
        drawn=sizes.photographs_drawn,
        class_names=task.spec.class_names or (),
        facts={"title": task.title, "protocol": protocol},
    )
    used = f"{task.title} on {len(task.photographs)} photographs"
    write_facts(folder, check=check, setting=task.setting.to_json(), used=used)


def draw(folder: Path) -> dict[str, Figure]:
    """Grids and curves as for the small networks, and Guided Backprop on every drawn photograph."""
    facts = read_facts(folder)
    if "missing" in facts:
        return {}
    place = folder / facts["check"]
    return draw_check(place) | {f"{facts['check']}-guided-backprop": _guided_backprop(place)}


def _guided_backprop(folder: Path) -> Figure:
    """Draws Guided Backprop: a row for each photograph, a column for each stage."""
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
    """Judges the claims on ImageNet."""
    facts = read_facts(folder)
    if "missing" in facts:
        return not_computed((*CLAIMS, EDGE_CONTROL), facts["missing"])
    run = read_run(folder / facts["check"])
    runs = {run.config["title"]: run}
    found = [(claim, rules.changed(runs, method), _published(runs, method, "spearman-abs", -1))
             for method, claim in SENSITIVE.items()]  # fmt: skip
    for method, (stays, more) in GUIDED.items():
        found.append((stays, rules.stays(runs, method), _published(runs, method, "ssim")))
        found.append((more, rules.stays_more(runs, method), ""))
    found.append((SIGN, rules.sign_lost(runs, *rules.PRODUCTS), ""))
    found += [(claim, rules.kept_more(runs, metric, *rules.PRODUCTS), "") for metric, claim in STRUCTURE.items()]
    found.append((EDGE_CONTROL, rules.controlled(runs), ""))
    setting = Setting.from_json(facts["setting"])
    return [conclude(claim, outcome, setting, note) for claim, outcome, note in found]


def _published(runs: rules.Runs, method: str, metric: str, stage: int | None = None) -> str:
    """The number of the published definition, for methods of PAIR."""
    return rules.published(runs, method, metric, stage) if method in PAIR else ""
