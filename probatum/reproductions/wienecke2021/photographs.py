"""Section 4: ResNet-18 on ImageNet, randomized by residual blocks: figures 4, 6 and 8."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from torch import nn

from probatum.attributions import EdgeDetector, Gradient, SmoothGrad
from probatum.data import ImageSet, image_files, load_photographs
from probatum.errors import InvalidInput
from probatum.experiments import Run
from probatum.experiments.build import preprocessing_of
from probatum.models import ModelSpec, load_model, model_spec
from probatum.report import curves_figure, grid_figure, overlay_figure
from probatum.reproductions.base import Claim, Context, Finding, read_facts, write_facts
from probatum.reproductions.findings import joined, not_computed
from probatum.reproductions.rules import Mean, Outcome, above, all_of, below, between, fact, measure, paired
from probatum.reproductions.setting import PHOTOGRAPHS, PRETRAINED, Setting, conclude
from probatum.reproductions.subjects import before_last_relu, photograph_folders
from probatum.reproductions.wienecke2021 import cascade
from probatum.reproductions.wienecke2021.cascade import NOISE_STD, SIZES, TITLES

JUNCO = ("00015410", "n01534433", "junco")  # parts of file names: the validation photograph, its class
BUCKET = ("00032239", "n02098105", "terrier", "bucket")  # the dog with the bucket of figure 6, in imagenet-demo/
MAGNITUDES = ("integrated-gradients", "input-x-gradient", "input-x-gradient-sg")  # "about 0.7" in figure 8

RESNET = "ResNet-18"
ABOUT = (PRETRAINED, PHOTOGRAPHS)
PREDICTED = Claim(
    "junco", "figure 4", "The network recognizes the junco.", "junco, confidence 0.42", (*ABOUT, "the junco")
)
EDGES = Claim(
    "edges",
    "figure 4",
    "As blocks become random, Gradient ⊙ Input-SG turns from the object to the edges.",
    "seen by eye",
    ABOUT,
)
ROWS = Claim(
    "seven-rows",
    "figure 6",
    "Five of the seven methods give maps; Guided Backprop and IG-SG do not.",
    "Guided Backprop is black almost everywhere, IG-SG crashed",
    (*ABOUT, RESNET),
)
BRIGHT = Claim(
    "brightness", "figure 6", "SmoothGrad's maps are much brighter than the Gradient's.", "seen by eye", ABOUT
)
STEADY = Claim(
    "input-steady",
    "figure 6",
    "Gradient ⊙ Input changes only slightly, the Gradient much.",
    "seen by eye; judged on the photographs of figure 8",
    ABOUT,
)
GUIDED = Claim(
    "guided-highest",
    "figure 8",
    "Guided Backprop stays the most similar of all methods throughout the cascade.",
    "highest curve, from the scores that were defined: 9 of 20 at layer1.1",
    ABOUT,
    "main result",
)
AROUND = {
    method: Claim(
        f"around-0.7-{method}",
        "figure 8",
        f"{TITLES[method]} mingles around this value.",
        "about 0.7",
        ABOUT,
    )
    for method in MAGNITUDES
}
LOW = Claim(
    "gradient-low", "figure 8", "The Gradient ends low at the deepest layer.", "below 0.4 (Adebayo et al.: 0.7)", ABOUT
)
LOWER = Claim(
    "smoothgrad-low",
    "figure 8",
    "SmoothGrad scores lower than Guided Backprop, IG and both Gradient ⊙ Input.",
    "seen in the curves",
    ABOUT,
)


@dataclass(frozen=True, eq=False)
class Network:
    """The pretrained network of an experiment.

    Args:
        spec: facts about it.
        model: on its device.
        trained: False if its weights are random.
    """

    spec: ModelSpec
    model: nn.Module
    trained: bool

    @property
    def title(self) -> str:
        """Name and kind of weights."""
        return f"{self.spec.title} with {'trained' if self.trained else 'random'} weights"

    def setting(self, layer: str) -> Setting:
        """What replaces a trained ResNet-18.

        Args:
            layer: what is explained where it is not the network's outputs, in words; else "".
        """
        lacks = {} if self.trained else {PRETRAINED: "the weights are random: give --weights"}
        if self.spec.name == "resnet18":
            return Setting(lacks=lacks)
        lacks[RESNET] = f"{self.spec.title} was used: give --model resnet18"
        return Setting((joined(f"{self.title} instead of ResNet-18", layer),), lacks)


def asked(context: Context) -> bool:
    """Return True if a pretrained network is requested; the preset "quick" downloads none by default."""
    config = context.config
    return config.model is not None or config.weights != "default" or not config.substitutes


def network(context: Context) -> Network:
    """The paper's network or the one in its place; with random weights where none are to be had."""
    weights = context.config.weights if asked(context) else "none"
    spec = model_spec(context.config.model or "resnet18")
    if spec.channels != 3:
        raise InvalidInput(f"{spec.title} takes no photographs; give --model resnet18 or another of torchvision's")
    model = load_model(spec.name, weights, seed=context.config.seed).to(context.device)
    return Network(spec, model, trained=weights != "none")


