"""Two runs of the sanity check side by side: what both have in common, and what their settings differ in."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from probatum.errors import InvalidInput
from probatum.experiments.check import CHECK
from probatum.experiments.run_folder import Run, read_run
from probatum.experiments.verdicts import Judgement, judge
from probatum.runs.cells import CellStore
from probatum.runs.files import write_table
from probatum.runs.kinds import Computation, Kind, kind_name
from probatum.runs.remote import Folder, opened
from probatum.runs.resume import RunInWork
from probatum.storage import copy_whole, remove_folder

SIDES = ("first", "second")
COLUMNS = ("method", "first", "second", "first_value", "second_value", "metric")
_FILES = ("config.json", "results.csv", "chance.csv", "ceiling.csv", "failures.csv", "images.npz")
_COMPARED = ("config", "device", "model", "methods", "metrics", "randomization", "software")  # of config.json
_NONE = "–"  # a setting that has no value, or that a run of another version does not have
_LISTED = ("config.methods", "config.metrics")  # which are told method by method
_OF_MODEL = re.compile(
    r"model\.|config\.(model|weights|classes|train_images)$|randomization\.(stages|parameters|re-drawn|unused)"
    r"|methods\..*\.(layer|layout)$"
)
_COUNTED = ("targets", "draws", "dead draws", "training")  # of these: what follows from the rest


@dataclass(frozen=True, eq=False)
class RunPair:
    """Two checks that have methods and metrics in common.

    Args:
        first: a run.
        second: another.
    """

    first: Run
    second: Run

    def __post_init__(self) -> None:
        for name, common in (("method", self.methods), ("metric", self.metrics)):
            if not common:
                raise InvalidInput(f"{self.first.folder} and {self.second.folder} have no {name} in common")

    @property
    def methods(self) -> tuple[str, ...]:
        """Those of both runs."""
        return tuple(name for name in self.first.result.methods if name in self.second.result.methods)

    @property
    def metrics(self) -> tuple[str, ...]:
        """Those of both runs."""
        return tuple(name for name in self.first.result.metrics if name in self.second.result.metrics)

    @property
    def images(self) -> tuple[str, ...]:
        """The images whose maps both runs kept."""
        return tuple(name for name in self.first.result.maps if name in self.second.result.maps)

    @cached_property
    def judgements(self) -> tuple[Judgement, Judgement]:
        """The verdicts of both."""
        return judge(self.first.result), judge(self.second.result)

    @property
    def changed(self) -> tuple[str, ...]:
        """The methods whose verdicts differ."""
        first, second = self.judgements
        return tuple(name for name in self.methods if first.summary(name).word != second.summary(name).word)

    @property
    def other_model(self) -> bool:
        """True if the runs examine different models, or different weights of one."""
        first, second = (run.config["model"] for run in (self.first, self.second))
        return any(first.get(fact) != second.get(fact) for fact in ("name", "title", "weights_sha256"))

    @property
    def settings(self) -> list[tuple[str, str, str]]:
        """The differences that follow from no other: not those of another model, or of a method in one run alone."""
        chosen = {
            (name.removeprefix("config."), *values) for name, *values in self.differences if name.startswith("config.")
        }
        return [
            (name, first, second)
            for name, first, second in self.differences
            if not self._follows(name)
            and (name.startswith("config.") or (name.rpartition(".")[2], first, second) not in chosen)
        ]

    def _follows(self, name: str) -> bool:
        part, _, rest = name.partition(".")
        common = {"methods": self.methods, "metrics": self.metrics}.get(part)
        if common is not None and not any(rest.startswith(f"{each}.") for each in common):
            return True
        return name in _LISTED or (self.other_model and _OF_MODEL.match(name) is not None)

    @cached_property
    def differences(self) -> list[tuple[str, str, str]]:
        """The settings that differ, each with its two values."""
        first, second = (_flat({name: run.config.get(name) for name in _COMPARED}) for run in (self.first, self.second))
        names = [name for name in dict.fromkeys((*first, *second)) if first.get(name, _NONE) != second.get(name, _NONE)]
        return [(name, first.get(name, _NONE), second.get(name, _NONE)) for name in names]


@dataclass(frozen=True)
class PairRequest:
    """Two run folders.

    Args:
        first: of a check.
        second: of another.
    """

    first: str
    second: str

    @property
    def device(self) -> str:
        """Nothing is computed on a device."""
        return "cpu"

    @property
    def memory_budget(self) -> None:
        """No activations are held."""

    def to_json(self) -> dict[str, Any]:
        """The request as the JSON values of `config.json`."""
        return {"runs": {"first": self.first, "second": self.second}}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "PairRequest":
        """Reads what `to_json` wrote; ValueError where it is not that."""
        folders = [values["runs"][side] for side in SIDES]
        if not all(isinstance(folder, str) for folder in folders):
            raise ValueError("its runs are no names of folders")
        return cls(*folders)

    def read(self) -> RunPair:
        """Reads both runs.

        Raises:
            InvalidInput: one is no finished check, or they have nothing in common.
        """
        with opened(self.first) as first, opened(self.second) as second:
            for folder in (first, second):
                if (kind := kind_name(folder)) != CHECK.name:
                    raise InvalidInput(
                        f"{folder} holds a run of the kind {kind[:60]!r}; two runs of {CHECK.name!r} compare"
                    )
            return RunPair(read_run(first), read_run(second))


class PairRun(Computation[RunPair]):
    """Two runs that are read.

    Args:
        request: names them.
        run: the folder that receives copies of their stored values.
    """

    def __init__(self, request: PairRequest, run: RunInWork) -> None:
        self._run, self._pair = run, request.read()

    @property
    def identity(self) -> dict[str, Any]:
        """The scores of both."""
        runs = zip(SIDES, (self._pair.first, self._pair.second), strict=True)
        return {side: hashlib.sha256((run.folder / "results.csv").read_bytes()).hexdigest() for side, run in runs}

    def compute(self, store: CellStore) -> None:
        """Everything was computed by the two runs."""

    def result(self, store: CellStore) -> RunPair:
        """The two runs."""
        return self._pair

    def write(self, result: RunPair) -> dict[str, Any]:
        """Copies what the figures need, so that the folder stands on its own, and writes `verdicts.csv`."""
        for side, run in zip(SIDES, (result.first, result.second), strict=True):
            place = self._run.folder / side
            remove_folder(place, ignore_errors=True)
            for path in (*(run.folder / name for name in _FILES), *sorted((run.folder / "maps").glob("*"))):
                if path.is_file():
                    copied = place / path.relative_to(run.folder)
                    copied.parent.mkdir(parents=True, exist_ok=True)
                    copy_whole(path, copied)
        write_table(
            self._run.folder / "verdicts.csv", COLUMNS, map(_row, [result] * len(result.methods), result.methods)
        )
        return {"changed": list(result.changed), "differences": [list(each) for each in result.differences]}


def read_pair(folder: Folder) -> RunPair:
    """Reads the two runs of a folder that `probatum compare` made; InvalidInput where it is not whole."""
    with opened(folder) as path:
        RUN_PAIR.request(path)
        return RunPair(*(read_run(path / side) for side in SIDES))


def _row(pair: RunPair, method: str) -> tuple[object, ...]:
    first, second = (judgement.summary(method) for judgement in pair.judgements)
    return method, first.word, second.word, first.leading.value, second.leading.value, first.leading.metric


def _flat(values: Any, name: str = "") -> dict[str, str]:
    """Nested settings as names with dots and values in words."""
    if values is None:
        return {name: _NONE}
    if not isinstance(values, dict):
        return {name: ", ".join(map(str, values)) if isinstance(values, list) else str(values)}
    found: dict[str, str] = {}
    for key, value in values.items():
        if key not in _COUNTED:
            found |= _flat(value, f"{name}.{key}".strip("."))
    return found


RUN_PAIR = Kind(
    "pair of checks",
    read=PairRequest.from_json,
    values=PairRequest.to_json,
    prepare=PairRun,
    load=read_pair,
)
"""Two checks side by side, as runs know them; rooms above draw and show them."""
