"""How long a whole reproduction will take: reference times of its experiments, scaled by the pace of this machine."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import torch

from probatum.models import load_model
from probatum.progress import duration
from probatum.reproductions.base import PRESETS

PROBE_REFERENCE = 0.112
"""Seconds of the probe on the machine of `MINUTES`: one thread of two busy CPU cores."""
QUIET = 5.0
"""Seconds before the first estimate: short runs need no probe."""
PRIOR = 60.0
"""Reference seconds for which the probe stands: a minute of finished experiments weighs as much."""

MINUTES: dict[str, dict[str, tuple[float, float, float]]] = {
    "adebayo2018": {
        "edge-detector": (0.9, 0.6, 290.0),
        "imagenet": (0.1, 6.3, 5100.0),
        "cascading": (1.1, 10.7, 170.0),
        "independent": (0.6, 2.9, 50.0),
        "data-randomization": (2.6, 18.0, 2200.0),
        "simple-models": (0.5, 1.3, 10.0),
    },
    "kokhlikyan2021": {
        "figure1": (0.7, 16.4, 190.0),
        "figure2": (0.4, 42.0, 550.0),
        "figure6": (0.5, 41.0, 37000.0),
        "table1": (0.3, 18.0, 1140.0),
        "data-randomization": (3.7, 7.7, 1200.0),
        "figure3": (0.7, 14.3, 500.0),
        "figure12": (2.0, 29.9, 3000.0),
    },
    "shin2021": {
        "figure1": (0.1, 0.1, 1.0),
        "figure2": (0.5, 5.1, 10.0),
        "figures3-4": (5.0, 13.2, 720.0),
        "figures5-6": (0.4, 8.7, 15.0),
        "figure7": (3.0, 5.9, 30.0),
    },
    "transformers": {
        "digits": (2.0, 9.6, 300.0),
        "photographs": (2.0, 10.0, 300.0),
        "sentences": (1.0, 6.5, 60.0),
    },
    "wienecke2021": {
        "table2_2": (0.9, 85.6, 54.0),
        "figure1": (0.1, 0.1, 0.2),
        "figure3": (0.4, 0.7, 4.5),
        "figure4": (0.1, 1.4, 3.0),
        "figure6": (0.1, 2.6, 162.0),
        "figure8": (0.1, 6.0, 650.0),
        "failures": (3.0, 1.8, 12.0),
    },
    "yona2021": {
        "figure1": (1.8, 4.2, 35.0),
        "figure2": (1.5, 4.6, 25.0),
        "figure3": (0.5, 4.4, 160.0),
        "figure4": (0.1, 0.1, 1.0),
        "figure5": (0.1, 0.1, 1.0),
        "figure6": (0.1, 0.1, 1.0),
        "figure7": (0.1, 0.1, 1.0),
    },
}
"""Minutes of each experiment in the presets "quick", "cpu" and "paper", on the CPU.

Those of "cpu" were measured in the runs whose scorecards the documentation keeps; where other programs had most of the
machine, they are minutes of its processor. The others are counts of model calls and training steps, divided by the
rates of their networks.
"""


def minutes_in_words(paper: str, experiment: str) -> str:
    """Minutes of an experiment with the preset "cpu"."""
    return f"{MINUTES[paper][experiment][1]:g}"


def reference_seconds(paper: str, preset: str, experiments: Sequence[str]) -> dict[str, float]:
    """Seconds of experiments on the reference machine; an experiment that was never timed takes a minute."""
    column = [str(name) for name in PRESETS].index(preset)
    known = MINUTES.get(paper, {})
    return {name: 60 * known[name][column] if name in known else 60.0 for name in experiments}


def probe_pace(device: torch.device) -> float:
    """Time of a small fixed computation, gradients of a CNN, in units of its time on the reference machine."""
    model = load_model("basic_cnn", "none").to(device)
    images = torch.zeros(128, 1, 28, 28, device=device, requires_grad=True)

    def run() -> float:
        begun = time.monotonic()
        (gradient,) = torch.autograd.grad(model(images).sum(), images)
        float(gradient.sum())  # waits for a GPU
        return time.monotonic() - begun

    run()
    return min(run(), run()) / PROBE_REFERENCE


@dataclass
class Forecast:
    """The time that is left of a reproduction.

    Experiment i takes p·r_i seconds, with r_i its reference time and p the pace of this machine, estimated as

        p = (60 s · probe + Σ t_i) / (60 s + Σ r_i)

    over the finished experiments, which took t_i. The probe alone speaks at first, and soon no longer.

    Args:
        expected: reference seconds of the experiments that are to be computed, in their order.
        probe: what `probe_pace` found.
        took: seconds of the finished ones.
    """

    expected: Mapping[str, float]
    probe: float
    took: dict[str, float] = field(default_factory=dict)

    @property
    def pace(self) -> float:
        """Seconds of this machine for a second of the reference."""
        done = sum(self.expected[name] for name in self.took)
        return (PRIOR * self.probe + sum(self.took.values())) / (PRIOR + done)

    def left(self, current: str, elapsed: float) -> float:
        """Seconds until the end, after `elapsed` seconds of the current experiment.

        An experiment that takes longer than expected is taken to be done soon, and the later ones to take longer, too.
        """
        pace = max(self.pace, elapsed / self.expected[current])
        later = sum(seconds for name, seconds in self.expected.items() if name not in self.took and name != current)
        return pace * (self.expected[current] + later) - elapsed


class WholeClock:
    """Times the experiments of a reproduction one after another, and says what is left of the whole.

    Args:
        expected: reference seconds of the experiments that are to be computed.
        device: of the models.
        clock: tells seconds.
        probe: measures the pace of a device.
    """

    def __init__(
        self,
        expected: Mapping[str, float],
        device: torch.device,
        clock: Callable[[], float] = time.monotonic,
        probe: Callable[[torch.device], float] = probe_pace,
    ) -> None:
        self._expected, self._device, self._clock, self._probe = expected, device, clock, probe
        self._forecast: Forecast | None = None
        self._took: dict[str, float] = {}
        self._current = ""
        self._started = self._begun = clock()

    def begin(self, name: str) -> None:
        """Starts the clock of an experiment."""
        self._current, self._begun = name, self._clock()

    def end(self) -> float:
        """Seconds that the experiment took."""
        seconds = self._clock() - self._begun
        self._took[self._current] = seconds
        return seconds

    def words(self) -> str:
        """What is left of the whole, such as "; all done in about 12 min"; "" in the first seconds."""
        now = self._clock()
        if now - self._started < QUIET:
            return ""
        if self._forecast is None:
            self._forecast = Forecast(self._expected, self._probe(self._device), self._took)
        left = self._forecast.left(self._current, now - self._begun)
        return f"; all done in about {duration(left)}" if left >= 1 else ""
