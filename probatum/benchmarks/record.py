"""Results of a benchmark: every number with what determines it, in JSON that reads back as it was written."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from probatum.benchmarks.timing import Spread, ratio, spread
from probatum.errors import InvalidInput
from probatum.runs.files import read_json, write_json
from probatum.runs.plain_values import parse_dataclass

VERSION = 1  # of the JSON's form
OURS = "probatum"
PROCESS = "whole process, GiB"  # names the score of an entry that is the peak memory of its process
BOUND = 4  # GiB that a process of the suite `memory-large` may take: libraries, weights, and what the method takes
SHARES = "share retained by "  # begins the variant of an entry whose scores are shares of verdicts


@dataclass(frozen=True)
class Entry:
    """One contestant in one contest.

    Args:
        contest: what was to be done; contestants of one contest did the same work in the same rounds.
        who: "probatum", "bare" (the model alone, without any attribution code), "machine" (a matrix product or a copy)
            or a rival.
        variant: how it was called, in a few words.
        seconds: of one call, in each round.
        gradients: forward and backward passes of single points in one call, where that is what the call does.
        maps: attribution maps, or scores, that one call makes.
        flops: of one call, see `Work`.
        traffic: bytes that one call moves, likewise.
        error: of maps, the relative L2 distance from the float64 reference, the largest of all methods in the call; of
            scores, the largest difference.
        memory: bytes at the peak above those before the call.
        scores: other measurements by name.
        note: what a reader must know.
    """

    contest: str
    who: str
    variant: str = ""
    seconds: tuple[float, ...] = ()
    gradients: int | None = None
    maps: int | None = None
    flops: int | None = None
    traffic: int | None = None
    error: float | None = None
    memory: int | None = None
    scores: Mapping[str, float] = field(default_factory=dict)
    note: str = ""

    @property
    def name(self) -> str:
        """Who, and how."""
        return f"{self.who}, {self.variant}" if self.variant else self.who

    @property
    def time(self) -> Spread:
        """Median and quartiles of the seconds of one call."""
        return spread(self.seconds)

    def per_second(self, amount: int | None) -> float | None:
        """How many of a thing one call makes in a second of its median."""
        return amount / self.time.median if amount is not None and self.seconds else None


@dataclass(frozen=True)
class Record:
    """The result of a suite.

    Args:
        suite: its name.
        title: in words.
        config: what it was asked to do.
        environment: commit, versions, device, threads, date.
        entries: what was measured.
        lines: what was left out and why, and other remarks.
    """

    suite: str
    title: str
    config: Mapping[str, Any]
    environment: Mapping[str, Any]
    entries: tuple[Entry, ...]
    lines: tuple[str, ...] = ()

    @property
    def contests(self) -> dict[str, list[Entry]]:
        """The entries by contest, in the order measured."""
        grouped: dict[str, list[Entry]] = {}
        for entry in self.entries:
            grouped.setdefault(entry.contest, []).append(entry)
        return grouped

    def relative(self, entry: Entry, unit: str = OURS) -> Spread | None:
        """Time of an entry in units of the first entry of its contest by `unit`; None where there is no such pair."""
        other = next((other for other in self.entries if (other.contest, other.who) == (entry.contest, unit)), None)
        if other is None or not entry.seconds or len(entry.seconds) != len(other.seconds):
            return None
        return ratio(entry.seconds, other.seconds)

    def to_json(self) -> dict[str, Any]:
        """The record as plain JSON values."""
        values: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        return {"version": VERSION} | values

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "Record":
        """Reads what `to_json` wrote.

        Raises:
            InvalidInput: the values are no record, or one of another version.
        """
        if values.get("version") != VERSION:
            raise InvalidInput(f"this is no benchmark record of version {VERSION}")
        listed = values.get("entries")
        if not isinstance(listed, list):
            raise InvalidInput("the benchmark record has no list of entries")
        entries = tuple(parse_dataclass(Entry, entry, "benchmark's entry") for entry in listed)
        others = {name: value for name, value in values.items() if name not in ("version", "entries")}
        return parse_dataclass(cls, others | {"entries": entries}, "benchmark record")


def write_records(records: Sequence[Record], path: Path) -> None:
    """Writes records to a file."""
    write_json(path, [record.to_json() for record in records])


def read_records(path: Path) -> tuple[Record, ...]:
    """Reads a file of records; InvalidInput where it is none."""
    try:
        values = read_json(Path(path))
    except (OSError, ValueError) as error:
        raise InvalidInput(f"{path} cannot be read as benchmark records: {error}") from error
    if not isinstance(values, list) or not all(isinstance(value, dict) for value in values):
        raise InvalidInput(f"{path} holds no benchmark records")
    return tuple(Record.from_json(value) for value in values)
