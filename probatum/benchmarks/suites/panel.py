"""Several maps of the same images at once: one call of probatum beside one call of Captum for each map."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from torch import Tensor, nn

from probatum.benchmarks.config import PAPERS, QUICK, BenchConfig, Sizes, Subject
from probatum.benchmarks.contest import Arena, Contestant
from probatum.benchmarks.judging import Explain, Judge
from probatum.benchmarks.ours import ours, rows_of
from probatum.benchmarks.panels import EIGHT, FIVE, IG_SG, TEN
from probatum.benchmarks.reference import SMOOTHED
from probatum.benchmarks.rivals import CAPTUM, absent
from probatum.benchmarks.rivals.captum import ONE_SIGMA, captum_panel
from probatum.benchmarks.suites.findings import Findings


@dataclass(frozen=True)
class PanelCase:
    """A panel of methods.

    Args:
        title: in words.
        methods: by name.
        batch: images.
        rounds: windows of each contestant.
        defaults: whether Captum is also called with its defaults.
    """

    title: str
    methods: tuple[str, ...]
    batch: int
    rounds: int
    defaults: bool


# A call of Captum's ten maps takes some 2700 gradients an image, so that panel has one image.
CASES = (
    PanelCase("five maps of one gradient each", FIVE, 8, 9, True),
    PanelCase("eight maps", EIGHT, 2, 5, True),
    PanelCase("ten maps, with IG-SG", TEN, 1, 3, False),
)


def run(config: BenchConfig, arena: Arena) -> Findings:
    """Holds a contest for each panel."""
    findings = Findings(lines=absent((CAPTUM,)))
    sizes = QUICK if config.quick else PAPERS
    for case in CASES:
        model, batch = ("squeezenet1_0", 1) if config.quick else ("resnet18", case.batch)
        subject = Subject.load(config, model, batch)
        title = f"{case.title}, {subject}"
        findings.add(arena.compete(title, contestants(case, subject, sizes), 2 if config.quick else case.rounds))
    return findings


def contestants(case: PanelCase, subject: Subject, sizes: Sizes) -> list[Contestant]:
    """probatum, and Captum in its ways of being called."""
    judge = Judge(subject, sizes)
    joint = set(case.methods) & set(IG_SG)
    found = [ours(subject, case.methods, sizes, judge, note=f"IG-SG: joint, {sizes.joint} samples" if joint else "")]
    if not CAPTUM.installed:
        return found
    many = set(case.methods) - set(FIVE)
    limits = [rows_of(subject, case.methods, sizes)] if many else []
    for rows in [*limits, *([None] if case.defaults or not many else [])]:
        found.append(captum(case.methods, subject, sizes, judge, rows))
    return found


def captum(names: tuple[str, ...], subject: Subject, sizes: Sizes, judge: Judge, rows: int | None) -> Contestant:
    """One call of Captum after the other, each map judged by the points that its own call looked at."""

    def calls(names: tuple[str, ...]) -> Explain:
        def explain(model: nn.Module, images: Tensor, targets: Tensor) -> dict[str, Tensor]:
            return captum_panel(names, model, images, targets, subject.layer, sizes, rows)

        return explain

    def error() -> float | None:
        # IG-SG is not judged, and its points are many.
        errors = [judge.error(calls((name,))) for name in names if name not in IG_SG]
        return max((each for each in errors if each is not None), default=None)

    notes = [ONE_SIGMA] if set(names) & set(SMOOTHED) else []
    notes += [f"IG-SG: nested, {sizes.nested} × {sizes.steps}"] if set(names) & set(IG_SG) else []
    work: Callable[[], object] = partial(calls(names), subject.model, subject.images, subject.targets)
    return Contestant(
        CAPTUM.name,
        work,
        f"in batches of {rows}" if rows else "defaults",
        error,
        maps=len(names) * len(subject.images),
        note="; ".join(notes),
        long=bool(set(names) & set(IG_SG)),
    )
