"""A cascade with ten maps and four metrics: probatum beside the same check written with other libraries."""

from dataclasses import dataclass
from functools import partial

import numpy as np
from torch import nn

from probatum.benchmarks.config import PAPERS, QUICK, BenchConfig, Sizes, Subject
from probatum.benchmarks.contest import Arena, Contestant
from probatum.benchmarks.panels import IG_SG, TEN
from probatum.benchmarks.record import OURS
from probatum.benchmarks.reference import SMOOTHED
from probatum.benchmarks.rivals import CAPTUM, absent
from probatum.benchmarks.rivals.script import usual_check
from probatum.benchmarks.suites.check import cascade_of, checked
from probatum.benchmarks.suites.findings import Findings
from probatum.experiments.config import DEFAULT_METRICS
from probatum.randomization import Randomizer

WITHOUT_NOISE = tuple(name for name in TEN if name not in (*SMOOTHED, *IG_SG))


@dataclass(frozen=True)
class CascadeCase:
    """A cascade.

    Args:
        model: by name.
        images: explained.
        rounds: windows of each side.
        stages: so many, the last of which takes all layers that are left; None is the network's own number.
    """

    model: str
    images: int
    rounds: int
    stages: int | None = None


# The other side takes some 2700 gradients an image for every network, so that two stages take it minutes.
CASE = CascadeCase("squeezenet1_0", 1, 2, stages=2)
WHOLE = CascadeCase("squeezenet1_0", 1, 1)
QUICK_CASE = CascadeCase("basic_cnn", 1, 2)


def run(config: BenchConfig, arena: Arena) -> Findings:
    """Times both sides on a cascade of two stages."""
    return _compare(QUICK_CASE if config.quick else CASE, config, arena)


def run_whole(config: BenchConfig, arena: Arena) -> Findings:
    """Times both sides on all stages, once."""
    return _compare(QUICK_CASE if config.quick else WHOLE, config, arena)


def _compare(case: CascadeCase, config: BenchConfig, arena: Arena) -> Findings:
    sizes = QUICK if config.quick else PAPERS
    findings = Findings(lines=absent((CAPTUM,)))
    subject = Subject.load(config, case.model, case.images)
    randomizer = cascade_of(subject, config.seed, case.stages)
    stages = len(randomizer.stages)
    title = f"cascade of {stages} stages, {len(TEN)} maps, {len(DEFAULT_METRICS)} metrics, {subject}"
    findings.add(arena.compete(title, contestants(subject, randomizer, sizes), case.rounds))
    return findings


def contestants(subject: Subject, randomizer: Randomizer, sizes: Sizes) -> list[Contestant]:
    """Both sides, judged by the scores of the methods without noise against a check in float64."""
    stages = len(randomizer.stages)
    exact = checked(subject, randomizer, WITHOUT_NOISE, sizes, precision="float64").scores[..., 0]
    # Both sides compare the same networks; the script copies the weights in instead of drawing them.
    weights = [step.model.state_dict() for step in randomizer.steps()]

    def randomize(model: nn.Module, stage: int) -> None:
        model.load_state_dict(weights[stage])

    def script(names: tuple[str, ...]) -> np.ndarray:
        return usual_check(
            subject.model, subject.images, subject.targets, stages, randomize, names, subject.layer, sizes
        )

    maps = len(TEN) * len(subject.images) * (stages + 1)
    found = [
        Contestant(
            OURS,
            partial(checked, subject, randomizer, TEN, sizes),
            judge=lambda: _difference(checked(subject, randomizer, WITHOUT_NOISE, sizes).scores[..., 0], exact),
            maps=maps,
            note=f"IG-SG: joint, {sizes.joint} samples; the noise ceiling is computed too",
        )
    ]
    if CAPTUM.installed:
        found.append(
            Contestant(
                "script",
                partial(script, TEN),
                "Captum, scikit-image, scipy",
                lambda: _difference(script(WITHOUT_NOISE), exact),
                maps=maps,
                note=f"IG-SG: nested, {sizes.nested} × {sizes.steps}",
                long=True,
            )
        )
    return found


def _difference(scores: np.ndarray, exact: np.ndarray) -> float | None:
    """The largest difference of two sides' scores; a score that is undefined for one of them does not count."""
    difference = np.abs(scores - exact)
    return float(np.nanmax(difference)) if np.isfinite(difference).any() else None
