"""A large check on paper, from rates that were measured or are stated: `python -m probatum.benchmarks.cost`.

python -m probatum.benchmarks.cost --gradients-per-second 2000 --devices 1,8,64
python -m probatum.benchmarks.cost --record runs/throughput --devices 8
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from torch import nn

from probatum.attributions import Method, attribute
from probatum.attributions.base import named_methods
from probatum.benchmarks.bare import count_passes
from probatum.benchmarks.compare import read_stored
from probatum.benchmarks.record import OURS, Record
from probatum.engine import Maps, prepare
from probatum.errors import InvalidInput
from probatum.experiments.chance import OTHERS
from probatum.experiments.config import DEFAULT_METHODS, CheckConfig

IMAGENET = 50_000  # images of the validation set of ILSVRC 2012
_SIDE = 32  # pixels of the image on which passes are counted; their number does not depend on it


@dataclass(frozen=True)
class CheckSize:
    """A check on paper.

    Args:
        images: explained.
        stages: of the randomization, the trained model left out.
        trials: randomizations.
        gradients: passes of one image under one model, of all methods in one call.
        noisy: those of the methods with noise, which explain the trained model a second time for the noise ceiling.
        maps: of one image under one model.
        metrics: that compare maps; as many as in a check that names none.
    """

    images: int
    stages: int
    trials: int
    gradients: int
    noisy: int
    maps: int
    metrics: int = len(CheckConfig().chosen_metrics)

    @property
    def all_gradients(self) -> int:
        """Gradients of the whole check."""
        return self.images * (self.gradients * (1 + self.stages * self.trials) + self.noisy)

    @property
    def all_pairs(self) -> int:
        """Pairs of maps that are compared: of the same image, and for chance, of other images."""
        compared = 1 + min(OTHERS, self.images - 1)
        return self.images * self.maps * self.stages * self.trials * self.metrics * compared

    def seconds(self, gradients_per_second: float, pairs_per_second: float | None = None, devices: int = 1) -> float:
        """Seconds of the whole check on devices that share it evenly.

        Args:
            gradients_per_second: of one device.
            pairs_per_second: likewise; None leaves the metrics out.
            devices: how many.
        """
        metrics = 0.0 if pairs_per_second is None else self.all_pairs / pairs_per_second
        return (self.all_gradients / gradients_per_second + metrics) / devices


def gradients_of(methods: dict[str, Method]) -> int:
    """Passes that methods in one call take for an image, counted on a small network."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 2, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2, 2)).eval()
    image = torch.rand(1, 3, _SIDE, _SIDE)

    def call(model: nn.Module) -> partial[Maps]:
        return partial(attribute, prepare(model), image, 0, methods)

    return count_passes(model, call).gradients if methods else 0


def check_size(names: Sequence[str], images: int = IMAGENET, stages: int = 18, trials: int = 1) -> CheckSize:
    """The size of a check of some methods, by name; the noise ceiling is that of all methods with noise."""
    with torch.random.fork_rng():
        methods = named_methods(list(names))
        noisy = {name: method for name, method in methods.items() if method.stochastic}
        return CheckSize(images, stages, trials, gradients_of(methods), gradients_of(noisy), len(methods))


def measured_rate(records: Sequence[Record]) -> float:
    """The most gradients per second of probatum in some records; InvalidInput where none has any."""
    rates = [
        entry.per_second(entry.gradients)
        for record in records
        for entry in record.entries
        if entry.who == OURS and entry.gradients
    ]
    best = max((rate for rate in rates if rate is not None), default=None)
    if best is None:
        raise InvalidInput("the record has no gradients per second; take one of the suites throughput or roofline")
    return best


def main(words: Sequence[str] | None = None) -> str:
    """The cost in words."""
    parser = argparse.ArgumentParser(prog="python -m probatum.benchmarks.cost", description=__doc__)
    rate = parser.add_mutually_exclusive_group(required=True)
    rate.add_argument("--gradients-per-second", type=float, help="of one device")
    rate.add_argument("--record", type=Path, help="records of the suite throughput or roofline, which have the rate")
    parser.add_argument("--pairs-per-second", type=float, help="of one device, in the metrics; else they are left out")
    parser.add_argument("--images", type=int, default=IMAGENET)
    parser.add_argument("--stages", type=int, default=18)
    parser.add_argument("--trials", type=int, default=1)
    parser.add_argument("--methods", default=",".join(DEFAULT_METHODS[:-1]))
    parser.add_argument("--devices", default="1,8,64")
    given = parser.parse_args(words)
    size = check_size(given.methods.split(","), given.images, given.stages, given.trials)
    speed = measured_rate(read_stored(str(given.record))) if given.record else given.gradients_per_second
    lines = [
        f"{size.images:,} images, {size.maps} methods, {size.stages} stages: {size.gradients} gradients an image and "
        f"model, {size.all_gradients:,} in all, {size.all_pairs:,} pairs of maps"
    ]
    for devices in map(int, given.devices.split(",")):
        hours = size.seconds(speed, given.pairs_per_second, devices) / 3600
        without = "" if given.pairs_per_second else ", without the metrics"
        lines.append(f"{devices} x {speed:,.0f} gradients/s: {hours:,.1f} hours{without}")
    return "\n".join(lines)


if __name__ == "__main__":
    import sys

    sys.stdout.write(main() + "\n")
