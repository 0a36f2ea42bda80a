"""Run folders in object storage: equal to those on a disk, also after an interruption at any change; clear refusals."""

import re
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import tiny_mlp
import torch
from squares import SQUARES, Squares

from probatum.cli import main
from probatum.errors import InvalidInput
from probatum.experiments import CheckConfig, read_run, run_check
from probatum.runs import remote
from probatum.runs.cells import Cell, CellStore
from probatum.runs.kinds import execute
from probatum.runs.ranks import Ranks
from probatum.runs.remote import RemoteCopy, opened
from probatum.storage import move_folder, write_whole

fsspec = pytest.importorskip("fsspec", reason="object storage needs the extra `storage`")
CPU = torch.device("cpu")


@pytest.fixture(params=["memory", "local"])
def store(request, tmp_path, monkeypatch):
    """The address of an empty place, in each file system of fsspec that needs no server."""
    monkeypatch.setattr(remote, "_copies", {})
    fsspec.filesystem("memory").store.clear()
    return "memory://bucket" if request.param == "memory" else f"local://{tmp_path}/bucket"


def contents(address):
    """All files below an address by name."""
    files, root = fsspec.url_to_fs(address)
    return {name.removeprefix(root): files.cat_file(name) for name in files.find(root)}


def on_disk(folder):
    return contents(f"local://{folder}")


def run(*words):
    with pytest.raises(SystemExit) as stop:
        main(list(map(str, words)))
    return stop.value.code or 0


class Disconnected(BaseException):
    """The machine is gone: nothing more happens at the address."""


def disconnect_after(patch, changes):
    """Lets so many changes happen at an address."""
    left = iter(range(changes))
    for name in ("put", "move", "remove"):
        change = getattr(RemoteCopy, name)

        def counted(copy, *paths, change=change, name=name):
            if name == "put" and copy._known.get(paths[0]) == remote._stamp(paths[0]):
                return
            if next(left, None) is None:
                raise Disconnected
            change(copy, *paths)

        patch.setattr(RemoteCopy, name, counted)


def draw(folder):
    write_whole(folder / "figure.txt", b"drawn")


def test_a_run_that_stops_after_any_change_ends_as_one_that_did_not(store, tmp_path, monkeypatch):
    expected = execute(SQUARES, Squares(1), tmp_path / "run", CPU, draw=draw)
    whole = on_disk(tmp_path / "run")
    changes = 0
    while True:
        address = f"{store}/{changes}/run"
        try:
            with monkeypatch.context() as patch:
                disconnect_after(patch, changes)
                found = execute(SQUARES, Squares(1), address, CPU, draw=draw)
            break
        except Disconnected:
            remote._copies.clear()  # the next process begins from what is at the address
            found = execute(SQUARES, Squares(1), address, CPU, draw=draw)
        assert (found == expected).all()
        assert contents(address) == whole
        changes += 1
    assert changes >= 8  # request, identity, cell, result, config.json, figure, and the removal of two things
    assert contents(address) == whole


