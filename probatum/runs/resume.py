"""A run folder while its run is in work: `unfinished/` holds what continuing needs, and vanishes last of all.

A run is finished when its folder has no `unfinished/run.json`. Until then all other files may be incomplete; they are
written again.
"""

import fcntl
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from probatum.errors import InvalidInput, ProbatumError
from probatum.progress import Progress
from probatum.runs.cells import CellStore
from probatum.runs.ended import FINISHED, saved_progress
from probatum.runs.files import read_json, reading, write_json
from probatum.runs.identity import differences, listed, rounding_settings_of
from probatum.runs.ranks import Ranks
from probatum.storage import remove_file, remove_folder, remove_scratch, sync_all

STATE = "unfinished"
_OWN = ("identity", "rounding_settings", "cells", "parts")  # in run.json, besides what was asked for

Say = Callable[[str], None]


@dataclass(frozen=True)
class Parts:
    """The parts of a run that are finished one after another, each in a sub-folder or a file of its own.

    Args:
        noun: for them all, such as "experiments".
        names: of the sub-folders or files.
    """

    noun: str
    names: tuple[str, ...]


@dataclass(frozen=True)
class RunInWork:
    """A run folder in work, as one of its processes sees it.

    Args:
        folder: the run folder.
        ranks: the processes.
        device: of this process.
        rounding_settings: what `rounding_settings_of` found when the run began.
        progress: called with (done, in all, what is being done).
        say: called with sentences about a run that continues.
    """

    folder: Path
    ranks: Ranks
    device: torch.device
    rounding_settings: dict[str, int | None]
    progress: Progress | None = None
    say: Say | None = None

    @property
    def memory_budget(self) -> int | None:
        """In bytes, where the run began with the device's default and keeps to it."""
        return self.rounding_settings["memory_budget"]

    @property
    def state(self) -> Path:
        """The folder of all that continuing needs."""
        return self.folder / STATE

    @property
    def weights(self) -> Path:
        """Where a network that was trained for the run is stored; the training's record lies beside it."""
        return self.state / "weights.pt"

    def identify(self, identity: dict[str, Any], cells: int = 0) -> CellStore:
        """States what determines the run, or compares it with what was stated when the run began.

        Args:
            identity: of `identity_of`.
            cells: how many the run has.

        Returns:
            the place of its cells.

        Raises:
            InvalidInput: the run began with another identity, or the leading process has another.
        """
        facts = _facts(self.folder)
        if self.ranks.is_main and "identity" not in facts:
            _write(self.state, facts | {"identity": identity, "cells": cells})
        self.ranks.barrier()
        require_same(self.folder, _facts(self.folder)["identity"], identity)
        return CellStore(self.state / "cells", json.dumps(identity, sort_keys=True))

    def finish(self) -> None:
        """Makes the run a finished one: removes what only continuing needs."""
        remove_scratch(self.folder)
        sync_all(self.folder)
        remove_file(self.state / "run.json")
        remove_folder(self.state)


@contextmanager
def run_in_work(
    folder: Path,
    asked: dict[str, Any],
    memory_budget: str | None,
    device: torch.device,
    ranks: Ranks,
    parts: Parts | None = None,
    *,
    progress: Progress | None = None,
    say: Say | None = None,
) -> Iterator[RunInWork]:
    """Makes a run folder, or takes up the unfinished run in it.

    The block computes with as many threads as the run began with. Where an error ends it before anything was computed,
    nothing is left; else what was computed stays, and the error tells so, see `saved_progress`.

    Args:
        folder: none, an empty one or that of an unfinished run.
        asked: the kind of the run and its request, as JSON values.
        memory_budget: that was asked for.
        device: of this process.
        ranks: the processes; the first one makes the folder.
        parts: of the run, for messages.
        progress: see `RunInWork`, like the next.
        say: see `RunInWork`.

    Raises:
        InvalidInput: something else is at `folder`, another run is unfinished there, another process works on it,
            it cannot be written, or not all processes see it.
    """
    asked = _plain(asked)
    state = folder / STATE
    made = _make(folder) if ranks.is_main else []
    with _locked(state) if ranks.is_main else nullcontext():
        continued = ranks.is_main and _take_up(folder, asked, made, _more(parts, memory_budget, device))
        try:
            ranks.require_shared(state)
            work = RunInWork(folder, ranks, device, _facts(folder)["rounding_settings"], progress, say)
            with _threads(work.rounding_settings["threads"]):
                yield work
        except BaseException as error:
            if ranks.is_main and not saved_progress(error):
                worth, computed = _kept(folder)
                # After a mistake a trained network alone is not worth a folder that refuses the corrected command.
                if not worth or (isinstance(error, ProbatumError) and not computed and not continued):
                    _take_back(state, made)
                else:
                    setattr(error, "kept", f"{worth} stored in {folder}")  # noqa: B010
            raise


