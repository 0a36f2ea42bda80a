"""Frozen verdicts, the plugin of pytest that compares with them, and the card of a model."""

import json
import re
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from probatum.cli import main
from probatum.errors import InvalidInput
from probatum.experiments import CheckConfig, judge, read_run, run_check
from probatum.experiments.frozen import freeze, read_verdicts, write_verdicts
from probatum.report import card

pytest_plugins = ["pytester"]

ROOT = Path(__file__).parent.parent
# The plugin is loaded by its entry point where the installed package has it.
PLUGIN = [] if entry_points(group="pytest11", name="probatum") else ["-p", "pytest_probatum"]
CONFIG = CheckConfig(
    images=5, weights="none", methods=("gradient", "edge-detector"), metrics=("spearman",), keep_maps=0, device="cpu"
)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "run"
    run_check(CONFIG, folder)
    return read_run(folder)


@pytest.fixture
def stored(run, tmp_path):
    path = tmp_path / "verdicts.json"
    write_verdicts(freeze(run), path)
    return path


def test_frozen_verdicts_are_those_of_the_run(run, stored):
    frozen, judgement = read_verdicts(stored), judge(run.result)
    for method, verdict in frozen.verdicts.items():
        summary = judgement.summary(method)
        assert (verdict.word, verdict.metric) == (summary.word, summary.leading.metric)
        assert verdict.low == pytest.approx(summary.leading.low, abs=0)
    assert frozen.check_config() == CONFIG
    assert frozen.changes(judgement) == {}


@pytest.mark.parametrize(
    "damage", [{"verdicts": {}}, {"verdicts": {"gradient": {"word": "fine"}}}, {"config": 1}], ids=str
)
def test_damaged_verdicts_are_refused(damage, stored):
    stored.write_text(json.dumps(json.loads(stored.read_text()) | damage))
    with pytest.raises(InvalidInput):
        read_verdicts(stored)


def test_a_changed_verdict_fails_and_the_others_pass(stored, pytester):
    values = json.loads(stored.read_text())
    before = values["verdicts"]["gradient"]
    after = before["word"]
    before["word"] = "insensitive" if after == "sensitive" else "sensitive"
    stored.write_text(json.dumps(values))
    pytester.makepyfile("def test_own(): pass")
    done = pytester.runpytest_inprocess(*PLUGIN, "--probatum-verdicts", str(stored), "--probatum-out", "kept")
    done.assert_outcomes(passed=2, failed=1)
    shown = done.stdout.str()
    assert re.search(rf"gradient has changed: {before['word']}.* -> {after}", shown)
    assert "Traceback" not in shown
    assert (pytester.path / "kept" / "report.html").is_file()


def test_options_replace_the_settings_of_the_check(stored, pytester):
    arguments = ("--probatum-verdicts", str(stored), "--probatum-methods")
    done = pytester.runpytest_inprocess(*PLUGIN, *arguments, "gradient", "--probatum-images", "absent-folder")
    done.assert_outcomes(failed=1)
    assert "absent-folder" in done.stdout.str()
    done = pytester.runpytest_inprocess(*PLUGIN, *arguments, "grad-cam")
    assert "stored verdict" in done.stderr.str() + done.stdout.str()
    done = pytester.runpytest_inprocess(*PLUGIN, "--probatum-model", "mlp")
    assert "verdicts freeze" in done.stderr.str() + done.stdout.str()


def test_other_test_runs_import_nothing_of_the_package():
    script = "import sys, pytest_probatum; assert not {'torch', 'numpy', 'probatum'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", script], check=True, cwd=ROOT)


def test_the_terminal_writes_verdicts_and_a_card(run, tmp_path, capsys):
    for name, out in (("freeze", "v.json"), ("card", "docs")):
        with pytest.raises(SystemExit) as stop:
            main(["verdicts", name, str(run.folder), "--out", str(tmp_path / out)])
        assert not stop.value.code
    assert "edge-detector: insensitive" in capsys.readouterr().out
    assert read_verdicts(tmp_path / "v.json") == freeze(run)
    facts = json.loads((tmp_path / "docs" / "sanity-card.json").read_text())
    assert facts["verdicts"]["edge-detector"]["control"]
    picture = ElementTree.parse(tmp_path / "docs" / "sanity-card.svg").getroot()
    assert picture.get("aria-label") == f"{card.LABEL}: {facts['badge']}"
    assert picture[0].text == picture.get("aria-label")


def test_a_badge_counts_methods_without_controls_and_its_colors_can_be_read(run):
    assert re.fullmatch(r"1 (sensitive|undecided|insensitive)", card.badge_of(judge(run.result)).message)
    for color in (card.LABEL_COLOR, card.GOOD, card.OPEN, card.BAD, card.BROKEN):
        channels = np.array([int(color[place : place + 2], 16) for place in (1, 3, 5)]) / 255
        linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
        assert 1.05 / (linear @ [0.2126, 0.7152, 0.0722] + 0.05) >= 4.5  # WCAG 2.2, contrast with white