def test_stored_cells_are_not_computed_again(store, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr("squares.SquaresRun.stop_at", 2)
        with pytest.raises(KeyboardInterrupt) as stopped:
            execute(SQUARES, Squares(4), f"{store}/run", CPU)
    assert remote.addressed(stopped.value.kept) == f"2 of 4 cells are stored in {store}/run"
    remote._copies.clear()
    with pytest.raises(InvalidInput, match=re.escape(f"{store}/run") + ".*count: 4 -> 5"):
        execute(SQUARES, Squares(5), f"{store}/run", CPU)
    computed, save = [], CellStore.save
    monkeypatch.setattr(CellStore, "save", lambda self, cell, arrays: computed.append(cell) or save(self, cell, arrays))
    execute(SQUARES, Squares(4), f"{store}/run", CPU)
    assert computed == [Cell(2, 3), Cell(3, 4)]


def test_a_folder_moves_with_its_last_file_last(store, tmp_path, monkeypatch):
    with opened(f"{store}/run") as folder:
        (folder / "scratch").mkdir(parents=True)
        for name in ("b", "c", "a"):
            write_whole(folder / "scratch" / name, name.encode())
        files, root = fsspec.url_to_fs(f"{store}/run")
        moved = []
        monkeypatch.setattr(type(files), "mv", lambda self, old, new: moved.append(new.removeprefix(root)))
        move_folder(folder / "scratch", folder / "results")
    assert moved == ["/results/b", "/results/c", "/results/a"]


def test_checks_are_run_again_drawn_again_and_compared(tmp_path, monkeypatch, capsys):
    for name, value in tiny_mlp.PLACES.items():
        monkeypatch.setattr(f"probatum.experiments.build.model.{name}", value)
    store = "memory://checks"
    config = CheckConfig(
        model="mlp", weights="none", images=2, methods=("gradient",), metrics=("cosine",), keep_maps=0, device="cpu"
    )
    result = run_check(config, f"{store}/first")
    run_check(config, tmp_path / "first")
    assert contents(f"{store}/first") == on_disk(tmp_path / "first")
    assert (read_run(f"{store}/first").result.scores == result.scores).all()
    run_check(replace(config, seed=1), f"{store}/second")

    assert run("rerun", f"{store}/first", "--out", f"{store}/again", "--quiet") == 0
    scores = contents(f"{store}/first")["/results.csv"]
    assert contents(f"{store}/again")["/results.csv"] == scores
    assert run("report", f"{store}/first") == 0
    assert f"{store}/first/report.html" in capsys.readouterr().out
    assert contents(f"{store}/first") == contents(f"{store}/again")

    assert run("compare", f"{store}/first", f"{store}/second", "--out", f"{store}/pair", "--json") == 0
    assert f'"folder": "{store}/pair"' in capsys.readouterr().out
    pair = contents(f"{store}/pair")
    assert pair["/first/results.csv"] == scores
    assert not any("unfinished" in name for name in pair)
    assert run("verdicts", "freeze", f"{store}/first") == 0
    assert "/verdicts.json" in contents(f"{store}/first")


def test_what_cannot_be_reached_is_refused_before_work_begins(tmp_path, monkeypatch):
    prepared = []
    squares = replace(SQUARES, prepare=lambda *words: prepared.append(words))

    def refused(address, *words, **settings):
        with pytest.raises(InvalidInput) as error:
            execute(squares, Squares(3), address, CPU, **settings)
        assert prepared == []
        assert all(word in str(error.value) for word in (*words, str(address))), error.value

    refused("nowhere://bucket/run", "nowhere")
    refused("memory://bucket/run", "2 processes", ranks=Ranks(0, 2))
    refused(Path("memory://bucket/run"), "Path")
    with monkeypatch.context() as patch:
        patch.setattr(remote, "_copies", {})
        patch.setitem(sys.modules, "fsspec.core", None)
        refused("s3://bucket/run", "probatum[storage]")
    with monkeypatch.context() as patch:
        patch.setattr(type(fsspec.filesystem("memory")), "find", lambda *_: (_ for _ in ()).throw(KeyError("no login")))
        refused("memory://bucket/run", "read", "no login")
    with monkeypatch.context() as patch:
        patch.setattr(
            type(fsspec.filesystem("memory")), "open", lambda *_: (_ for _ in ()).throw(PermissionError("no right"))
        )
        refused("memory://bucket/run", "written", "no right")


def test_names_at_an_address_do_not_lead_out_of_the_copy(store, tmp_path, monkeypatch):
    files, root = fsspec.url_to_fs(f"{store}/run")
    monkeypatch.setattr(type(files), "find", lambda *_: [f"{root}/../../outside"])
    with pytest.raises(InvalidInput, match="outside"), opened(f"{store}/run"):
        pass


def test_a_file_address_is_a_path(tmp_path):
    with opened(f"file://{tmp_path}/run") as folder:
        assert folder == tmp_path / "run"


def test_a_mirror_ignores_other_folders(store, tmp_path):
    with opened(f"{store}/run"):
        write_whole(tmp_path / "else", b"")
    assert contents(store) == {}