def _kept(folder: Path) -> tuple[str, bool]:
    """Saved progress of a run, in words, and whether any of it is a result."""
    if is_finished(folder):
        return FINISHED, True
    try:
        facts = _facts(folder)
    except InvalidInput:
        return "", False
    parts = Parts(facts["parts"]["noun"], tuple(facts["parts"]["names"])) if facts.get("parts") else Parts("", ())
    if there := sum(_is_stored(folder, name) for name in parts.names):
        return f"{there} of {len(parts.names)} {parts.noun} are", True
    for name in parts.names:
        worth, computed = _kept(folder / name)
        if worth:
            return f"of {name}, {worth}", computed
    stored = len(list((folder / STATE / "cells").glob("[!.]*.npz")))
    if stored:
        return f"{stored} of {facts.get('cells') or 'its'} cells are", True
    return ("the trained network is" if (folder / STATE / "weights.pt").exists() else ""), False


def _is_stored(folder: Path, part: str) -> bool:
    """True if a part of an unfinished run has its sub-folder, or its file among what continuing needs."""
    whole = (folder / part).is_dir() and not (folder / part / STATE).exists()
    return whole or (folder / STATE / f"{part}.json").is_file()


def is_same_run(folder: Path, asked: dict[str, Any]) -> bool:
    """True if a folder holds the unfinished run of what is asked for."""
    old = requested(folder)
    return old is not None and not differences(old, _plain(asked))


def is_finished(folder: Path) -> bool:
    """True if a folder holds a run that needs nothing more."""
    return (folder / "config.json").is_file() and requested(folder) is None


def finished_identity(folder: Path) -> dict[str, Any] | None:
    """What determined the finished run in a folder; None where there is none, or one that does not tell."""
    if not is_finished(folder):
        return None
    with reading(folder, "run of probatum"):
        values = read_json(folder / "config.json")
        found = values.get("identity") if isinstance(values, dict) else None
        return found if isinstance(found, dict) else None


def require_same(folder: Path, old: dict[str, Any], new: dict[str, Any], *, finished: bool = False) -> None:
    """Compares what determined the run in a folder with what is asked for; InvalidInput names what differs."""
    found = differences(old, _plain(new))
    if found:
        what = "a finished run" if finished else "an unfinished run"
        way_out = "remove it yourself" if finished else "continue it as it began"
        raise InvalidInput(
            f"{folder} holds {what} that differs from this one ({listed(found)}); choose another folder, or {way_out}"
        )


def requested(folder: Path) -> dict[str, Any] | None:
    """Request of the unfinished run in a folder; None where there is no unfinished run."""
    try:
        facts = _facts(folder)
    except InvalidInput:
        return None
    return {key: value for key, value in facts.items() if key not in _OWN}


def finish_leftover(folder: Path, asked: dict[str, Any]) -> bool:
    """True if a folder holds the results of what is asked for, all written; what a kill left beside them is removed.

    A run that nothing was left of is not counted: its folder is refused, like any other that exists.
    """
    state = folder / STATE
    if state.is_symlink() or not state.is_dir() or requested(folder) is not None:
        return False
    try:
        stored = read_json(folder / "config.json")
        if not isinstance(stored, dict) or differences({key: stored.get(key) for key in asked}, _plain(asked)):
            return False
    except (OSError, ValueError):
        return False
    remove_folder(state, ignore_errors=True)
    return True


