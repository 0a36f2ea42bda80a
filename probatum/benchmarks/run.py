"""Running a suite: the machine is set for all contestants alike, and left as it was found."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch

from probatum.benchmarks.config import BenchConfig
from probatum.benchmarks.contest import Arena
from probatum.benchmarks.environment import environment
from probatum.benchmarks.record import Record
from probatum.benchmarks.suites import get_suite
from probatum.benchmarks.timing import LEAST_SECONDS, Stopwatch
from probatum.engine.precision import computing

QUICK_SECONDS = 0.01  # of a window in a quick run


def run_suite(name: str, config: BenchConfig, progress: Callable[[str], None] | None = None) -> Record:
    """Runs one suite.

    All contestants compute in full float32, without TF32, except where a suite says otherwise, with the same threads,
    model and images.

    Args:
        name: a key of `SUITES`.
        config: the options.
        progress: called with what is being done.

    Raises:
        UnknownName: there is no such suite.
        InvalidInput: the options do not fit, or CUDA is asked for where there is none.
    """
    suite = get_suite(name)
    device = config.chosen_device
    stopwatch = Stopwatch.of(device, QUICK_SECONDS if config.quick else LEAST_SECONDS)
    arena = Arena(stopwatch, config.rounds, progress or (lambda what: None))
    with _threads(config.threads), computing(device):
        torch.manual_seed(config.seed)  # for rivals that draw from the global stream, which `computing` puts back
        facts = environment(device)
        findings = suite.run(config, arena)
    lines = [*findings.lines]
    if config.quick:
        lines.append("a quick run: every part was small, and its times mean nothing")
    return Record(name, suite.title, config.to_json(), facts, tuple(findings.entries), tuple(lines))


@contextmanager
def _threads(number: int | None) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(number or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)
