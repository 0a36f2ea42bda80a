"""The whole sanity check of a model in wall time."""

from dataclasses import dataclass
from functools import partial

from probatum.benchmarks.config import PAPERS, QUICK, BenchConfig, Sizes, Subject
from probatum.benchmarks.contest import Arena, Contestant
from probatum.benchmarks.panels import TEN, build
from probatum.benchmarks.record import OURS
from probatum.benchmarks.suites.findings import Findings
from probatum.experiments.build import configured_metric
from probatum.experiments.config import DEFAULT_METRICS
from probatum.experiments.result import SanityResult
from probatum.experiments.sanity import sanity_check
from probatum.randomization import Randomizer, Reset, Stage, StagePlan, automatic_stages, stages_from_table


@dataclass(frozen=True)
class CheckCase:
    """A check of one model.

    Args:
        model: by name.
        images: explained.
        rounds: windows.
    """

    model: str
    images: int
    rounds: int


CASES = (CheckCase("basic_cnn", 10, 5), CheckCase("resnet18", 2, 3))
QUICK_CASES = (CheckCase("basic_cnn", 2, 2),)


def run(config: BenchConfig, arena: Arena) -> Findings:
    """Times each check, or that of the one model that is asked for."""
    findings = Findings()
    cases = QUICK_CASES if config.quick else CASES
    sizes = QUICK if config.quick else PAPERS
    for case in cases if config.model is None else cases[-1:]:
        subject = Subject.load(config, case.model, case.images)
        randomizer = cascade_of(subject, config.seed)
        stages = len(randomizer.stages)
        one = Contestant(
            OURS,
            partial(checked, subject, randomizer, TEN, sizes),
            maps=len(TEN) * len(subject.images) * (stages + 1),
            note="with the noise ceiling, a further pass of the methods with noise",
            long=True,
        )
        title = f"check of {stages} stages, {len(TEN)} maps, {len(DEFAULT_METRICS)} metrics, {subject}"
        findings.add(arena.compete(title, [one], case.rounds))
    return findings


def cascade_of(subject: Subject, seed: int, stages: int | None = None) -> Randomizer:
    """The cascade of Adebayo et al. 2018; of so many stages, the last of which takes all that is left."""
    if subject.spec.stages:
        plan = stages_from_table(subject.model, subject.spec.stages, images=subject.images)
    else:
        plan = automatic_stages(subject.model, subject.images)
    if stages is not None and stages < len(plan.stages):
        rest = plan.stages[stages - 1 :]
        last = Stage("all the rest", tuple(path for stage in rest for path in stage.modules))
        plan = StagePlan((*plan.stages[: stages - 1], last), plan.unused)
    return Randomizer(subject.model, plan, Reset(), seed=seed)


def checked(
    subject: Subject,
    randomizer: Randomizer,
    names: tuple[str, ...],
    sizes: Sizes,
    metrics: tuple[str, ...] = DEFAULT_METRICS,
    precision: str | None = None,
) -> SanityResult:
    """The check of a subject under some methods of the panels."""
    return sanity_check(
        subject.model,
        subject.images,
        subject.targets,
        methods=build(names, sizes, subject.layer),
        metrics={name: configured_metric(name, subject.images.shape[2:]) for name in metrics},
        randomizer=randomizer,
        precision=precision,
    )