def choose(folders: Sequence[Path], spec: ModelSpec, count: int, first: Sequence[str] = ()) -> ImageSet:
    """Photographs spread evenly over folders.

    Args:
        folders: searched recursively.
        spec: of the network that is to see them.
        count: how many.
        first: parts of file names; a photograph that has one leads, the earlier the part the better.

    Raises:
        InvalidInput: too few photographs.
    """
    files = [file for folder in folders for file in image_files(folder)]
    where = " and ".join(str(folder) for folder in folders)
    if len(files) < count:
        raise InvalidInput(f"{where} holds {len(files)} photographs where {count} are needed; put more there")
    named = ((path for path in files if part.lower() in path.name.lower()) for part in first)
    leading = [path for found in named for path in found][:1]
    others = [path for path in files if path not in leading]
    wanted = count - len(leading)
    spread = [others[round(place)] for place in np.linspace(0, len(others) - 1, wanted)]
    name = " and ".join(folder.resolve().name for folder in folders)
    return replace(load_photographs([*leading, *spread], preprocessing_of(spec)), name=name)


def about(net: Network, data: ImageSet, layer: str = "") -> dict[str, Any]:
    """Describe network and photographs for captions and findings; `layer` as in `Network.setting`."""
    photographs = "1 photograph" if len(data) == 1 else f"{len(data)} photographs"
    return {
        "network": joined(net.title, layer),
        "trained": net.trained,
        "setting": net.setting(layer).to_json(),
        "data_title": f"{photographs} of {data.name}",
        "used": f"{net.title} on {photographs} of {data.name}",
    }


def _compute(
    context: Context,
    folder: Path,
    effort: cascade.Effort,
    chosen: dict[str, Any],
    *,
    keep: int,
    first: Sequence[str] = (),
) -> None:
    """Run a cascade on photographs, or store what is missing."""
    folders = photograph_folders(context)
    wanted = ["--model resnet18 (fetches its weights) or --weights FILE"] * (not asked(context))
    if not folders or wanted:
        wanted += ["--photographs DIR, or imagenet-samples/ (and imagenet-demo/) in --data-dir"] * (not folders)
        write_facts(folder, missing="give " + " and ".join(wanted))
        return
    net = network(context)
    data = choose(folders, net.spec, effort.images, first)
    model, layer = before_last_relu(net.model, data.images)
    cascade.run_cascade(context, folder, model, net.spec, data, chosen, keep=keep, facts=about(net, data, layer))


def compute_overlays(context: Context, folder: Path) -> None:
    """Figure 4: Gradient ⊙ Input-SG, and the edges it is said to turn to."""
    effort = context.pick(SIZES).overlays
    name = "input-x-gradient-sg"
    chosen = {name: cascade.methods(effort)[name], "edge-detector": EdgeDetector()}
    _compute(context, folder, effort, chosen, keep=effort.images, first=JUNCO)


