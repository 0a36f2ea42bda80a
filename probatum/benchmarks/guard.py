"""The guard of the floor: a method that takes much longer than its passes through the bare model is found at once."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from torch import Tensor, nn

from probatum.attributions import Method, attribute
from probatum.benchmarks.bare import bare_passes, count_passes
from probatum.benchmarks.timing import Stopwatch, interleave, ratio
from probatum.engine import Maps, prepare

LIMIT = 1.25  # times the bare model's time


@dataclass(frozen=True)
class Guard:
    """How the floor is guarded.

    A ratio is the median over rounds in which the method and the bare model take turns, in seconds of the processor
    and not of the clock, so that other processes hardly count. Noise makes single ratios large, hardly ever all of
    them, so a method has left its floor only if every try says so.

    Args:
        limit: the largest ratio allowed.
        tries: measurements before a ratio above the limit is believed.
        rounds: windows of each in one measurement.
        stopwatch: what times them.
    """

    limit: float = LIMIT
    tries: int = 3
    rounds: int = 5
    stopwatch: Stopwatch = field(default_factory=lambda: Stopwatch(clock=time.process_time, least=0.02))

    def ratio(self, method: Callable[[], object], bare: Callable[[], object]) -> float:
        """The first ratio within the limit, or the smallest of all tries."""
        works = {name: (work, self.stopwatch.repeats(work)) for name, work in (("method", method), ("bare", bare))}
        smallest = float("inf")
        for _ in range(self.tries):
            times = interleave(works, self.rounds, self.stopwatch)
            smallest = min(smallest, ratio(times["method"], times["bare"]).median)
            if smallest <= self.limit:
                break
        return smallest


def floor_ratio(method: Method, model: nn.Module, images: Tensor, targets: Tensor, guard: Guard | None = None) -> float:
    """Time of a method in units of the bare model's with as many passes in calls of as many rows.

    Args:
        method: calls the model.
        model: in eval mode, frozen.
        images: (batch, channel, height, width).
        targets: class indices (batch,).
        guard: how it is measured.
    """

    def call(model: nn.Module) -> partial[Maps]:
        return partial(attribute, prepare(model), images, targets, {"method": method})

    passes = count_passes(model, call)
    return (guard or Guard()).ratio(call(model), bare_passes(model, images, targets, passes))
