"""A kind of run is one definition: it is made, resumed, refused and finished like all others."""

import json

import pytest
import torch
from squares import SQUARES, Squares, SquaresRun

from probatum.errors import InvalidInput, UnknownName
from probatum.runs.kinds import execute, find_kind

CPU = torch.device("cpu")


def test_a_run_is_made_and_read_back_by_its_kind(tmp_path):
    drawn = []
    found = execute(SQUARES, Squares(4), tmp_path / "run", CPU, draw=drawn.append)
    assert found.tolist() == [0, 1, 4, 9]
    assert drawn == [tmp_path / "run"]
    facts = json.loads((tmp_path / "run" / "config.json").read_text())
    assert (facts["kind"], facts["config"]["count"], facts["sum"]) == ("squares", 4, 14)
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == ["config.json", "squares.npz"]
    kind = find_kind(tmp_path / "run", {"squares": SQUARES})
    assert kind.request(tmp_path / "run") == Squares(4)
    assert kind.load(tmp_path / "run").tolist() == [0, 1, 4, 9]
    with pytest.raises(UnknownName, match="squares"):
        find_kind(tmp_path / "run", {})


def test_an_interrupted_run_continues(tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(SquaresRun, "stop_at", 2)
        with pytest.raises(KeyboardInterrupt) as stopped:
            execute(SQUARES, Squares(4), tmp_path / "run", CPU)
    assert stopped.value.kept == f"2 of 4 cells are stored in {tmp_path / 'run'}"
    with pytest.raises(InvalidInput, match="not finished"):
        find_kind(tmp_path / "run", {"squares": SQUARES})
    with pytest.raises(InvalidInput, match="count: 4 -> 5"):
        execute(SQUARES, Squares(5), tmp_path / "run", CPU)
    assert execute(SQUARES, Squares(4), tmp_path / "run", CPU).tolist() == [0, 1, 4, 9]


def test_the_command_of_a_run_that_was_killed_when_all_was_written_ends_well(tmp_path):
    execute(SQUARES, Squares(4), tmp_path / "run", CPU)
    (tmp_path / "run" / "unfinished").mkdir()
    with pytest.raises(InvalidInput, match="exists already"):
        execute(SQUARES, Squares(5), tmp_path / "run", CPU)
    said = []
    assert execute(SQUARES, Squares(4), tmp_path / "run", CPU, say=said.append).tolist() == [0, 1, 4, 9]
    assert "is finished" in said[0]
    assert not (tmp_path / "run" / "unfinished").exists()
    with pytest.raises(InvalidInput, match="exists already"):
        execute(SQUARES, Squares(4), tmp_path / "run", CPU)
