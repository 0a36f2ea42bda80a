"""A record beside a stored one: slower, faster or the same, in units that both machines have."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from probatum.benchmarks.config import BenchConfig
from probatum.benchmarks.contest import BARE
from probatum.benchmarks.record import OURS, Entry, Record, read_records
from probatum.benchmarks.timing import Spread
from probatum.errors import InvalidInput, ProbatumError
from probatum.runs.files import read_json, reading, write_json
from probatum.runs.plain_values import parse_dataclass
from probatum.runs.remote import opened

TOLERANCE = 0.1  # a change smaller than this is none, however certain
LEAST_WINDOWS = 5  # with fewer, the interval of a median says nothing
_RESAMPLES = 2000
_SAME = ("model", "weights", "batch", "methods", "input_size", "mean", "std", "quick", "seed")  # of both configurations
_MACHINE = ("device", "device_type", "processor", "threads")
_DEFAULTS: dict[str, Any] = {name: getattr(BenchConfig(), name) for name in _SAME}


class Regression(ProbatumError):
    """A measured time is certainly longer than the stored one."""


Word = Literal["slower", "faster", "same", "open"]


@dataclass(frozen=True)
class Change:
    """How the time of one entry of probatum changed.

    Args:
        suite: its suite.
        contest: what is done.
        name: who does it, and how.
        unit: of the times: "bare", or "seconds" where there is no bare model beside it and the machine is the same.
        before: time in the stored record, in these units.
        now: likewise.
        low: lower end of the 95 % interval of now ÷ before.
        ratio: of the medians, now ÷ before.
        high: upper end.
        windows: of the record that has fewer.
    """

    suite: str
    contest: str
    name: str
    unit: str
    before: float
    now: float
    low: float
    ratio: float
    high: float
    windows: int

    @property
    def word(self) -> Word:
        """Slower or faster where the interval excludes 1 and the change is larger than the tolerance."""
        if self.windows < LEAST_WINDOWS:
            return "open"
        if self.low > 1 and self.ratio > 1 + TOLERANCE:
            return "slower"
        return "faster" if self.high < 1 and self.ratio < 1 / (1 + TOLERANCE) else "same"

    def __str__(self) -> str:
        unit = "× bare" if self.unit == BARE else "s"
        return (
            f"{self.contest}, {self.name}: {self.ratio:.2f} times the stored time [{self.low:.2f}, {self.high:.2f}] "
            f"({self.before:.3g} then, {self.now:.3g} {unit} now)"
        )


def read_stored(place: str) -> tuple[Record, ...]:
    """The records of a file, or of a folder of `probatum bench`; InvalidInput where there are none."""
    with opened(place) as path:
        return read_records(path / "record.json" if path.is_dir() else path)


def require_comparable(suites: Sequence[str], config: Mapping[str, Any], stored: Sequence[Record]) -> None:
    """Raises InvalidInput unless stored records hold the suites, and were asked for the same model, batches and so on.

    Args:
        suites: that are to be measured.
        config: `BenchConfig.to_json` of what is to be measured.
        stored: records to compare with.
    """
    there = {record.suite: record for record in stored}
    missing = [name for name in suites if name not in there]
    if missing:
        raise InvalidInput(
            f"the stored record has no suite {', '.join(missing)}, it has {', '.join(there)}; measure one of these"
        )
    for suite in suites:
        old = _DEFAULTS | dict(there[suite].config)
        for name in _SAME:
            before, now = _plain(old[name]), _plain(config[name])
            if before != now:
                raise InvalidInput(
                    f"the stored record of {suite} was made with {name} {_shown(before)}, this one with {_shown(now)}; "
                    f"give the options of the stored record"
                )


def compare(records: Sequence[Record], stored: Sequence[Record]) -> tuple[list[Change], list[str]]:
    """Compares each entry of probatum with the same one of a stored record.

    Times are taken in units of the bare model of the same rounds. Where a contest has no bare model, seconds are
    compared if device, processor and threads are the same. The interval is a bootstrap over windows.

    Returns:
        a change for each entry that both have, and a line for each that only one has or that has no common unit.
    """
    there = {record.suite: record for record in stored}
    changes, lines = [], []
    for record in records:
        if record.suite not in there:
            lines.append(f"{record.suite} is not in the stored record")
            continue
        old = there[record.suite]
        before = {(entry.contest, entry.name): entry for entry in old.entries if entry.who == OURS and entry.seconds}
        now = {(entry.contest, entry.name): entry for entry in record.entries if entry.who == OURS and entry.seconds}
        lines += [f"{', '.join(key)}: only stored" for key in before if key not in now]
        lines += [f"{', '.join(key)}: not stored" for key in now if key not in before]
        for key in now:
            if key in before:
                change = _change(record, now[key], old, before[key])
                if change is None:
                    lines.append(f"{', '.join(key)}: no bare model beside it, and another machine")
                else:
                    changes.append(change)
    return changes, lines


def changes_file(folder: Path) -> Path:
    """Where a run keeps the changes against a stored record."""
    return folder / "changes.json"


def write_changes(folder: Path, changes: Sequence[Change], lines: Sequence[str]) -> None:
    """Writes what `compare` found into a run folder."""
    found = [asdict(change) | {"word": change.word} for change in changes]
    write_json(changes_file(folder), {"changes": found, "lines": list(lines)})


def read_changes(folder: Path) -> tuple[list[Change], list[str]]:
    """Reads what `write_changes` wrote; nothing where the run was not compared."""
    if not changes_file(folder).is_file():
        return [], []
    with reading(folder, "changes against a stored record"):
        values = read_json(changes_file(folder))
        plain = [{name: value for name, value in each.items() if name != "word"} for each in values["changes"]]
        return [parse_dataclass(Change, each, "change") for each in plain], [str(line) for line in values["lines"]]


def require_no_regression(folder: Path) -> None:
    """Raises Regression where a run folder holds a change for the worse."""
    slower = [str(change) for change in read_changes(folder)[0] if change.word == "slower"]
    if slower:
        raise Regression(f"slower than the stored record: {'; '.join(slower)}")


def _change(record: Record, now: Entry, old: Record, before: Entry) -> Change | None:
    ours, theirs = _in_bare(record, now), _in_bare(old, before)
    unit = BARE
    if ours is None or theirs is None:
        if any(record.environment.get(name) != old.environment.get(name) for name in _MACHINE):
            return None
        ours, theirs, unit = now.seconds, before.seconds, "seconds"
    low, middle, high = ratio_of_medians(ours, theirs)
    medians = float(np.median(theirs)), float(np.median(ours))
    windows = min(len(ours), len(theirs))
    return Change(record.suite, now.contest, now.name, unit, *medians, low, middle, high, windows)


def _in_bare(record: Record, entry: Entry) -> tuple[float, ...] | None:
    """Times of the windows in units of the bare model's of the same rounds."""
    bare = next((other for other in record.contests[entry.contest] if other.who == BARE), None)
    if bare is None or len(bare.seconds) != len(entry.seconds):
        return None
    return tuple(a / b for a, b in zip(entry.seconds, bare.seconds, strict=True))


def ratio_of_medians(over: Sequence[float], under: Sequence[float]) -> Spread:
    """The ratio of two medians with its 95 % percentile interval, of a bootstrap that draws windows of both.

    Source: Efron and Tibshirani, "An Introduction to the Bootstrap" (1993), chapter 13.
    """
    generator = np.random.default_rng(0)
    drawn = [
        np.median(generator.choice(np.asarray(values), (_RESAMPLES, len(values))), axis=1) for values in (over, under)
    ]
    low, high = np.percentile(drawn[0] / drawn[1], (2.5, 97.5))
    return Spread(float(low), float(np.median(over) / np.median(under)), float(high))


def _plain(value: Any) -> Any:
    """A value of a configuration as JSON has it; an empty list is unset."""
    return list(value) or None if isinstance(value, (list, tuple)) else value


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return ",".join(map(str, value))
    return "unset" if value is None else str(value)
