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
from probatum.reproductions.findings import mean_over_images, not_computed, verdict
from probatum.reproductions.wienecke2021 import cascade
from probatum.reproductions.wienecke2021.cascade import NOISE_STD, SIZES, TITLES

JUNCO = ("00015410", "n01534433", "junco")  # parts of file names: the validation photograph, its class
BUCKET = ("00032239", "n02098105", "terrier", "bucket")  # the dog with the bucket of figure 6
MAGNITUDES = ("integrated-gradients", "input-x-gradient", "input-x-gradient-sg")  # "about 0.7" in figure 8
SIGNED = {"gradient-signed": "gradient", "smoothgrad-signed": "smoothgrad"}  # computed beside figure 8, not drawn

PREDICTED = Claim("junco", "figure 4", "The network recognizes the junco.", "junco, confidence 0.42")
EDGES = Claim(
    "edges",
    "figure 4",
    "As blocks become random, Gradient ⊙ Input-SG turns from the object to the edges.",
    "seen by eye",
)
ROWS = Claim(
    "seven-rows",
    "figure 6",
    "Five of the seven methods give maps; Guided Backprop and IG-SG do not.",
    "Guided Backprop is black almost everywhere, IG-SG crashed",
)
BRIGHT = Claim(
    "brightness", "figure 6", "SmoothGrad behaves like the Gradient, but its maps are much brighter.", "seen by eye"
)
STEADY = Claim("input-steady", "figure 6", "Gradient ⊙ Input changes only slightly, the Gradient much.", "seen by eye")
GUIDED = Claim(
    "guided-highest",
    "figure 8",
    "Guided Backprop stays the most similar of all methods throughout the cascade.",
    "highest curve, from the scores that were defined: 9 of 20 at layer1.1",
)
AROUND = Claim(
    "around-0.7", "figure 8", "Integrated Gradients and both Gradient ⊙ Input mingle around one value.", "about 0.7"
)
LOW = Claim(
    "gradient-low", "figure 8", "The Gradient ends low at the deepest layer.", "below 0.4 (Adebayo et al.: 0.7)"
)
LOWER = Claim(
    "smoothgrad-low",
    "figure 8",
    "SmoothGrad scores lower than Guided Backprop, IG and both Gradient ⊙ Input.",
    "seen in the curves",
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
        """Name, kind of weights, and substitution."""
        instead = "" if self.spec.name == "resnet18" else " instead of ResNet-18"
        return f"{self.spec.title} with {'trained' if self.trained else 'random'} weights{instead}"


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


def source(context: Context) -> Path | None:
    """The folder of photographs; None where "quick" was given none."""
    given = context.config.photographs
    return Path(given) if given else context.data_folder("imagenet-samples")


def choose(folder: Path, spec: ModelSpec, count: int, first: Sequence[str] = ()) -> ImageSet:
    """Photographs spread evenly over a folder.

    Args:
        folder: searched recursively.
        spec: of the network that is to see them.
        count: how many.
        first: parts of file names; a photograph that has one leads, the earlier the part the better.

    Raises:
        InvalidInput: no folder, or too few photographs.
    """
    if not folder.is_dir():
        raise InvalidInput(f"there is no folder of photographs {folder}; give one with --photographs")
    files = image_files(folder)
    if len(files) < count:
        raise InvalidInput(f"{folder} holds {len(files)} photographs where {count} are needed; put more there")
    named = ((path for path in files if part.lower() in path.name.lower()) for part in first)
    leading = [path for found in named for path in found][:1]
    others = [path for path in files if path not in leading]
    wanted = count - len(leading)
    spread = [others[round(place)] for place in np.linspace(0, len(others) - 1, wanted)]
    return replace(load_photographs([*leading, *spread], preprocessing_of(spec)), name=folder.resolve().name)


def about(net: Network, data: ImageSet) -> dict[str, Any]:
    """Describe network and photographs for captions and findings."""
    photographs = "1 photograph" if len(data) == 1 else f"{len(data)} photographs"
    return {"network": net.title, "trained": net.trained, "data_title": f"{photographs} of {data.name}"}


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
    photographs = source(context)
    wanted = ["--model resnet18 (fetches its weights) or --weights FILE"] * (not asked(context))
    if photographs is None or wanted:
        wanted += ["--photographs DIR or imagenet-samples/ in --data-dir"] * (photographs is None)
        write_facts(folder, missing="give " + " and ".join(wanted))
        return
    net = network(context)
    data = choose(photographs, net.spec, effort.images, first)
    cascade.run_cascade(context, folder, net.model, net.spec, data, chosen, keep=keep, facts=about(net, data))


def compute_overlays(context: Context, folder: Path) -> None:
    """Figure 4: Gradient ⊙ Input-SG, and the edges it is said to turn to."""
    effort = context.pick(SIZES).overlays
    name = "input-x-gradient-sg"
    chosen = {name: cascade.methods(effort)[name], "edge-detector": EdgeDetector()}
    _compute(context, folder, effort, chosen, keep=effort.images, first=JUNCO)


def compute_photograph(context: Context, folder: Path) -> None:
    """Figure 6: all methods on one photograph."""
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
    """Figure 6: a row for each method, a column for each stage."""
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
    figure = curves_figure(
        {title: cascade.scores_of(run, name, "ssim-wienecke") for name, title in TITLES.items()},
        metric_title="SSIM of maps normalized to [0, 1]",
        column_titles=result.stages,
        ceiling={title: float(value) for title, value in ceilings.items() if np.isfinite(value)},
        caption=f"{cascade.caption(run, TITLES)}; SSIM with scikit-image's defaults; scores of constant maps left out",
    )
    return {"": figure}


def judge_overlays(folder: Path) -> list[Finding]:
    """The claims of section 4.2."""
    if why := missing_in(folder):
        return not_computed((PREDICTED, EDGES), why)
    run = cascade.stored(folder)
    return [_judge_junco(run), _judge_edges(run)]


def _judge_junco(run: Run) -> Finding:
    shown = next((name for name in run.result.image_names if any(part in name.lower() for part in JUNCO)), None)
    if shown is None:
        why = f"no photograph is named after the junco; give one whose name has {' or '.join(JUNCO)}"
        return Finding(PREDICTED, "no junco", "not comparable", why)
    ours = cascade.explained(run, run.result.image_names.index(shown))
    rule = f"rule: the class predicted for {shown} is junco; which photograph the paper took is not told"
    return finding(run, PREDICTED, ours, ours.startswith("junco"), rule)


def _judge_edges(run: Run) -> Finding:
    along = cascade.likeness(run, "input-x-gradient-sg", "edge-detector")
    gain = mean_over_images(along[-1] - along[0])
    at = mean_over_images(along)
    ours = f"correlation with an edge detector: normal {at.mean[0]:.2f}, all random {at.mean[-1]:.2f}"
    rule = (
        f"rule: it grows (by {gain.mean:.2f}, 95 % interval {gain.low:.2f} to {gain.high:.2f}, above 0) and ends above "
        f"0 ({at.low[-1]:.2f} to {at.high[-1]:.2f})"
    )
    return finding(run, EDGES, ours, bool(gain.low > 0 and at.low[-1] > 0), rule)


def judge_photograph(folder: Path) -> list[Finding]:
    """The claims of section 4.3 that need no failure."""
    if why := missing_in(folder):
        return not_computed((ROWS, BRIGHT, STEADY), why)
    run = cascade.stored(folder)
    shown = {name: cascade.maps_of(run, name)[0] for name in TITLES}
    empty = {name: ~maps.any(axis=(1, 2)) for name, maps in shown.items()}
    dead = empty["gradient"]
    lost = sum(int((values & ~dead).sum()) for values in empty.values())
    bright = {name: shown[name][~dead].mean((1, 2)) for name in ("gradient", "smoothgrad")}
    steady, moving = (
        cascade.average(cascade.scores_of(run, name, "ssim-wienecke")) for name in ("input-x-gradient", "gradient")
    )
    return [
        finding(
            run,
            ROWS,
            f"{len(TITLES)} methods × {len(dead)} stages, {lost} constant maps beside those of {int(dead.sum())} "
            f"stages whose Gradient is zero; {run.config['relu_calls']} ReLU calls guided",
            bool(lost or dead.all()),
            "rule: some map is constant where the Gradient is not (where it is, no method can show anything)",
        ),
        finding(
            run,
            BRIGHT,
            f"mean brightness over the stages: SmoothGrad {cascade.average(bright['smoothgrad']):.2f}, "
            f"Gradient {cascade.average(bright['gradient']):.2f}; brighter at "
            f"{int((bright['smoothgrad'] > bright['gradient']).sum())} of {int((~dead).sum())}",
            bool(not dead.all() and (bright["smoothgrad"] > bright["gradient"]).all()),
            "rule: SmoothGrad's map in [0, 1] has the higher mean at every stage whose Gradient is not zero",
        ),
        finding(
            run,
            STEADY,
            f"mean SSIM over the stages: Gradient ⊙ Input {steady:.2f}, Gradient {moving:.2f}",
            bool(steady > moving),
            "rule: the higher mean SSIM with the trained map",
        ),
    ]


def judge_curves(folder: Path) -> list[Finding]:
    """The claims of section 4.4."""
    if why := missing_in(folder):
        return not_computed((GUIDED, AROUND, LOW, LOWER), why)
    run = cascade.stored(folder)
    scores = {name: cascade.scores_of(run, name, "ssim-wienecke") for name in run.result.methods}
    means = {name: mean_over_images(values).mean for name, values in scores.items()}
    overall = {name: cascade.average(values) for name, values in means.items()}
    guided = means["guided-backprop"]
    rivals = np.fmax.reduce([means[name] for name in TITLES if name != "guided-backprop"])  # NaN only where all are
    defined = np.isfinite(guided)
    highest = guided[defined] >= rivals[defined]
    undefined = {name: int(np.isnan(values).sum()) for name, values in scores.items()}
    last = mean_over_images(scores["gradient"][-1:])
    others = ("guided-backprop", *MAGNITUDES)
    images = f"means over {len(run.result.image_names)} photographs, the paper's over 20"
    return [
        finding(
            run,
            GUIDED,
            f"{overall['guided-backprop']:.2f} over all stages; highest at {int(highest.sum())} of "
            f"{len(highest)}; {undefined['guided-backprop']} scores undefined, the Gradient's {undefined['gradient']}",
            bool(defined.any() and highest.all()),
            f"rule: the highest mean SSIM at every stage that has one; {images}",
        ),
        finding(
            run,
            AROUND,
            ", ".join(f"{TITLES[name]} {overall[name]:.2f}" for name in MAGNITUDES),
            all(abs(overall[name] - 0.7) <= 0.1 for name in MAGNITUDES),
            f"rule: each mean over all stages lies in 0.7 ± 0.1; {images}",
        ),
        finding(
            run,
            LOW,
            f"{last.mean[0]:.2f} (95 % interval {last.low[0]:.2f} to {last.high[0]:.2f}); "
            f"with signs kept {means['gradient-signed'][-1]:.2f}",
            bool(last.mean[0] < 0.4),
            f"rule: mean SSIM below 0.4 after the last stage, of gradients without sign; {images}",
        ),
        finding(
            run,
            LOWER,
            f"SmoothGrad {overall['smoothgrad']:.2f} (with signs kept {overall['smoothgrad-signed']:.2f}), the others "
            f"{min(overall[name] for name in others):.2f} to {max(overall[name] for name in others):.2f}",
            all(overall["smoothgrad"] < overall[name] for name in others),
            f"rule: the lowest mean over all stages; {images}",
        ),
    ]


def finding(run: Run, claim: Claim, ours: str, holds: bool, rule: str) -> Finding:
    """A verdict that names the network; on random weights none is given."""
    judgement = verdict(holds) if run.config["trained"] else "not comparable"
    return Finding(claim, ours, judgement, f"{rule}; {run.config['network']}")


def _row_title(run: Run, index: int) -> str:
    """The predicted class and its confidence, or the file where random weights predict nothing."""
    return cascade.explained(run, index) if run.config["trained"] else Path(run.result.image_names[index]).stem
