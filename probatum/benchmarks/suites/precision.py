"""Speed and error of each precision and memory layout, beside the bare model in the same one and Captum."""

import copy
from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor, nn

from probatum.attributions import attribute
from probatum.benchmarks.bare import input_gradient
from probatum.benchmarks.config import PAPERS, QUICK, BenchConfig, Sizes, Subject
from probatum.benchmarks.contest import BARE, Arena, Contestant
from probatum.benchmarks.judging import ROWS, Judge
from probatum.benchmarks.ours import rows_of
from probatum.benchmarks.panels import EIGHT, build
from probatum.benchmarks.record import OURS, Entry
from probatum.benchmarks.reference import SMOOTHED
from probatum.benchmarks.rivals import CAPTUM, absent
from probatum.benchmarks.rivals.captum import captum_map
from probatum.benchmarks.suites.findings import Findings
from probatum.benchmarks.suites.panel import captum
from probatum.benchmarks.timing import ratio
from probatum.engine import Compute, prepare_with
from probatum.engine.precision import computing
from probatum.errors import InvalidInput

SETTINGS = (
    Compute("float32"),
    Compute("float32", channels_last=True),
    Compute("float32", channels_last=True, fold_batch_norm=True),
    Compute("tf32", channels_last=True),
    Compute("bfloat16", channels_last=True),
    Compute("bfloat16", channels_last=True, fold_batch_norm=True),
)
GRADIENT_BATCH, PANEL_BATCH, ROUNDS = 16, 2, 5


def label(setting: Compute) -> str:
    """The words that name a setting in the tables."""
    layout, fold = setting.channels_last * "channels_last", setting.fold_batch_norm * "folded"
    return ", ".join(filter(None, (setting.precision, layout, fold)))


def run(config: BenchConfig, arena: Arena) -> Findings:
    """Holds a contest of gradients and one of eight maps between all settings that the device has."""
    findings = Findings(lines=absent((CAPTUM,)))
    sizes = QUICK if config.quick else PAPERS
    model = "squeezenet1_0" if config.quick else "resnet18"
    subject = Subject.load(config, model, 2 if config.quick else GRADIENT_BATCH)
    settings, refused = possible_settings(subject)
    findings.lines += refused
    rounds = 2 if config.quick else ROUNDS
    findings.add(arena.compete(f"Gradient, {subject}", gradients(subject, settings, sizes), rounds))
    few = subject.first(1 if config.quick else PANEL_BATCH) if not config.batch else subject
    entries, lines = arena.compete(f"eight maps, {few}", panels(few, settings, sizes), rounds)
    findings.add((entries, [*lines, *beside(entries)]))
    return findings


def possible_settings(subject: Subject) -> tuple[list[Compute], list[str]]:
    """The settings that the device and the model allow, and a line for each that they do not."""
    settings, refused = [], []
    for setting in SETTINGS:
        try:
            prepare_with(subject.model, setting, example=subject.images)
            settings.append(setting)
        except InvalidInput as error:
            refused.append(f"{label(setting)}: {error}")
    return settings, refused


def beside(entries: Sequence[Entry]) -> list[str]:
    """How long each rival takes beside probatum in each of its settings."""
    lines = []
    for rival in entries:
        for one in entries:
            if one.who == OURS and rival.who != OURS:
                low, median, high = ratio(rival.seconds, one.seconds)
                times = f"{median:.2f} [{low:.2f}, {high:.2f}]"
                lines.append(f"{rival.contest}: {rival.name} takes {times} times as long as {one.name}")
    return lines


def gradients(subject: Subject, settings: list[Compute], sizes: Sizes) -> list[Contestant]:
    """One gradient of each image: probatum, the bare model and Captum in every setting."""
    judge = Judge(subject, sizes)
    count = len(subject.images)
    found = [_ours(subject, setting, ("gradient",), sizes, judge, count) for setting in settings]
    for setting in settings:
        if not setting.fold_batch_norm:
            found.append(_bare(subject, setting, judge, count))
    if CAPTUM.installed:
        found += [_captum(subject, setting, sizes, judge, count) for setting in settings if not setting.fold_batch_norm]
    return found


def panels(subject: Subject, settings: list[Compute], sizes: Sizes) -> list[Contestant]:
    """Eight maps in every setting, and Captum in float32 with our rows."""
    judge = Judge(subject, sizes)
    found = [_ours(subject, setting, EIGHT, sizes, judge, None) for setting in settings]
    if CAPTUM.installed:
        found.append(captum(EIGHT, subject, sizes, judge, rows_of(subject, EIGHT, sizes)))
    return found


def _ours(
    subject: Subject, setting: Compute, names: tuple[str, ...], sizes: Sizes, judge: Judge, count: int | None
) -> Contestant:
    prepared = prepare_with(subject.model, setting, example=subject.images)

    def explain(names: tuple[str, ...], model: nn.Module, images: Tensor, targets: Tensor) -> dict[str, Tensor]:
        methods = build(names, sizes, subject.layer)
        return attribute(prepare_with(model, setting, example=images), images, targets, methods, chunk=ROWS)

    smoothed = tuple(name for name in names if name in SMOOTHED)
    apart = [partial(explain, smoothed)] if smoothed else []
    methods = build(names, sizes, subject.layer)
    return Contestant(
        OURS,
        lambda: attribute(prepared, subject.images, subject.targets, methods),
        label(setting),
        lambda: judge.error(partial(explain, names), *apart),
        gradients=count,
        maps=len(names) * len(subject.images),
    )


def _bare(subject: Subject, setting: Compute, judge: Judge, count: int) -> Contestant:
    work = in_setting(setting, subject, input_gradient)
    return Contestant(
        BARE,
        lambda: work(subject.images, subject.targets),
        label(setting),
        lambda: judge.error(lambda model, images, targets: {"gradient": work(images, targets)}),
        gradients=count,
    )


def _captum(subject: Subject, setting: Compute, sizes: Sizes, judge: Judge, count: int) -> Contestant:
    def explain(model: nn.Module, images: Tensor, targets: Tensor) -> Tensor:
        return captum_map("gradient", model, images, targets, subject.layer, sizes)

    work = in_setting(setting, subject, explain)
    return Contestant(
        CAPTUM.name,
        lambda: work(subject.images, subject.targets),
        label(setting),
        lambda: judge.error(lambda model, images, targets: {"gradient": work(images, targets)}),
        gradients=count,
        maps=count,
    )


def in_setting(
    setting: Compute, subject: Subject, function: Callable[[nn.Module, Tensor, Tensor], Tensor]
) -> Callable[[Tensor, Tensor], Tensor]:
    """A function of a model under a setting, by torch's own means."""
    layout = torch.channels_last if setting.channels_last else torch.contiguous_format
    model = copy.deepcopy(subject.model).to(memory_format=layout)
    device = subject.device

    def work(images: Tensor, targets: Tensor) -> Tensor:
        short = setting.precision == "bfloat16"
        with computing(device, setting.precision), torch.autocast(device.type, torch.bfloat16, enabled=short):
            return function(model, images.to(memory_format=layout), targets).float()

    return work
