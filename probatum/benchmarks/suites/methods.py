"""Each method by itself: beside the bare model, Captum, pytorch-grad-cam, PAIR's saliency and Zennit."""

from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

from torch import Tensor, nn

from probatum.attributions import METHODS, attribute
from probatum.benchmarks.bare import Passes, bare_passes, input_gradient, layer_gradient
from probatum.benchmarks.config import PAPERS, QUICK, BenchConfig, Sizes, Subject
from probatum.benchmarks.contest import BARE, Arena, Contestant
from probatum.benchmarks.judging import Explain, Judge
from probatum.benchmarks.ours import ours, rows_of
from probatum.benchmarks.panels import build
from probatum.benchmarks.record import OURS
from probatum.benchmarks.rivals import CAPTUM, GRAD_CAM, PAIR, ZENNIT, Rival, absent, captum
from probatum.benchmarks.rivals.captum import ONE_SIGMA, captum_map
from probatum.benchmarks.rivals.grad_cam import CAMS, cam_map, guided_map, trainable_copy
from probatum.benchmarks.rivals.pair import pair_map
from probatum.benchmarks.rivals.zennit import COMPOSITES, zennit_map
from probatum.benchmarks.suites.findings import Findings


@dataclass(frozen=True)
class MethodCase:
    """One method on one model and batch.

    Args:
        method: by name.
        model: by name.
        batch: images.
        floor: the bare work beside it: "input" gradients, the gradient at a "layer", or none.
        points: the field of `Sizes` that counts gradients of one image; None is one gradient.
        gradients: whether gradients are taken at all.
        rounds: windows of each contestant.
    """

    method: str
    model: str = "resnet18"
    batch: int = 8
    floor: Literal["input", "layer"] | None = "input"
    points: Literal["samples", "steps"] | None = None
    gradients: bool = True
    rounds: int = 7


CASES = (
    *(MethodCase("gradient", batch=batch) for batch in (1, 8, 32)),
    MethodCase("guided-backprop"),
    MethodCase("deconvnet"),
    *(MethodCase(name, floor="layer") for name in ("grad-cam", "grad-cam-plus-plus", "hires-cam", "layer-cam")),
    MethodCase("guided-grad-cam", floor=None),
    *(MethodCase(method, "squeezenet1_0") for method in ("gradient", "guided-backprop")),
    *(MethodCase(method, "basic_cnn", 64) for method in ("gradient", "guided-backprop")),
    MethodCase("smoothgrad", batch=2, points="samples", rounds=5),
    MethodCase("integrated-gradients", batch=2, points="steps", rounds=5),
    MethodCase("lrp", "squeezenet1_0", rounds=5),
    MethodCase("conservative-propagation", "vit_b_16", batch=2, rounds=5),
    MethodCase("attention-rollout", "vit_b_16", batch=2, floor=None, gradients=False, rounds=5),
    MethodCase("occlusion", batch=1, floor=None, gradients=False, rounds=3),
)
_CAM_NOTES = {"grad-cam-plus-plus": "; 1e-6 in the denominator of α"}
_OF_TRANSFORMERS = ("conservative-propagation", "attention-rollout")
QUICK_CASES = tuple(
    MethodCase(method, "squeezenet1_0", 2, case.floor, case.points, case.gradients, rounds=3)
    for method, case in {case.method: case for case in CASES}.items()
    if method not in _OF_TRANSFORMERS
)


def run(config: BenchConfig, arena: Arena) -> Findings:
    """Holds a contest for each case."""
    findings = Findings(lines=absent((CAPTUM, GRAD_CAM, PAIR, ZENNIT)))
    for case in chosen(config):
        sizes = QUICK if config.quick else PAPERS
        subject = Subject.load(config.of_batch(case.batch), case.model, case.batch)
        title = f"{METHODS[case.method].title}, {subject}"
        findings.add(arena.compete(title, contestants(case, subject, sizes), case.rounds))
    return findings


def chosen(config: BenchConfig) -> tuple[MethodCase, ...]:
    """The cases under the options given, each once."""
    cases = QUICK_CASES if config.quick else CASES
    given = [
        replace(case, model=config.model or case.model, batch=batch)
        for case in cases
        for batch in config.batch or (case.batch,)
    ]
    return tuple(dict.fromkeys(given))


