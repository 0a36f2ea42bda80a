"""A run folder while its run is in work: `unfinished/` holds what continuing needs, and vanishes last of all.

A run is finished when its folder has no `unfinished/run.json`. Until then all other files may be incomplete; they are
written again.
"""

import fcntl
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from probatum.errors import InvalidInput, ProbatumError
from probatum.experiments.atomic import remove_scratch, sync
from probatum.experiments.cells import CellStore
from probatum.experiments.config import CheckConfig
from probatum.experiments.distributed import Ranks
from probatum.experiments.files import read_json, write_json
from probatum.experiments.identity import circumstances_of, differences, listed

STATE = "unfinished"


@dataclass(frozen=True)
class RunInWork:
    """A run folder in work, as one of its processes sees it.

    Args:
        folder: the run folder.
        ranks: the processes.
        circumstances: what `circumstances_of` found when the run began.
    """

    folder: Path
    ranks: Ranks
    circumstances: dict[str, int | None]

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
        if self.ranks.leads and "identity" not in facts:
            _write(self.state, facts | {"identity": identity, "cells": cells})
        self.ranks.wait()
        _require_same(self.folder, _facts(self.folder)["identity"], identity)
        return CellStore(self.state / "cells", json.dumps(identity, sort_keys=True))

    def finish(self) -> None:
        """Makes the run a finished one: removes what only continuing needs."""
        remove_scratch(self.folder)
        for path in [self.folder, *self.folder.rglob("*")]:
            if self.state not in (path, *path.parents):
                sync(path)
        (self.state / "run.json").unlink()
        sync(self.state)
        shutil.rmtree(self.state)


@contextmanager
def run_in_work(
    folder: Path, config: CheckConfig, device: torch.device, ranks: Ranks, **further: Any
) -> Iterator[RunInWork]:
    """Makes a run folder, or takes up the unfinished run in it.

    The block computes with as many threads as the run began with. Where an error ends it before anything was computed,
    nothing is left; else what was computed stays, and the error tells so, see `kept_by`.

    Args:
        folder: none, an empty one or that of an unfinished run.
        config: of the run.
        device: of this process.
        ranks: the processes; the first one makes the folder.
        further: other JSON values that determine what is asked for.

    Raises:
        InvalidInput: something else is at `folder`, another run is unfinished there, another process works on it,
            it cannot be written, or not all processes see it.
    """
    asked = json.loads(json.dumps({"config": config.to_json(), **further}))
    continued = asked_for(folder) is not None
    made = _begin(folder, asked) if ranks.leads else []
    with _locked(folder / STATE) if ranks.leads else nullcontext():
        try:
            if ranks.leads:
                remove_scratch(folder / STATE)
                if asked_for(folder) is None:
                    _write(folder / STATE, asked | {"circumstances": circumstances_of(config, device)})
            ranks.require_shared(folder / STATE)
            work = RunInWork(folder, ranks, _facts(folder)["circumstances"])
            with _threads(work.circumstances["threads"]):
                yield work
        except BaseException as error:
            if ranks.leads and not kept_by(error):
                worth, computed = _kept(folder)
                # After a mistake a trained network alone is not worth a folder that refuses the corrected command.
                if not continued and (not worth or (isinstance(error, ProbatumError) and not computed)):
                    _take_back(folder / STATE, made)
                elif worth:
                    setattr(error, "kept", f"{worth} stored in {folder}")  # noqa: B010
            raise


def kept_by(error: BaseException) -> str:
    """What of a run is stored although this error ended it, in words; empty where nothing is."""
    return str(getattr(error, "kept", ""))


def _kept(folder: Path) -> tuple[str, bool]:
    """What of an unfinished run is stored, in words, and whether any of it is a result."""
    try:
        facts = _facts(folder)
    except InvalidInput:
        return "", False
    finished = len(list(folder.glob("*/results.csv")))
    if finished:
        return f"{finished} of {len(facts.get('presets', []))} checks are", True
    stored = len(list((folder / STATE / "cells").glob("[!.]*.npz")))
    if stored:
        return f"{stored} of {facts.get('cells', 'its')} cells are", True
    return ("the trained network is" if (folder / STATE / "weights.pt").exists() else ""), False


def begun(folder: Path, asked: dict[str, Any]) -> bool:
    """Whether a folder holds the unfinished run of what is asked for."""
    old = asked_for(folder)
    return old is not None and not differences(old, json.loads(json.dumps(asked)))


def is_finished(folder: Path) -> bool:
    """Whether a folder holds a run that needs nothing more."""
    return (folder / "config.json").is_file() and asked_for(folder) is None


def asked_for(folder: Path) -> dict[str, Any] | None:
    """What the unfinished run of a folder was asked to do; None where there is no unfinished run."""
    try:
        facts = _facts(folder)
    except InvalidInput:
        return None
    return {key: value for key, value in facts.items() if key not in ("identity", "circumstances", "cells")}


def _facts(folder: Path) -> dict[str, Any]:
    try:
        values = read_json(folder / STATE / "run.json")
        if not isinstance(values, dict) or not isinstance(values.get("config"), dict):
            raise InvalidInput("run.json says too little")
        found = values["circumstances"]["threads"], values["circumstances"]["memory_budget"]
        if any(not (value is None or (type(value) is int and value > 0)) for value in found):
            raise InvalidInput("run.json says no threads or memory budget that a run can have")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InvalidInput(f"{folder} holds no unfinished run of probatum: {error}") from error
    return values


def _begin(folder: Path, asked: dict[str, Any]) -> list[Path]:
    """Makes the folder of a new run, or compares what its unfinished run was asked to do; the folders that are new."""
    state = folder / STATE
    old = asked_for(folder)
    if old is not None:
        _require_same(folder, old, asked)
        return []
    # A folder of nothing but the state is that of a run which was killed before it said what it is.
    if folder.exists() and not (folder.is_dir() and {path.name for path in folder.iterdir()} <= {STATE}):
        if (folder / "config.json").exists():
            shutil.rmtree(state, ignore_errors=True)  # of a run that was killed when it was finished
        raise InvalidInput(f"{folder} exists already; choose another --out, or remove it yourself")
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        (state / "cells").mkdir(parents=True, exist_ok=True)
        (state / "lock").touch()
    except OSError as error:
        _take_back(state, made)
        raise InvalidInput(f"the results cannot be written to {folder}: {error.strerror}") from error
    return made


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
    shutil.rmtree(state, ignore_errors=True)
    with suppress(OSError):  # somebody else may have put something there
        for folder in made:
            folder.rmdir()


def _require_same(folder: Path, old: dict[str, Any], new: dict[str, Any]) -> None:
    found = differences(old, new)
    if found:
        raise InvalidInput(
            f"{folder} holds an unfinished run that differs from this one ({listed(found)}); "
            "continue it as it began, or choose another --out"
        )


@contextmanager
def _locked(state: Path) -> Iterator[None]:
    """Keeps other commands away from a run in work; the system opens the lock of a process that was killed."""
    with open(state / "lock", "wb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InvalidInput(f"another process works on the run in {state.parent}; wait for it") from None
        except OSError:  # a file system without locks
            pass
        yield
