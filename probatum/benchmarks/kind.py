"""Benchmarks as a run: suites measured one after another into a folder."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from probatum.benchmarks.compare import compare, read_stored, require_comparable, require_no_regression, write_changes
from probatum.benchmarks.config import BenchConfig
from probatum.benchmarks.record import Record, read_records, write_records
from probatum.benchmarks.run import run_suite
from probatum.benchmarks.suites import SUITES, get_suite
from probatum.benchmarks.tables import markdown
from probatum.errors import InvalidInput
from probatum.runs.cells import CellStore
from probatum.runs.identity import identity_of_software
from probatum.runs.kinds import Computation, Kind
from probatum.runs.plain_values import parse_dataclass
from probatum.runs.resume import Parts, RunInWork
from probatum.storage import write_whole

_TAKING_METHODS = ", ".join(name for name, suite in SUITES.items() if suite.methods)


@dataclass(frozen=True)
class BenchRequest:
    """Suites of benchmarks.

    Args:
        config: the options of all.
        suites: names, in the order measured.
        compare: a file of records, or a folder of another run, that the times are compared with; or None.
    """

    config: BenchConfig
    suites: tuple[str, ...]
    compare: str | None = None

    def __post_init__(self) -> None:
        if not self.suites or len(set(self.suites)) < len(self.suites):
            raise InvalidInput("give at least one suite, and each once")
        for name in self.suites:
            suite = get_suite(name)
            if len(self.config.batch) > 1 and not suite.batches:
                raise InvalidInput(f"the suite {name} takes one batch, not {','.join(map(str, self.config.batch))}")
            if self.config.methods and not suite.methods:
                raise InvalidInput(f"the suite {name} has methods of its own; --methods goes with {_TAKING_METHODS}")

    @property
    def device(self) -> str:
        """A torch device, or "auto"."""
        return self.config.device

    @property
    def memory_budget(self) -> None:
        """Each suite has its own."""

    def to_json(self) -> dict[str, Any]:
        """The request as the JSON values of `config.json`."""
        return {"config": asdict(self.config), "suites": list(self.suites), "compare": self.compare}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "BenchRequest":
        """Reads what `to_json` wrote; InvalidInput where it is not that."""
        suites = values["suites"]
        if not isinstance(suites, list) or not all(isinstance(name, str) for name in suites):
            raise InvalidInput("its suites are no names")
        compare = values.get("compare")
        if not (compare is None or isinstance(compare, str)):
            raise InvalidInput("the record to compare with is no path")
        return cls(parse_dataclass(BenchConfig, values["config"], "benchmark"), tuple(suites), compare)


class BenchRun(Computation[tuple[Record, ...]]):
    """Suites of benchmarks; what is measured stays, whatever ends the rest.

    Args:
        request: the suites.
        run: their folder.

    Raises:
        InvalidInput: the record to compare with cannot be read, or holds other suites, models or batches.
    """

    def __init__(self, request: BenchRequest, run: RunInWork) -> None:
        self._request, self._run = request, run
        self._compared_with = () if request.compare is None else read_stored(request.compare)
        if request.compare is not None:
            require_comparable(request.suites, request.config.to_json(), self._compared_with)

    @property
    def identity(self) -> dict[str, Any]:
        """Request and software."""
        return self._request.to_json() | identity_of_software(self._run.device, (".",))

    def compute(self, store: CellStore) -> None:
        """Measures the suites that are not stored, and writes the tables after each."""
        there = [name for name in self._request.suites if self._place(name).is_file()]
        if there and self._run.say is not None:
            self._run.say(f"continuing: of {len(self._request.suites)} suites {', '.join(there)} are there")
        for name in self._request.suites:
            if name not in there:
                record = run_suite(name, self._request.config, partial(self._report, name))
                write_records([record], self._place(name))
                self.write(self._stored())

    def result(self, store: CellStore) -> tuple[Record, ...]:
        """The records of all suites."""
        return self._stored()

    def write(self, result: tuple[Record, ...]) -> dict[str, Any]:
        """Writes the records and their tables."""
        write_records(result, self._run.folder / "record.json")
        write_whole(self._run.folder / "table.md", markdown(result).encode())
        if self._request.compare is not None:
            write_changes(self._run.folder, *compare(result, self._compared_with))
        return {}

    def _place(self, name: str) -> Path:
        return self._run.state / f"{name}.json"

    def _stored(self) -> tuple[Record, ...]:
        places = [self._place(name) for name in self._request.suites]
        return tuple(record for place in places if place.is_file() for record in read_records(place))

    def _report(self, name: str, what: str) -> None:
        """Passes on what a suite is doing; the minutes of the suites are the steps."""
        if self._run.progress is not None:
            minutes = [get_suite(each).minutes for each in self._request.suites]
            done = sum(minutes[: self._request.suites.index(name)])
            self._run.progress(done, sum(minutes), f"{name}: {what}")


BENCHMARK = Kind(
    "benchmark",
    read=BenchRequest.from_json,
    values=BenchRequest.to_json,
    prepare=BenchRun,
    load=lambda folder: read_records(folder / "record.json"),
    parts=lambda request: Parts("suites", request.suites),
    verify=require_no_regression,
)
"""Benchmarks, as runs know them."""
