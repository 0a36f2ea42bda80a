"""Kinds of runs, and the one sequence in which a run of any kind is made, resumed and finished."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar, runtime_checkable

import torch

from probatum.errors import InvalidInput, UnknownName
from probatum.progress import Progress, shows_progress
from probatum.runs.cells import CellStore
from probatum.runs.files import read_json, reading, write_json
from probatum.runs.identity import rounding_settings_of
from probatum.runs.ranks import ALONE, Ranks
from probatum.runs.remote import Folder, opened
from probatum.runs.resume import (
    Parts,
    RunInWork,
    Say,
    finish_leftover,
    finished_identity,
    requested,
    require_same,
    run_in_work,
)


@runtime_checkable
class Request(Protocol):
    """The question that a run answers."""

    @property
    def device(self) -> str:
        """A torch device, or "auto"."""

    @property
    def memory_budget(self) -> str | None:
        """For activations; None is the device's default."""


GIVEN = "given"  # in `config.json` of a run whose model was an object in Python: the model's class and what was called

Drawing = Callable[[str], None]
Draw = Callable[[Path, Drawing | None, Ranks], Iterable[Path]]

Asked = TypeVar("Asked", bound=Request)
Result = TypeVar("Result")


class Computation(ABC, Generic[Result]):
    """A run whose inputs are loaded; every process has its own."""

    cells = 0
    """How many cells the run has, for messages."""

    @property
    @abstractmethod
    def identity(self) -> Mapping[str, Any]:
        """Everything that determines the numbers, as JSON values."""

    @abstractmethod
    def compute(self, store: CellStore) -> None:
        """Computes and stores what is missing; each process its share."""

    @abstractmethod
    def result(self, store: CellStore) -> Result:
        """Puts together what is stored; called in the main process, when all is computed."""

    @abstractmethod
    def write(self, result: Result) -> Mapping[str, Any]:
        """Writes the result into the run folder; returns the facts that `config.json` holds besides the request."""


@dataclass(frozen=True)
class Kind(Generic[Asked, Result]):
    """A kind of run: "check", say. The rooms above give the functions that draw and show it.

    Args:
        name: stands in `config.json`.
        read: makes the request of the values of `config.json`.
        values: the other way round.
        prepare: loads what a request names.
        load: reads the result back from a finished folder.
        parts: the sub-folders of a run that are finished one after another, where it has such.
        draw: draws the figures and the page of a finished folder, a share of them in each process of the run; told the
            name of each before it is drawn. See `drawn_by_main`.
        page: makes the HTML page of a finished folder and the values of its `config.json`, where there is one.
        show: prints what a finished folder holds.
        document: describes it as JSON values.
        verify: raises ModelError where its results cannot be trusted.
        returns_finished: whether a finished run of the same identity is read back; else its folder is refused.
    """

    name: str
    read: Callable[[Mapping[str, Any]], Asked]
    values: Callable[[Asked], dict[str, Any]]
    prepare: Callable[[Asked, RunInWork], Computation[Result]]
    load: Callable[[Path], Result]
    parts: Callable[[Asked], Parts | None] = lambda request: None
    draw: Draw = lambda folder, progress, ranks: ()
    page: Callable[[Path, dict[str, Any]], str] | None = None
    show: Callable[[Path], None] = lambda folder: None
    document: Callable[[Path], dict[str, Any]] = lambda folder: {}
    verify: Callable[[Path], None] = lambda folder: None
    returns_finished: bool = False

    def request(self, folder: Path) -> Asked:
        """Reads what a finished folder was asked for.

        Raises:
            InvalidInput: the folder holds no run of this kind, one that is not finished, or one of a model that was
                given as an object, which no file names.
        """
        _require_facts(folder)
        with reading(folder, f"{self.name} of probatum"):
            values = read_json(folder / "config.json")
            if values["kind"] != self.name:
                raise InvalidInput(f"{folder} holds a run of the kind {str(values['kind'])[:60]!r}, not {self.name!r}")
            if GIVEN in values:
                model, call = (str(values[GIVEN][key])[:100] for key in ("model", "call"))
                raise InvalidInput(
                    f"the model of {folder} was given as an object, a {model}, which no file names; run it again in "
                    f"Python: probatum.{call}(model, images, folder, ...) with the settings of its config.json"
                )
            return self.read(values)

    def asked(self, request: Asked) -> dict[str, Any]:
        """The kind and the request as JSON values, by which runs are told apart."""
        return {"kind": self.name} | self.values(request)


