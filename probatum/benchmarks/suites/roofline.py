"""Any model: the machine, the bare model beside it, and each method beside the bare model."""

import copy
from dataclasses import dataclass
from functools import partial

from torch import nn

from probatum.attributions import METHODS, Method, attribute, resolved, title_of
from probatum.attributions.base import named_methods
from probatum.attributions.literal import Problem, literal
from probatum.benchmarks.bare import Passes, bare_passes, count_passes, input_gradient
from probatum.benchmarks.config import BenchConfig, Subject
from probatum.benchmarks.contest import BARE, Arena, Contestant
from probatum.benchmarks.judging import ROWS
from probatum.benchmarks.machine import ON_CPU, ON_CUDA, QUICK, machine
from probatum.benchmarks.record import OURS
from probatum.benchmarks.reference import deviation
from probatum.benchmarks.suites.findings import Findings
from probatum.benchmarks.work import count_work
from probatum.engine import Maps
from probatum.experiments.config import DEFAULT_METHODS
from probatum.experiments.options import set_fields
from probatum.experiments.refusals import refusals

MODEL, BATCHES, ROUNDS = "resnet18", (1, 8), 5
POINTS = {"samples": 10, "steps": 10}  # of every method that has them: cost is proportional to them
FORWARD, GRADIENT = "forward", "forward and input gradient"
_MOST_JUDGED = 64  # passes of an image, beyond which the literal form in float64 would take longer than the contest


@dataclass(frozen=True)
class Judged:
    """The error of a method's map of one image, or why there is none.

    Args:
        error: relative L2 distance from the literal form in float64.
        note: why there is no error.
    """

    error: float | None = None
    note: str = ""


def run(config: BenchConfig, arena: Arena) -> Findings:
    """Holds a contest of the machine and the bare model for each batch, and one for each method and batch."""
    findings = Findings()
    rounds = 2 if config.quick else ROUNDS
    for batch in config.batch or ((2,) if config.quick else BATCHES):
        subject = Subject.load(config.of_batch(batch), "squeezenet1_0" if config.quick else MODEL, batch)
        methods, refused = chosen_methods(config, subject)
        findings.lines += [line for line in refused if line not in findings.lines]
        findings.add(arena.compete(f"bare model, {subject}", bare_model(subject, config.quick), rounds))
        for name, method in methods.items():
            title = f"{title_of(name)}, {subject}"
            arena.progress(f"{title}: counting passes")
            findings.add(arena.compete(title, contestants(name, method, subject), rounds))
    findings.lines.append(
        f"methods with samples or steps take {POINTS['samples']} of them, for their cost is proportional to these"
    )
    return findings


def chosen_methods(config: BenchConfig, subject: Subject) -> tuple[dict[str, Method], list[str]]:
    """The methods with the points of this suite, and a line for each usual one that the model cannot have."""
    names = config.methods or DEFAULT_METHODS
    methods = {name: set_fields(method, POINTS)[0] for name, method in named_methods(list(names)).items()}
    refused = () if config.methods else refusals(methods, subject.prepared, subject.images[:1], int(subject.targets[0]))
    left = {name: method for name, method in methods.items() if name not in dict(refused)}
    return resolved(left, subject.prepared, subject.images[:1]), [f"{name}: {reason}" for name, reason in refused]


def bare_model(subject: Subject, quick: bool) -> list[Contestant]:
    """The machine and the bare model, which take turns, so that a slow phase meets both."""
    model, images, targets = subject.model, subject.images, subject.targets
    passes = Passes(0, len(images), len(images))
    forward = bare_passes(model, images, targets, passes)
    gradient = partial(input_gradient, model, images, targets)
    work = count_work(gradient)
    sizes = QUICK if quick else ON_CUDA if subject.device.type == "cuda" else ON_CPU
    return [
        *machine(subject.device, sizes),
        Contestant(BARE, gradient, GRADIENT, gradients=len(images), flops=work.flops, traffic=work.traffic),
        Contestant(BARE, forward, FORWARD),
    ]


def contestants(name: str, method: Method, subject: Subject) -> list[Contestant]:
    """A method, and the bare model with as many passes of as many rows."""
    model, images, targets = subject.model, subject.images, subject.targets
    passes = method_passes(method, subject)
    judged = judge(name, method, subject, passes)
    ours = Contestant(
        OURS,
        lambda: attribute(subject.prepared, images, targets, {name: method}),
        judge=lambda: judged.error,
        gradients=passes.gradients,
        maps=len(images),
        note=judged.note,
    )
    if not passes.rows:
        return [ours]
    return [ours, Contestant(BARE, bare_passes(model, images, targets, passes), gradients=passes.gradients)]


def method_passes(method: Method, subject: Subject) -> Passes:
    """The passes of one call of a method."""

    def call(model: nn.Module) -> partial[Maps]:
        watched = Subject(subject.spec, model, subject.images, subject.targets).prepared
        return partial(attribute, watched, subject.images, subject.targets, {"method": method})

    return count_passes(subject.model, call)


def judge(name: str, method: Method, subject: Subject, passes: Passes) -> Judged:
    """Compares the map of the first image with the literal form of the method in float64."""
    if name in METHODS and METHODS[name].control:
        return Judged()
    if method.stochastic:
        return Judged(note="not judged: random points")
    if passes.gradients + passes.forwards > _MOST_JUDGED * len(subject.images):
        return Judged(note="not judged: too many passes")
    one = subject.first(1)
    found = attribute(one.model, one.images, one.targets, {name: method}, chunk=ROWS)[name]
    image = one.images[0].double()
    try:
        expected = literal(method, Problem(copy.deepcopy(one.model).double(), int(one.targets), image), image)
    except NotImplementedError as error:
        return Judged(note=f"not judged: no literal form ({error})")
    except RuntimeError as error:  # a model of one's own need not run in float64
        return Judged(note=f"not judged: {' '.join(str(error).split())[:100]}")
    return Judged(deviation(found, expected[None]))