def contestants(case: MethodCase, subject: Subject, sizes: Sizes) -> list[Contestant]:
    """Everybody who can do the work of a case and is installed."""
    judge = Judge(subject, sizes)
    name, model, images, targets = case.method, subject.model, subject.images, subject.targets
    points = getattr(sizes, case.points) if case.points else 1
    count = len(images) * points if case.gradients else None
    rows = rows_of(subject, [name], sizes) if case.points else len(images)
    found = [ours(subject, [name], sizes, judge, gradients=count)]
    if name == "gradient":
        anew = partial(attribute, model, images, targets, build([name], sizes, subject.layer))
        found.append(Contestant(OURS, anew, "model prepared anew", gradients=count, maps=len(images)))
    if case.floor == "layer":
        found.append(Contestant(BARE, lambda: layer_gradient(model, subject.layer, images, targets), gradients=count))
    elif case.floor == "input" and case.points:
        passes = Passes(len(images) * points, 0, min(rows, len(images) * points))
        found.append(Contestant(BARE, bare_passes(model, images, targets, passes), gradients=count))
    elif case.floor == "input":
        found.append(Contestant(BARE, lambda: input_gradient(model, images, targets), gradients=count))
    if CAPTUM.installed and name in captum.METHODS:
        note = ONE_SIGMA if name == "smoothgrad" else ""
        found += [
            _captum(case, subject, sizes, judge, count, limit, note)
            for limit in ((None, rows) if case.points else (None,))
        ]
    if PAIR.installed and name in ("gradient", "smoothgrad", "integrated-gradients"):
        found.append(_pair(case, subject, sizes, judge, count, rows))
    if GRAD_CAM.installed and name in (*CAMS, "guided-backprop"):
        found.append(_grad_cam(case, subject, judge, count))
    if ZENNIT.installed and name in COMPOSITES:
        found.append(_zennit(case, subject, judge, count))
    return found


def _captum(
    case: MethodCase, subject: Subject, sizes: Sizes, judge: Judge, count: int | None, rows: int | None, note: str
) -> Contestant:
    def explain(model: nn.Module, images: Tensor, targets: Tensor) -> dict[str, Tensor]:
        return {case.method: captum_map(case.method, model, images, targets, subject.layer, sizes, rows)}

    return _rival(
        CAPTUM,
        subject,
        judge,
        explain,
        variant="" if not case.points else f"in batches of {rows}" if rows else "defaults",
        gradients=count,
        note=note,
    )


def _pair(case: MethodCase, subject: Subject, sizes: Sizes, judge: Judge, count: int | None, rows: int) -> Contestant:
    def explain(model: nn.Module, images: Tensor, targets: Tensor) -> dict[str, Tensor]:
        return {case.method: pair_map(case.method, model, images, targets, sizes, rows)}

    note = "its quadrature gives both ends full weight" if case.method == "integrated-gradients" else ""
    return _rival(PAIR, subject, judge, explain, gradients=count, note=note)


def _grad_cam(case: MethodCase, subject: Subject, judge: Judge, count: int | None) -> Contestant:
    model = trainable_copy(subject.model)  # it refuses frozen models and changes the one it is given
    images, targets = subject.images, subject.targets
    if case.method == "guided-backprop":
        return _rival(
            GRAD_CAM,
            subject,
            judge,
            lambda _, images, targets: {"guided-backprop": guided_map(model, images, targets)},
            gradients=count,
            note="one image at a time; unfrozen model",
        )
    return Contestant(
        GRAD_CAM.name,
        lambda: cam_map(case.method, model, images, targets, subject.layer),
        judge=lambda: judge.error_of_scaled(
            case.method, cam_map(case.method, model, images[:1], targets[:1], subject.layer)
        ),
        gradients=count,
        maps=len(images),
        note="maps scaled to [0, 1]; unfrozen model" + _CAM_NOTES.get(case.method, ""),
    )


def _zennit(case: MethodCase, subject: Subject, judge: Judge, count: int | None) -> Contestant:
    def explain(model: nn.Module, images: Tensor, targets: Tensor) -> dict[str, Tensor]:
        return {case.method: zennit_map(case.method, model, images, targets)}

    return _rival(ZENNIT, subject, judge, explain, gradients=count)


def _rival(
    rival: Rival,
    subject: Subject,
    judge: Judge,
    explain: Explain,
    *,
    gradients: int | None,
    variant: str = "",
    note: str = "",
) -> Contestant:
    return Contestant(
        rival.name,
        lambda: explain(subject.model, subject.images, subject.targets),
        variant,
        lambda: judge.error(explain),
        gradients=gradients,
        maps=len(subject.images),
        note=note,
    )
