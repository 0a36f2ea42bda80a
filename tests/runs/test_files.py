"""Tables that a spreadsheet may open, and weights on a disk that is full."""

import csv
import errno
import os

import pytest
from torch import nn

from probatum.models import save_checkpoint
from probatum.runs.files import read_table, write_table
from probatum.storage import remove_scratch, whole_file

NAMES = [
    *("=1+1", "+x", "-x", "@a", "\t=x", "'quoted", "''", "-", "plain", "\\", "\\u", "\\u202e", "\\u005c", "\\\\u005cu"),
    *("a\u202eb", "\u2066", "\u200f", "é", "-3", "-3.5e-7", "+1", "-inf"),
]


def test_no_cell_is_a_formula_or_turns_the_writing_and_all_are_read_back(tmp_path):
    write_table(tmp_path / "names.csv", ("name", "score"), [(name, -1.5) for name in NAMES])
    text = (tmp_path / "names.csv").read_text(encoding="utf-8")
    assert not set(text) & set("\u202e\u2066\u200f")
    with open(tmp_path / "names.csv", newline="", encoding="utf-8") as file:
        cells = [row["name"] for row in csv.DictReader(file)]
    for name, cell in zip(NAMES, cells, strict=True):
        assert not cell.startswith(("=", "@", "\t")), name
        assert not cell.startswith(("+", "-")) or float(cell) == float(name)
    rows = read_table(tmp_path / "names.csv", ("name", "score"))
    assert [row["name"] for row in rows] == NAMES
    assert {row["score"] for row in rows} == {"-1.5"}


@pytest.mark.parametrize("point", ["write", "fsync"])
def test_a_full_disk_leaves_the_old_weights_and_no_half_file(point, tmp_path, monkeypatch):
    path = tmp_path / "weights.pt"
    save_checkpoint(nn.Linear(2, 2), path)
    before = path.read_bytes()

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        if point == "fsync":
            patch.setattr(os, "fsync", full)
        else:
            patch.setattr("probatum.models.checkpoints.torch.save", full)
        with pytest.raises(OSError, match="No space"):
            save_checkpoint(nn.Linear(3, 3), path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_scratch_files_of_a_kill_while_weights_are_saved_are_removed(tmp_path):
    with whole_file(tmp_path / "weights.pt"):
        scratch = next(tmp_path.iterdir())
    scratch.write_bytes(b"half")  # as a kill leaves it
    remove_scratch(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["weights.pt"]
