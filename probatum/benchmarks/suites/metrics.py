"""The four metrics of the checks on many pairs of maps, beside loops over scikit-image and scipy, and Quantus."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor

from probatum.benchmarks.config import BenchConfig
from probatum.benchmarks.contest import Arena, Contestant
from probatum.benchmarks.record import OURS, Entry
from probatum.benchmarks.rivals import QUANTUS, absent
from probatum.benchmarks.rivals.loops import LOOPS
from probatum.benchmarks.rivals.quantus import METRICS as QUANTUS_METRICS
from probatum.benchmarks.rivals.quantus import OTHER_SSIM, quantus_scores
from probatum.benchmarks.suites.findings import Findings
from probatum.experiments.config import DEFAULT_METRICS
from probatum.maps import get_reduction
from probatum.metrics import Metric, get_metric

LOOP = "scikit-image, scipy"
ROUNDS = 5
LOOPED = 1024  # pairs at most that loops take part in; they take some 30 ms a pair


@dataclass(frozen=True)
class MetricCase:
    """Pairs of maps under one metric, the first map of each pair prepared beforehand as in a check.

    Args:
        metric: by name.
        maps: pairs.
        size: of a map in pixels.
    """

    metric: str
    maps: int = 512
    size: int = 224


CASES = tuple(MetricCase(metric) for metric in DEFAULT_METRICS)
QUICK_CASES = tuple(MetricCase(metric, 4, 64) for metric in DEFAULT_METRICS)


def run(config: BenchConfig, arena: Arena) -> Findings:
    """Holds a contest for each metric, and adds up the four."""
    findings = Findings(lines=absent((QUANTUS,)))
    cases = QUICK_CASES if config.quick else CASES
    for case in cases:
        maps = config.one_batch or case.maps
        title = f"{get_metric(case.metric).title}, {maps} pairs of {case.size}×{case.size}"
        a, b = pairs(case.metric, maps, case.size, config.chosen_device, config.seed)
        findings.add(arena.compete(title, contestants(get_metric(case.metric), a, b), 2 if config.quick else ROUNDS))
    findings.entries += summed(findings.entries, cases)
    return findings


def pairs(metric: str, maps: int, size: int, device: torch.device, seed: int) -> tuple[Tensor, Tensor]:
    """Pairs of noisy maps with something in common, reduced as the metric's protocol says."""
    generator = torch.Generator().manual_seed(seed)
    first, second = (torch.randn(maps, 1, size, size, generator=generator) for _ in range(2))
    reduce = get_reduction(get_metric(metric).reduction)
    return reduce(first).to(device), reduce(0.6 * first + 0.8 * second).to(device)


def contestants(metric: Metric, a: Tensor, b: Tensor) -> list[Contestant]:
    """probatum; the loop, and Quantus where it has the metric, up to `LOOPED` pairs."""
    reference = metric.prepare(a)
    pixels = [each.cpu().numpy() for each in (a, b)]
    few = [each[:8] for each in pixels]
    exact = _loop(metric.name, *(each.astype(np.float64) for each in few))

    def judged(scores: Callable[[], np.ndarray]) -> Callable[[], float]:
        return lambda: float(np.abs(scores()[: len(exact)] - exact).max())

    found = [
        Contestant(
            OURS,
            lambda: metric.compare_maps(reference, b),
            "first maps prepared",
            judged(lambda: metric(a[:8], b[:8]).cpu().double().numpy()),
            maps=len(a),
        ),
        Contestant(OURS, lambda: metric(a, b), "nothing prepared", maps=len(a)),
    ]
    if len(a) > LOOPED:
        return found
    found.append(
        Contestant(
            LOOP,
            partial(_loop, metric.name, *pixels),
            judge=judged(partial(_loop, metric.name, *few)),
            maps=len(a),
            long=True,
        )
    )
    if QUANTUS.installed and metric.name in QUANTUS_METRICS:
        other = metric.name == "ssim"
        found.append(
            Contestant(
                QUANTUS.name,
                partial(quantus_scores, metric.name, *pixels),
                judge=None if other else judged(partial(quantus_scores, metric.name, *few)),
                maps=len(a),
                note=OTHER_SSIM if other else "",
                long=True,
            )
        )
    return found


def summed(entries: list[Entry], cases: tuple[MetricCase, ...]) -> list[Entry]:
    """The sum of all metrics, round by round, of each contestant that has them all."""
    names = dict.fromkeys((entry.who, entry.variant) for entry in entries)
    sums = []
    for who, variant in names:
        parts = [entry for entry in entries if (entry.who, entry.variant) == (who, variant)]
        if len(parts) == len(cases):
            seconds = tuple(sum(windows) for windows in zip(*(part.seconds for part in parts), strict=True))
            maps = sum(part.maps or 0 for part in parts)
            sums.append(Entry("sum of the four metrics", who, variant, seconds, maps=maps, note="added up by round"))
    return sums


def _loop(metric: str, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.array([LOOPS[metric](x, y) for x, y in zip(a, b, strict=True)])