def _plain(asked: dict[str, Any]) -> dict[str, Any]:
    """JSON values as they come back from a file."""
    values: dict[str, Any] = json.loads(json.dumps(asked))
    return values


def _more(parts: Parts | None, memory_budget: str | None, device: torch.device) -> dict[str, Any]:
    """The facts of a run that begins, besides what it is asked for."""
    listed = None if parts is None else {"noun": parts.noun, "names": list(parts.names)}
    return {"parts": listed, "rounding_settings": rounding_settings_of(memory_budget, device)}


def _facts(folder: Path) -> dict[str, Any]:
    try:
        values = read_json(folder / STATE / "run.json")
        if not isinstance(values, dict) or not isinstance(values.get("kind"), str):
            raise InvalidInput("run.json says too little")
        parts = values.get("parts")
        if parts is not None and not all(isinstance(name, str) for name in (parts["noun"], *parts["names"])):
            raise InvalidInput("run.json has parts without names")
        found = values["rounding_settings"]["threads"], values["rounding_settings"]["memory_budget"]
        if any(not (value is None or (type(value) is int and value > 0)) for value in found):
            raise InvalidInput("run.json says no threads or memory budget that a run can have")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InvalidInput(f"{folder} holds no unfinished run of probatum: {error}") from error
    return values


def _make(folder: Path) -> list[Path]:
    """Makes the folder of a run that has none; the folders to remove where nothing comes of it."""
    state = folder / STATE
    if requested(folder) is None and folder.exists():
        # A folder of nothing but the state is that of a run which was killed before it said what it is.
        if not (folder.is_dir() and {path.name for path in folder.iterdir()} <= {STATE}):
            raise InvalidInput(f"{folder} exists already; choose another folder (--out), or remove it yourself")
    elif folder.exists():
        _refuse_links(folder)
        return [folder]
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        state.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        _take_back(state, made)
        raise InvalidInput(f"the results cannot be written to {folder}: {error.strerror}") from error
    _refuse_links(folder)
    return made


def _refuse_links(folder: Path) -> None:
    """Raises InvalidInput where something in a folder lies elsewhere: continuing writes and removes files."""
    for path in folder.rglob("*"):
        if path.is_symlink():
            raise InvalidInput(f"{path} is a link; a run is continued only in a folder that has none")


def _take_up(folder: Path, asked: dict[str, Any], made: list[Path], more: dict[str, Any]) -> bool:
    """True if the locked folder holds what is asked for, unfinished; else it becomes that of a new run.

    Raises:
        InvalidInput: it holds results of something else.
    """
    state, old = folder / STATE, requested(folder)
    if old is not None and (not differences(old, asked) or _kept(folder)[0]):
        require_same(folder, old, asked)
        remove_scratch(state)
        (state / "cells").mkdir(exist_ok=True)  # object storage holds no empty folder
        return True
    try:
        for path in state.iterdir():
            if path.is_dir():
                remove_folder(path)
            elif path.name != "lock":
                remove_file(path)
        (state / "cells").mkdir()
        _write(state, asked | more)
    except OSError as error:
        _take_back(state, made)
        raise InvalidInput(f"the results cannot be written to {folder}: {error.strerror}") from error
    return False


def _write(state: Path, facts: dict[str, Any]) -> None:
    write_json(state / "run.json", facts)


@contextmanager
def _threads(count: int | None) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _take_back(state: Path, made: list[Path]) -> None:
    remove_folder(state, ignore_errors=True)
    with suppress(OSError):  # somebody else may have put something there
        for folder in made:
            folder.rmdir()


@contextmanager
def _locked(state: Path) -> Iterator[None]:
    """Keeps other commands away from a run in work; the system opens the lock of a process that was killed."""
    try:
        handle = os.open(state / "lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise InvalidInput(f"the run in {state.parent} cannot be taken up: {error.strerror}; try again") from error
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InvalidInput(f"another process works on the run in {state.parent}; wait for it") from None
        except OSError:  # a file system without locks
            pass
        yield
    finally:
        os.close(handle)