def compute_photograph(context: Context, folder: Path) -> None:
    """Computes figure 6: all methods on one photograph."""
    effort = context.pick(SIZES).photograph
    _compute(context, folder, effort, cascade.methods(effort), keep=effort.images, first=BUCKET)


def compute_curves(context: Context, folder: Path) -> None:
    """Figure 8: all methods, and the signed gradients beside them, which need no model call of their own."""
    effort = context.pick(SIZES).curves
    signed = {
        "gradient-signed": Gradient(),
        "smoothgrad-signed": SmoothGrad(Gradient(), effort.samples, noise_std=NOISE_STD),
    }
    _compute(context, folder, effort, cascade.methods(effort) | signed, keep=0)


def missing_in(folder: Path) -> str | None:
    """Return what must be given to compute the experiment, or None if it was computed."""
    return str(read_facts(folder)["missing"]) if (folder / "facts.json").exists() else None


def draw_overlays(folder: Path) -> dict[str, Figure]:
    """Figure 4: a row for each photograph, a column for each stage, maps over the faint original."""
    if missing_in(folder):
        return {}
    run = cascade.stored(folder)
    name = "input-x-gradient-sg"
    maps = cascade.panels(run, name)
    figure = overlay_figure(
        cascade.pictures(run),
        maps,
        [_row_title(run, index) for index in range(len(maps))],
        column_titles=cascade.columns(run),
        caption=f"{TITLES[name]}. {cascade.caption(run, [name])}",
    )
    return {"": figure}


def draw_photograph(folder: Path) -> dict[str, Figure]:
    """Draws figure 6: a row for each method, a column for each stage."""
    if missing_in(folder):
        return {}
    run = cascade.stored(folder)
    figure = grid_figure(
        [cascade.panels(run, method)[0] for method in TITLES],
        list(TITLES.values()),
        cascade.columns(run),
        image=cascade.pictures(run)[0],
        image_title=_row_title(run, 0),
        caption=cascade.caption(run, TITLES),
    )
    return {"": figure}


def draw_curves(folder: Path) -> dict[str, Figure]:
    """Figure 8: a curve for each method, with intervals and noise ceilings."""
    if missing_in(folder):
        return {}
    run = cascade.stored(folder)
    result = run.result
    metric = result.metrics.index("ssim-wienecke")
    ceilings = {TITLES[name]: result.ceiling[result.methods.index(name), metric].mean() for name in TITLES}
    scores = paired_scores(run)
    counts = np.isfinite(scores["gradient"]).sum(axis=1)
    figure = curves_figure(
        {title: scores[name] for name, title in TITLES.items()},
        metric_title="SSIM of maps normalized to [0, 1]",
        column_titles=result.stages,
        ceiling={title: float(value) for title, value in ceilings.items() if np.isfinite(value)},
        caption=f"{cascade.caption(run, TITLES)}; SSIM with scikit-image's defaults; photographs of "
        f"which every method has a map at each stage: {', '.join(map(str, counts))} of {len(result.image_names)}",
    )
    return {"": figure}


def judge_overlays(folder: Path) -> list[Finding]:
    """Judges the claims of section 4.2."""
    if why := missing_in(folder):
        return not_computed((PREDICTED, EDGES), why)
    run = cascade.stored(folder)
    along = cascade.likeness(run, "input-x-gradient-sg", "edge-detector")
    what = "correlation with an edge detector, all random less normal"
    return [_judge_junco(run), _conclude(run, EDGES, above(measure(what, along[-1] - along[0], "image"), 0.0))]


