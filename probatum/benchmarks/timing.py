"""Time, measured so that two pieces of work can be compared: turn by turn, in windows, with the spread beside it."""

import gc
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch

from probatum.errors import InvalidInput

LEAST_SECONDS = 0.1  # of a window, so that neither the clock nor one hiccup decides it


class Spread(NamedTuple):
    """Median and quartiles."""

    low: float
    median: float
    high: float


@dataclass(frozen=True)
class Stopwatch:
    """Measures windows of work.

    Args:
        clock: seconds that only grow.
        synchronize: waits until the device has done all that was asked of it.
        least: seconds that a window lasts at least; short work is repeated within it.
    """

    clock: Callable[[], float] = time.perf_counter
    synchronize: Callable[[], None] = lambda: None
    least: float = LEAST_SECONDS

    @classmethod
    def of(cls, device: torch.device, least: float = LEAST_SECONDS) -> "Stopwatch":
        """A stopwatch for work on a device."""
        if device.type == "cuda":
            return cls(synchronize=lambda: torch.cuda.synchronize(device), least=least)
        return cls(least=least)

    def window(self, work: Callable[[], object], repeats: int) -> float:
        """Seconds that one call of the work takes, the mean of some calls; no garbage is collected within."""
        with _no_garbage_collection():
            self.synchronize()
            start = self.clock()
            for _ in range(repeats):
                work()
            self.synchronize()
            return (self.clock() - start) / repeats

    def repeats(self, work: Callable[[], object]) -> int:
        """Warms the work up and tells how many calls fill a window."""
        if self.window(work, 1) >= 10 * self.least:  # warm or not, one call is long enough
            return 1
        return max(1, math.ceil(self.least / max(self.window(work, 1), 1e-9)))


def interleave(
    works: Mapping[str, tuple[Callable[[], object], int]],
    rounds: int,
    stopwatch: Stopwatch,
    tick: Callable[[str], None] = lambda name: None,
) -> dict[str, tuple[float, ...]]:
    """Times several works turn by turn, A B B A A B ...: what slows the machine slowly slows all of them alike.

    Args:
        works: by name, each with its calls in a window.
        rounds: windows of each work.
        stopwatch: what times them.
        tick: called with the name of the work whose window ended.

    Returns:
        {name: seconds of one call, in each round}.
    """
    if rounds < 1:
        raise InvalidInput(f"rounds is {rounds}; at least one window is needed")
    seconds: dict[str, list[float]] = {name: [] for name in works}
    for number in range(rounds):
        gc.collect()  # here, for it would take longer than many a window
        for name in list(works) if number % 2 == 0 else reversed(list(works)):
            seconds[name].append(stopwatch.window(*works[name]))
            tick(name)
    return {name: tuple(windows) for name, windows in seconds.items()}


def spread(values: Sequence[float]) -> Spread:
    """Median and quartiles of some values."""
    if not values:
        raise InvalidInput("there is no value to take the median of")
    low, median, high = np.percentile(np.asarray(values), (25, 50, 75))
    return Spread(float(low), float(median), float(high))


def ratio(over: Sequence[float], under: Sequence[float]) -> Spread:
    """Spread of the ratios of two works' windows, paired by round."""
    if len(over) != len(under):
        raise InvalidInput(f"{len(over)} and {len(under)} windows cannot be paired; time both works in every round")
    return spread([a / b for a, b in zip(over, under, strict=True)])


@contextmanager
def _no_garbage_collection() -> Iterator[None]:
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
