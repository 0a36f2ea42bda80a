"""Options in a file: the command line wins, unknown keys and wrong values are named."""

import json
import sys

import pytest

from probatum.cli import main
from probatum.terminal import commands

TOML = """
methods = ["gradient", "edge-detector"]
images = 2
fold-batch-norm = true
memory_budget = "1 GiB"
[check]
trials = 3
quiet = true
[attribute]
target = 1
"""


@pytest.fixture
def asked(monkeypatch, tmp_path):
    """Runs a command line without its work, and gives what it was asked for."""
    monkeypatch.chdir(tmp_path)
    calls = []
    monkeypatch.setattr(commands, "run_checks", lambda *arguments: calls.append(arguments))

    def run(*words):
        with pytest.raises(SystemExit) as stop:
            main(["check", *map(str, words)])
        return stop.value.code or 0, calls[-1] if calls else None

    return run


@pytest.mark.skipif(sys.version_info < (3, 11), reason="TOML is read from Python 3.11 on")
def test_a_toml_file_gives_the_options_of_its_command(asked, tmp_path):
    (tmp_path / "options.toml").write_text(TOML)
    code, (config, *_, report) = asked("--config", "options.toml", "--images", 5)
    assert code == 0
    assert config.methods == ("gradient", "edge-detector")
    assert (config.images, config.trials, config.fold_batch_norm, config.memory_budget) == (5, 3, True, "1 GiB")
    assert report.quiet
    assert config.seed == 0


def test_a_json_file_does_too(asked, tmp_path):
    (tmp_path / "options.json").write_text(json.dumps({"data-dir": "DIR", "keep_maps": 1, "json": True}))
    _, (config, *_, report) = asked("--config", "options.json")
    assert (config.data_dir, config.keep_maps, report.as_json) == ("DIR", 1, True)


@pytest.mark.parametrize(
    ("content", "named"),
    [
        ({"methds": "gradient"}, "'methods'"),
        ({"config": "other.json"}, "config"),
        ({"images": "five"}, "whole number"),
        ({"images": True}, "whole number"),
        ({"images": 2.5}, "whole number"),
        ({"channels_last": 1}, "true or false"),
        ({"model": {"name": "mlp"}}, "text"),
        (["gradient"], "no table"),
    ],
    ids=str,
)
def test_mistakes_are_named(content, named, asked, tmp_path, capsys):
    (tmp_path / "options.json").write_text(json.dumps(content))
    assert asked("--config", "options.json") == (2, None)
    assert named in capsys.readouterr().err


@pytest.mark.parametrize("name", ["absent.toml", "torn.json", "torn.toml"])
def test_files_that_hold_nothing_are_named(name, asked, tmp_path, capsys):
    for torn in ("torn.json", "torn.toml"):
        (tmp_path / torn).write_text("{images = ")
    assert asked("--config", name) == (2, None)
    assert name in capsys.readouterr().err