def drawn_by_main(draw: Callable[[Path, Drawing | None], Iterable[Path]]) -> Draw:
    """The drawing of a kind whose processes do not share it: that of the main process."""
    return lambda folder, progress, ranks: draw(folder, progress) if ranks.is_main else ()


@shows_progress
def execute(
    kind: Kind[Asked, Result],
    request: Asked,
    folder: Folder,
    device: torch.device,
    *,
    progress: Progress | None = None,
    ranks: Ranks = ALONE,
    draw: Callable[[Path], object] | None = None,
    say: Say | None = None,
    weights: str | None = None,
) -> Result:
    """Makes a run of any kind in a folder, or what is left of one that was interrupted.

    Args:
        kind: of the run.
        request: what it is asked to do.
        folder: none, an empty one, or that of an unfinished run of the same request, or of a finished one where the
            kind returns that. An address in object storage is one, too: see `probatum.runs.remote`.
        device: of this process.
        progress: called with (done, in all, what is being done).
        ranks: the processes that share the work; all of them call this function.
        draw: called with the folder in every process when all results are there, before the run counts as finished.
        say: called with sentences about a run that continues.
        weights: hash that those of the model must have; None takes any.

    Raises:
        InvalidInput, ModelError: what the parts raise; the folder holds something else, or an unfinished run of another
            request; the model has other weights.
    """
    with opened(folder, ranks.size) as path:
        return _execute(kind, request, path, device, progress, ranks, draw, say, weights)


def _execute(
    kind: Kind[Asked, Result],
    request: Asked,
    folder: Path,
    device: torch.device,
    progress: Progress | None,
    ranks: Ranks,
    draw: Callable[[Path], object] | None,
    say: Say | None,
    weights: str | None,
) -> Result:
    """As `execute`, in a folder on this machine."""
    asked = kind.asked(request)
    if ranks.all_agree(not ranks.is_main or finish_leftover(folder, asked)):
        if say is not None:
            say(f"the run in {folder} is finished: all its results were written before it was stopped")
        return kind.load(folder)
    if kind.returns_finished and (stored := finished_identity(folder)) is not None:
        run = RunInWork(folder, ranks, device, rounding_settings_of(request.memory_budget, device), progress, say)
        require_same(folder, stored, dict(kind.prepare(request, run).identity), finished=True)
        return kind.load(folder)
    with run_in_work(
        folder, asked, request.memory_budget, device, ranks, kind.parts(request), progress=progress, say=say
    ) as work:
        computation = kind.prepare(request, work)
        found = computation.identity.get("weights")
        if weights is not None and found != weights:
            raise InvalidInput(
                f"the weights of the model are no longer those of the run: {weights[:12]} then, {str(found)[:12]} now; "
                "give its command again to compute a run with the new ones"
            )
        store = work.identify(dict(computation.identity), computation.cells)
        computation.compute(store)
        ranks.barrier()
        if ranks.is_main:
            result = computation.result(store)
            facts = computation.write(result)
            identity = {"identity": dict(computation.identity)} if kind.returns_finished else {}
            write_json(folder / "config.json", asked | dict(facts) | identity)
        ranks.barrier()
        if draw is not None:
            draw(folder)
            ranks.barrier()
        if ranks.is_main:
            work.finish()
        ranks.barrier()
    return result if ranks.is_main else kind.load(folder)


def _require_facts(folder: Path) -> None:
    """Raises InvalidInput where a folder holds a run that is not finished and has no `config.json` yet."""
    if requested(folder) is not None and not (folder / "config.json").is_file():
        raise InvalidInput(f"the run in {folder} is not finished; give its command again to continue it")


def kind_name(folder: Path) -> str:
    """The kind of the run in a folder, as its `config.json` says; InvalidInput where there is none."""
    _require_facts(folder)
    with reading(folder, "run of probatum"):
        return str(read_json(folder / "config.json")["kind"])


def find_kind(folder: Path, kinds: Mapping[str, Kind[Any, Any]]) -> Kind[Any, Any]:
    """The kind of the run in a folder, of those that there are.

    Raises:
        InvalidInput: the folder holds no finished run.
        UnknownName: its kind is none of these.
    """
    name = kind_name(folder)
    if name not in kinds:
        raise UnknownName("kind of run", name, kinds)
    return kinds[name]
