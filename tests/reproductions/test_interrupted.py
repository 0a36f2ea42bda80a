"""A reproduction that is interrupted: what is kept, and that it ends as one that was not."""

import re
from dataclasses import replace

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from nets import ConvNet, seeded
from stopping import stop_at

from probatum.attributions import Gradient
from probatum.cli import main
from probatum.errors import InvalidInput
from probatum.experiments import sanity_check
from probatum.reproductions import ReproductionConfig, papers, read_reproduction, run_reproduction
from probatum.reproductions.base import Claim, Experiment, Finding, Paper, store_arrays, stored_arrays
from probatum.reproductions.run import MADE
from probatum.terminal import catalog

IMAGES = torch.linspace(-1, 1, 3 * 2 * 8 * 8, dtype=torch.float64).reshape(3, 2, 8, 8)
CONFIG = ReproductionConfig("somebody2020", device="cpu")
computed = []


def experiment(name):
    def compute(context, folder):
        computed.append(name)
        assert list(folder.iterdir()) == []
        result = sanity_check(
            seeded(ConvNet),
            IMAGES,
            methods={"gradient": Gradient()},
            metrics=("pearson",),
            trials=3,
            cells=context.cells,
        )
        store_arrays(folder, scores=result.scores)
        context.progress(1, 1, "done")

    def draw(folder):
        figure = Figure(figsize=(2, 1))
        figure.add_subplot().plot(np.ravel(stored_arrays(folder)["scores"]))
        return {"": figure}

    def judge(folder):
        return [
            Finding(Claim(name, name, "a claim", "more"), str(stored_arrays(folder)["scores"].mean()), "reproduced", "")
        ]

    return Experiment(name, f"of {name}", compute, draw, judge)


@pytest.fixture(autouse=True)
def _paper(monkeypatch):
    experiments = tuple(experiment(f"figure{number}") for number in (1, 2, 3))
    monkeypatch.setitem(papers.PAPERS, "somebody2020", Paper("somebody2020", "On maps", "Somebody", experiments, "x"))
    listed = catalog._catalog()["tables"]["papers"]
    monkeypatch.setitem(listed, "rows", [*listed["rows"], ["somebody2020", *[""] * (len(listed["columns"]) - 1)]])
    computed.clear()


def contents(folder):
    """All files but those of measured times."""
    files = (path for path in folder.rglob("*") if path.is_file() and path.name != MADE)
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def test_finished_experiments_and_stored_parts_stay(tmp_path, monkeypatch):
    findings = run_reproduction(CONFIG, tmp_path / "whole")
    computed.clear()
    with monkeypatch.context() as patch:
        stop_at(patch, 7)  # an experiment has 4 cells
        with pytest.raises(KeyboardInterrupt) as stopped:
            run_reproduction(CONFIG, tmp_path / "run")
    assert stopped.value.kept == f"1 of 3 experiments are stored in {tmp_path / 'run'}"
    assert computed == ["figure1", "figure2"]
    with pytest.raises(InvalidInput, match="is not finished; give its command again"):
        read_reproduction(tmp_path / "run")
    said = []
    with monkeypatch.context() as patch:
        seen = stop_at(patch, 100)
        assert run_reproduction(CONFIG, tmp_path / "run", say=said.append) == findings
    assert len(seen) == 2 + 4  # what was left of figure2, and figure3
    assert computed == ["figure1", "figure2", "figure2", "figure3"]
    assert said == ["continuing: of 3 experiments figure1 are there"]
    assert contents(tmp_path / "run") == contents(tmp_path / "whole")
    with pytest.raises(InvalidInput, match="exists already"):
        run_reproduction(CONFIG, tmp_path / "run")


def test_one_that_was_stopped_while_it_was_drawn_is_only_drawn(tmp_path, monkeypatch):
    run_reproduction(CONFIG, tmp_path / "whole")
    computed.clear()
    with monkeypatch.context() as patch:
        patch.setattr("probatum.reproductions.run.save_figure", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            run_reproduction(CONFIG, tmp_path / "run")
    assert len(computed) == 3
    run_reproduction(CONFIG, tmp_path / "run")
    assert len(computed) == 3
    assert contents(tmp_path / "run") == contents(tmp_path / "whole")


def test_another_configuration_is_refused_with_the_difference(tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        stop_at(patch, 6)
        with pytest.raises(KeyboardInterrupt):
            run_reproduction(CONFIG, tmp_path / "run")
    before = contents(tmp_path / "run")
    for change, said in ((({"seed": 4}), "seed: 0 -> 4"), ({"figures": ("figure2",)}, "figures: ")):
        with pytest.raises(InvalidInput, match=re.escape(said)):
            run_reproduction(replace(CONFIG, **change), tmp_path / "run")
    assert contents(tmp_path / "run") == before


def test_a_mistake_before_anything_was_computed_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(
        "probatum.experiments.sanity.SanityWork.result", lambda *_: (_ for _ in ()).throw(InvalidInput("no"))
    )
    with pytest.raises(InvalidInput, match="no"):
        run_reproduction(CONFIG, tmp_path / "a" / "run")
    assert list(tmp_path.iterdir()) == []


def test_the_terminal_says_how_to_continue_and_does(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    with monkeypatch.context() as patch:
        stop_at(patch, 6, OSError(28, "No space left on device"))
        with pytest.raises(SystemExit) as stop:
            main(["reproduce", "somebody2020", "--device", "cpu"])
    assert stop.value.code == 1
    assert (
        "1 of 3 experiments are stored in runs/somebody2020-quick: give the same command again"
        in capsys.readouterr().err
    )
    with pytest.raises(SystemExit):
        main(["reproduce", "somebody2020", "--device", "cpu"])
    shown = capsys.readouterr()
    assert "continuing: of 3 experiments figure1 are there" in shown.err
    assert "scorecard.md and all results are in runs/somebody2020-quick" in shown.out
    assert [path.name for path in (tmp_path / "runs").iterdir()] == ["somebody2020-quick"]
