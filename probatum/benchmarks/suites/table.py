"""The table of suites."""

from collections.abc import Callable
from dataclasses import dataclass, field

from probatum.benchmarks.config import BenchConfig
from probatum.benchmarks.contest import Arena
from probatum.benchmarks.suites import (
    cascade,
    check,
    estimators,
    gradients,
    launching,
    memory,
    memory_large,
    methods,
    metrics,
    panel,
    precision,
    roofline,
    throughput,
    verdicts,
)
from probatum.benchmarks.suites.findings import Findings
from probatum.errors import UnknownName


@dataclass(frozen=True)
class Suite:
    """A suite of benchmarks.

    Args:
        name: how it is asked for.
        title: what it measures.
        minutes: what it takes on 2 idle CPU cores with every rival installed, about.
        run: does it.
        batches: whether it takes several batches, one after another.
        methods: whether it takes methods by name.
    """

    name: str
    title: str
    minutes: int
    run: Callable[[BenchConfig, Arena], Findings] = field(repr=False)
    batches: bool = False
    methods: bool = False


SUITES = {
    suite.name: suite
    for suite in (
        Suite("methods", "one method at a time, beside the bare model and libraries", 6, methods.run, batches=True),
        Suite("roofline", "the machine, the bare model and each method", 6, roofline.run, batches=True, methods=True),
        Suite("panel", "five, eight and ten maps of the same images at once", 9, panel.run),
        Suite("precision", "speed and error of each precision", 6, precision.run),
        Suite("throughput", "gradients per second at large batches, meant for CUDA", 240, throughput.run, batches=True),
        Suite("graphs", "calls as CUDA graphs beside calls one by one", 60, launching.run_graphs, batches=True),
        Suite("compiled", "calls by torch.compile beside calls one by one", 60, launching.run_compiled, batches=True),
        Suite("cascade", "a short cascade, beside the same check written with other libraries", 9, cascade.run),
        Suite("cascade-whole", "the same, all stages once", 17, cascade.run_whole),
        Suite("memory", "peak memory of methods that take many gradients", 6, memory.run),
        Suite("memory-large", "peak memory of every method on large inputs", 60, memory_large.run, methods=True),
        Suite("metrics", "the four metrics on many pairs of maps", 8, metrics.run),
        Suite("estimators", "agreement of IG-SG with itself against gradients spent", 9, estimators.run),
        Suite("gradients", "gradients that a check spends until it is enough, beside fixed numbers", 6, gradients.run),
        Suite("verdicts", "how far verdicts can be trusted", 10, verdicts.run),
        Suite("verdicts-long", "the same with more images, randomizations and repetitions", 240, verdicts.run_long),
        Suite("check", "the whole sanity check in wall time", 6, check.run),
    )
}


USUAL = tuple(name for name, suite in SUITES.items() if suite.minutes <= 10)
"""Suites that run where none is named."""


def get_suite(name: str) -> Suite:
    """Looks a suite up; UnknownName suggests the nearest names."""
    if name not in SUITES:
        raise UnknownName("benchmark suite", name, SUITES)
    return SUITES[name]
