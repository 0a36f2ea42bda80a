"""Gradients that a check spends: fixed numbers beside methods and images that end when it is enough."""

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from probatum.attributions import Gradient, GuidedBackprop, InputXGradient, IntegratedGradients, Method, SmoothGrad
from probatum.benchmarks.config import BenchConfig, Subject
from probatum.benchmarks.contest import Arena
from probatum.benchmarks.record import OURS, Entry
from probatum.benchmarks.suites.estimators import EstimatorCase, trained_subject
from probatum.benchmarks.suites.findings import Findings
from probatum.experiments.result import SanityResult
from probatum.experiments.sanity import sanity_check
from probatum.experiments.verdicts import judge
from probatum.randomization import Randomizer, Reset, automatic_stages

METRICS = ("spearman", "spearman-abs")


@dataclass(frozen=True)
class Size:
    """How large the check is.

    Args:
        images: the most.
        trials: the most.
        samples: noise samples, and the most under a ceiling.
        steps: of Integrated Gradients.
        most_steps: under a tolerance.
    """

    images: int = 40
    trials: int = 3
    samples: int = 50
    steps: int = 50
    most_steps: int = 63


WHOLE, QUICK = Size(), Size(6, 2, 4, 4, 7)
TOLERANCE, CEILING = 0.05, 0.7


def run(config: BenchConfig, arena: Arena) -> Findings:
    """One check on digits in four ways: fixed numbers, until decided, until it is enough, and both."""
    findings, size = Findings(), QUICK if config.quick else WHOLE
    subject = trained_subject(config, EstimatorCase(config.model or "basic_cnn", size.images, (), ()), arena)
    stages = automatic_stages(subject.model, subject.images)
    randomizer = Randomizer(subject.model, stages, Reset(), "cascading", config.seed)
    contest = f"check of {subject}, {size.trials} trials"
    words, spent = dict[str, str](), dict[str, int]()
    ways = {
        "fixed": (methods_of(size), False),
        "until decided": (methods_of(size), True),
        f"tolerance {TOLERANCE:g}, ceiling {CEILING:g}": (methods_of(size, refined=True), False),
        "both": (methods_of(size, refined=True), True),
    }
    for variant, (methods, until_decided) in ways.items():
        arena.progress(f"{contest}: {variant}")
        result = sanity_check(
            subject.model,
            subject.images,
            subject.targets,
            methods=methods,
            metrics=METRICS,
            randomizer=randomizer,
            trials=size.trials,
            seed=config.seed,
            on_nan="record",
            until_decided=until_decided,
        )
        by_method = gradients_of(result, methods, subject)
        found: dict[str, str] = {name: summary.word for name, summary in judge(result).summaries.items()}
        words, spent[variant] = words or found, sum(by_method.values())
        scores = {
            "images": len(result.image_names),
            "trials": result.scores.shape[-1],
            "same verdicts": sum(found[name] == word for name, word in words.items()),
            "other firm verdicts": sum("undecided" not in (found[n], w) and found[n] != w for n, w in words.items()),
            "agreement of SmoothGrad": _ceiling(result, "smoothgrad"),
        }
        numbers = {name: float(score) for name, score in scores.items()}
        findings.entries.append(Entry(contest, OURS, variant, gradients=spent[variant], scores=numbers))
        shares = ", ".join(f"{name} {count}" for name, count in by_method.items())
        findings.lines.append(f"{variant}: {', '.join(f'{name} {word}' for name, word in found.items())}")
        findings.lines.append(f"{variant}: gradients by method: {shares}")
        findings.lines += [f"{variant}: {line}" for line in _refined(result)]
    fixed = spent["fixed"]
    findings.lines.append(
        "gradients, fixed over each: "
        + ", ".join(f"{variant} {fixed / count:.2f}" for variant, count in spent.items() if variant != "fixed")
    )
    findings.lines.append(
        f"same verdicts are of {len(words)} methods, compared with those of the fixed numbers; gradients are counted "
        "for each method as if it were computed alone; a tolerance takes two more forward passes a map"
    )
    return findings


def methods_of(size: Size, *, refined: bool = False) -> dict[str, Method]:
    """The methods of the check, with fixed numbers or such as are enough."""
    path, noise = IntegratedGradients(size.steps), SmoothGrad(samples=size.samples)
    if refined:
        path, noise = IntegratedGradients(size.most_steps, tolerance=TOLERANCE), replace(noise, ceiling=CEILING)
    return {
        "gradient": Gradient(),
        "input-x-gradient": InputXGradient(),
        "guided-backprop": GuidedBackprop(),
        "smoothgrad": noise,
        "input-x-gradient-sg": replace(noise, method=InputXGradient()),
        "integrated-gradients": path,
        "integrated-gradients-sg-joint": replace(noise, method=path, estimator="joint"),
    }


def gradients_of(result: SanityResult, methods: Mapping[str, Method], subject: Subject) -> Counter[str]:
    """Points at which each method had the gradient of a map, over all images, stages, trials and noise ceilings."""
    counts = Counter[str]()
    for each in result.spent:
        counts[each.method] += each.points
    for name, method in methods.items():
        if name not in counts:
            chain = method.request(subject.prepared, subject.images[:1]).chain
            made = result.made[result.methods.index(name)]  # (stage, image, trial)
            images = int(made.any(axis=(0, 2)).sum())
            maps = images * (1 + method.stochastic) + int(made.sum())
            counts[name] = maps * math.prod(expansion.count for expansion in chain)
    return counts


def _ceiling(result: SanityResult, method: str) -> float:
    """The mean noise ceiling of absolute maps."""
    found = result.ceiling[result.methods.index(method), result.metrics.index("spearman-abs")]
    return float(np.nanmean(found))


def _refined(result: SanityResult) -> list[str]:
    """What methods with a tolerance or a ceiling took, on the trained and on the randomized networks."""
    lines = []
    for name in dict.fromkeys(each.method for each in result.spent):
        parts = []
        for which, chosen in (("trained", True), ("randomized", False)):
            spent = [each for each in result.spent if each.method == name and (each.trial is None) == chosen]
            mean, lacking = np.mean([each.points for each in spent]), sum(not each.enough for each in spent)
            parts.append(f"{mean:.1f} gradients a map on {which} networks, {lacking} of {len(spent)} not enough")
        lines.append(f"{name} took {'; '.join(parts)}")
    return lines
