"""Many model calls of one shape: launched one by one, replayed as a CUDA graph, and compiled."""

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor, nn

from probatum.attributions import attribute
from probatum.benchmarks.bare import input_gradient
from probatum.benchmarks.config import PAPERS, BenchConfig, Sizes, Subject
from probatum.benchmarks.contest import BARE, Arena, Contestant
from probatum.benchmarks.judging import Judge
from probatum.benchmarks.panels import build
from probatum.benchmarks.record import OURS
from probatum.benchmarks.reference import deviation
from probatum.benchmarks.suites.findings import Findings
from probatum.benchmarks.suites.precision import in_setting
from probatum.engine import Compute, prepare_with
from probatum.engine.graphs import LEAST_CALLS
from probatum.errors import GraphWarning

METHOD = "integrated-gradients"  # one point of the path of every image is a call
EAGER = "one by one"
ROUNDS = 3


@dataclass(frozen=True)
class LaunchCase:
    """Calls of one model.

    Args:
        model: by name.
        batch: images, and rows of a call.
        precision: of `Compute`.
    """

    model: str
    batch: int
    precision: str = "float32"


CASES = (
    LaunchCase("basic_cnn", 64),
    LaunchCase("resnet18", 8),
    LaunchCase("resnet50", 8, "bfloat16"),
    LaunchCase("resnet50", 64, "bfloat16"),
)
QUICK_CASES = (LaunchCase("squeezenet1_0", 2),)
QUICK = Sizes(steps=LEAST_CALLS)


def run_graphs(config: BenchConfig, arena: Arena) -> Findings:
    """Calls one by one beside the same calls as a CUDA graph, which has their bits."""
    return _run(config, arena, "CUDA graph", lambda compute: replace(compute, cuda_graphs=True))


def run_compiled(config: BenchConfig, arena: Arena) -> Findings:
    """Calls one by one beside those of `torch.compile`; a quick run compiles with its backend that makes no code."""
    backend = "eager" if config.quick else "inductor"
    return _run(config, arena, f"compiled, {backend}", lambda compute: replace(compute, compile=backend))


def _run(config: BenchConfig, arena: Arena, variant: str, other: Callable[[Compute], Compute]) -> Findings:
    findings = Findings()
    sizes = QUICK if config.quick else PAPERS
    for case in chosen(config):
        subject = Subject.load(config.of_batch(case.batch), case.model, case.batch)
        title = f"{sizes.steps} calls in {case.precision}, {subject}"
        arena.progress(f"{title}: comparing bits")
        eager = Compute(case.precision)
        found, refused = contestants(subject, sizes, {EAGER: eager, variant: other(eager)})
        findings.lines += [f"{title}: {line}" for line in refused]
        findings.add(arena.compete(title, found, ROUNDS))
    return findings


def chosen(config: BenchConfig) -> tuple[LaunchCase, ...]:
    """The cases under the options given, each once."""
    cases = QUICK_CASES if config.quick else CASES[-1:] if config.model else CASES
    given = [
        replace(case, model=config.model or case.model, batch=batch)
        for case in cases
        for batch in config.batch or (case.batch,)
    ]
    return tuple(dict.fromkeys(given))


def contestants(subject: Subject, sizes: Sizes, settings: Mapping[str, Compute]) -> tuple[list[Contestant], list[str]]:
    """The calls one by one, each other setting, and the bare model.

    Args:
        subject: the model and images.
        sizes: the steps.
        settings: by variant; the calls one by one come first.

    Returns:
        who takes part, with its largest distance from the first setting in its note; a line for each that cannot.
    """
    judge = Judge(subject, sizes)
    count = len(subject.images) * sizes.steps
    found, refused, first = list[Contestant](), list[str](), None
    for variant, compute in settings.items():
        try:
            work = _calls(subject, sizes, compute)
            maps = _all_recorded(work)
        except Exception as error:  # a capture or a compiler may fail in any way, and the calls one by one remain
            if first is None:
                raise
            refused.append(f"{variant}: {type(error).__name__}: {' '.join(str(error).split())[:200]}")
            continue
        note = "" if first is None else _bits(maps, first)
        first = maps if first is None else first
        error_of = partial(judge.error, partial(_known, maps[:1]))
        found.append(Contestant(OURS, work, variant, error_of, count, len(subject.images), note=note))
    bare = in_setting(settings[EAGER], subject, partial(_gradients, sizes.steps))
    return [*found, Contestant(BARE, lambda: bare(subject.images, subject.targets), gradients=count)], refused


def _calls(subject: Subject, sizes: Sizes, compute: Compute) -> Callable[[], Tensor]:
    """The method in calls of as many rows as there are images."""
    prepared = prepare_with(subject.model, compute, example=subject.images)
    methods = build([METHOD], sizes, subject.layer)
    rows = len(subject.images)
    return lambda: attribute(prepared, subject.images, subject.targets, methods, chunk=rows)[METHOD]


def _all_recorded(work: Callable[[], Tensor]) -> Tensor:
    """The maps; an error where calls could not be captured, for then they would be timed one by one."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the compiler's own
        warnings.simplefilter("error", GraphWarning)
        return work()


def _bits(found: Tensor, expected: Tensor) -> str:
    if torch.equal(found, expected):
        return f"the bits of {EAGER}"
    return f"differs from {EAGER} by {deviation(found, expected.double()) or 0:.1e}"


def _known(maps: Tensor, *call: object) -> dict[str, Tensor]:
    """Maps that were computed already, in a batch of the size that is timed: another size would be compiled anew."""
    return {METHOD: maps}


def _gradients(calls: int, model: nn.Module, images: Tensor, targets: Tensor) -> Tensor:
    """The last of so many gradients."""
    for _ in range(calls):
        gradient = input_gradient(model, images, targets)
    return gradient
