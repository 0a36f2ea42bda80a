"""A record of the suite `roofline`, read as shares: of the machine, and of the bare model."""

from dataclasses import dataclass

from probatum.benchmarks.contest import BARE, MACHINE
from probatum.benchmarks.record import OURS, Entry, Record
from probatum.benchmarks.timing import Spread, ratio
from probatum.benchmarks.work import Work
from probatum.errors import InvalidInput

ROOFLINE = "roofline"  # the suite


@dataclass(frozen=True)
class BareModel:
    """The bare model at one batch, beside the machine in the same rounds.

    Args:
        subject: model and shape of the images.
        gradient: forward pass and input gradient of the batch.
        forward: the forward pass alone.
        flops_per_second: of the machine, in a large matrix product.
        bytes_per_second: of the machine, in a large copy.
        share: of the roofline time in the time taken; above 1 where caches or faster algorithms save work that the
            count does not know of.
    """

    subject: str
    gradient: Entry
    forward: Entry
    flops_per_second: float
    bytes_per_second: float
    share: Spread

    @property
    def work(self) -> Work:
        """Work of one call."""
        return work_of(self.gradient)

    @property
    def intensity(self) -> float:
        """Floating-point operations for each byte moved."""
        return self.work.flops / self.work.traffic

    @property
    def speed(self) -> float:
        """Floating-point operations per second reached."""
        return self.work.flops / self.gradient.time.median

    @property
    def limit(self) -> str:
        """The roof that is met first."""
        return "arithmetic" if self.intensity > self.flops_per_second / self.bytes_per_second else "memory"


@dataclass(frozen=True)
class MethodCost:
    """One method at one batch.

    Args:
        title: of the method.
        subject: model and shape of the images.
        ours: the method.
        overhead: its time in units of the bare model's with as many passes; None where it calls no model.
    """

    title: str
    subject: str
    ours: Entry
    overhead: Spread | None


def work_of(entry: Entry) -> Work:
    """Work of an entry for which it was counted; InvalidInput for others."""
    if not entry.flops or not entry.traffic:
        raise InvalidInput(f"the work of {entry.contest}, {entry.name} was not counted")
    return Work(entry.flops, entry.traffic)


def bare_models(record: Record) -> list[BareModel]:
    """The bare model at each batch."""
    found = []
    for contest, entries in record.contests.items():
        product, copy = (
            next((entry for entry in entries if entry.who == MACHINE and getattr(entry, kind)), None)
            for kind in ("flops", "traffic")
        )
        bare = [entry for entry in entries if entry.who == BARE]
        if product is None or copy is None or len(bare) != 2:
            continue
        gradient, forward = bare
        work = work_of(gradient)
        roofs = [
            work.seconds((product.flops or 0) / compute, (copy.traffic or 0) / move)
            for compute, move in zip(product.seconds, copy.seconds, strict=True)
        ]
        found.append(
            BareModel(
                contest.partition(", ")[2],
                gradient,
                forward,
                (product.flops or 0) / product.time.median,
                (copy.traffic or 0) / copy.time.median,
                ratio(roofs, gradient.seconds),
            )
        )
    return found


def method_costs(record: Record) -> list[MethodCost]:
    """Each method at each batch, in the order measured."""
    return [
        MethodCost(*contest.partition(", ")[::2], entries[0], record.relative(entries[0], BARE))
        for contest, entries in record.contests.items()
        if entries[0].who == OURS
    ]
