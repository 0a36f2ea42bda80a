"""Every command of the README is understood: its options exist, and so does what they name."""

import re
import shlex
from pathlib import Path

import pytest
import typer

from probatum import cli
from probatum.terminal import commands

README = Path(__file__).parents[2] / "README.md"
WORK = (
    "run",
    "draw_again",
    "run_again",
    "download_data",
    "train_network",
    "conform",
)  # what takes long, or needs files
NET = """
from torch import nn

preprocessing = {"input_size": 16, "mean": [0.5] * 3, "std": [0.25] * 3}


def make():
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))
"""


def command_lines() -> list[list[str]]:
    """The words after `probatum` of each line in a block of shell code."""
    found = []
    for block in re.findall(r"^```sh\n(.*?)^```$", README.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL):
        for line in block.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            if words and words[0] in ("probatum", "torchrun"):
                found.append(words[words.index("probatum") + 1 :])
    return found


LINES = command_lines()


def test_there_are_commands():
    assert len(LINES) > 10
    assert {"check", "attribute", "reproduce", "bench"} <= {words[0] for words in LINES}


@pytest.mark.parametrize("words", LINES, ids=" ".join)
def test_it_is_understood(words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.py").write_text(NET)
    (tmp_path / "FOLDER").mkdir()
    for name in ("FILE", "cat.jpg", "dog.jpg"):
        (tmp_path / name).touch()
    if words[0] == "verdicts":  # reads a run at once
        group = typer.main.get_command(cli.app).commands["verdicts"]
        group.commands[words[1]].make_context(words[1], words[2:])
        return
    done = []
    for name in WORK:
        monkeypatch.setattr(commands, name, lambda *_, name=name, **__: done.append(name))
    with pytest.raises(SystemExit) as stop:
        cli.main(words)
    assert not stop.value.code, capsys.readouterr().err
    assert done or words[0] in ("list", "info")
