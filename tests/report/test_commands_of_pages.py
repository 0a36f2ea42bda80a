"""The command line that a page gives makes the configuration of its run again."""

import shlex

import pytest

from probatum import cli
from probatum.experiments import CheckConfig
from probatum.report.html.words import command
from probatum.terminal import commands


@pytest.mark.parametrize(
    "config",
    [
        CheckConfig(on_refused="skip"),
        CheckConfig(methods=("gradient", "grad-cam"), metrics=("ssim",), layer="conv2", channels_last=True, trials=3),
        CheckConfig("a b", model="./net.py:make", weights="none", mean=(0.5,), std=(0.25,), on_refused="skip"),
    ],
)
def test_a_command_makes_its_configuration_again(config, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a b").mkdir()
    made = []
    monkeypatch.setattr(commands, "run", lambda kind, request, *rest, **more: made.append(request))
    with pytest.raises(SystemExit) as stop:
        cli.main(shlex.split(command("check", config.to_json()))[1:])
    assert not stop.value.code
    assert made == [config]