def _judge_junco(run: Run) -> Finding:
    shown = next((name for name in run.result.image_names if any(part in name.lower() for part in JUNCO)), None)
    setting = Setting.from_json(run.config["setting"])
    if shown is None:
        why = f"no photograph is named after it: give one whose name has {' or '.join(JUNCO)}"
        outcome = fact(False, "no junco", "the predicted class is junco")
        return conclude(PREDICTED, outcome, replace(setting, lacks={"the junco": why, **setting.lacks}))
    ours = cascade.explained(run, run.result.image_names.index(shown))
    rule = f"the class predicted for {shown} is junco; which photograph the paper took is not told"
    return conclude(PREDICTED, fact(ours.startswith("junco"), ours, rule), setting)


def judge_photograph(folder: Path) -> list[Finding]:
    """Judges the claims of section 4.3 that need no failure."""
    if why := missing_in(folder):
        return not_computed((ROWS, BRIGHT), why)
    run = cascade.stored(folder)
    bright = {name: cascade.brightness(run, name) for name in TITLES}  # (1 + stage, image)
    dead = np.isnan(bright["gradient"])
    lost = sum(int((np.isnan(values) & ~dead).sum()) for values in bright.values())
    ours = (
        f"{len(TITLES)} methods × {dead.size} maps, {lost} constant maps beside those of {int(dead.sum())} whose "
        f"Gradient is zero; {run.config['relu_calls']} ReLU calls guided"
    )
    rule = "some map is constant where the Gradient is not (where it is, no method can show anything)"
    more = cascade.over_stages(bright["smoothgrad"] - bright["gradient"])
    what = "mean over stages of the maps' mean in [0, 1], SmoothGrad less Gradient"
    return [
        _conclude(run, ROWS, fact(lost > 0 or bool(dead.all()), ours, rule)),
        _conclude(run, BRIGHT, above(measure(what, more, "image"), 0.0)),
    ]


def judge_curves(folder: Path) -> list[Finding]:
    """The claims of section 4.4, and that of 4.3 which needs more than one photograph."""
    if why := missing_in(folder):
        return not_computed((GUIDED, *AROUND.values(), LOW, LOWER, STEADY), why)
    run = cascade.stored(folder)
    scores = paired_scores(run)
    overall = {name: cascade.over_stages(values) for name, values in scores.items()}

    def less(one: str, other: str) -> Mean:
        what = f"mean SSIM over the stages, {TITLES[one]} less {TITLES[other]}"
        return measure(what, overall[one] - overall[other], "image")

    rivals = [name for name in TITLES if name != "guided-backprop"]
    higher = ("guided-backprop", *MAGNITUDES)
    last = measure("SSIM after the last stage, of gradients without sign", scores["gradient"][-1], "image")
    signed = measure("with signs kept", scores["gradient-signed"][-1], "image").words()
    findings = [
        _conclude(run, GUIDED, all_of(above(less("guided-backprop", name), 0.0) for name in rivals)),
        _conclude(run, LOW, below(last, 0.4), signed),
        _conclude(run, LOWER, all_of(above(less(name, "smoothgrad"), 0.0) for name in higher)),
        _conclude(run, STEADY, above(less("input-x-gradient", "gradient"), 0.0)),
    ]
    for method, claim in AROUND.items():
        mean = measure("mean SSIM over the stages", overall[method], "image")
        findings.append(_conclude(run, claim, between(mean, 0.6, 0.8)))
    return findings


def paired_scores(run: Run) -> dict[str, np.ndarray]:
    """SSIM of each method, (stage, image), all on the same live maps."""
    names = run.result.methods
    return dict(zip(names, paired(*(cascade.scores_of(run, name, "ssim-wienecke") for name in names)), strict=True))


def _conclude(run: Run, claim: Claim, outcome: Outcome, note: str = "") -> Finding:
    """The finding on a claim, with the setting of the run."""
    return conclude(claim, outcome, Setting.from_json(run.config["setting"]), note)


def _row_title(run: Run, index: int) -> str:
    """The predicted class and its confidence, or the file where random weights predict nothing."""
    return cascade.explained(run, index) if run.config["trained"] else Path(run.result.image_names[index]).stem
