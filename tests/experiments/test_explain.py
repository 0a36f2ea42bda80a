"""Maps computed into a folder: block by block, continued, computed again from config.json."""

import json
import re
from dataclasses import replace

import numpy as np
import pytest
import tiny_mlp
from stopping import stop_at

from probatum.cli import main
from probatum.errors import InvalidInput, ProbatumError
from probatum.experiments import CheckConfig, run_check
from probatum.experiments.build import model as building
from probatum.experiments.explain import ATTRIBUTION, Request, explain

REQUEST = Request(
    CheckConfig(
        model="mlp",
        weights="none",
        train_images=50,
        images=33,
        methods=("gradient", "smoothgrad"),
        samples=2,
        device="cpu",
    ),
    ("digits",),
)


@pytest.fixture(autouse=True)
def _small(monkeypatch):
    for name, value in tiny_mlp.PLACES.items():
        monkeypatch.setattr(building, name, value)


@pytest.fixture
def untrained(monkeypatch):
    def never(*arguments, **named):
        raise AssertionError("it was trained first")

    monkeypatch.setattr(building, "train_once", never)


def contents(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_an_interrupted_run_continues_and_ends_as_one_that_was_not(tmp_path, monkeypatch):
    whole = explain(REQUEST, tmp_path / "whole")
    with monkeypatch.context() as patch:
        stop_at(patch, 3)
        with pytest.raises(KeyboardInterrupt) as stopped:
            explain(REQUEST, tmp_path / "run")
    assert stopped.value.kept == f"2 of 3 cells are stored in {tmp_path / 'run'}"
    said, told = [], []
    again = explain(REQUEST, tmp_path / "run", lambda *facts: told.append(facts), say=said.append)
    assert said == ["continuing: the maps of 32 of 33 images are there"]
    assert [done for done, _, _ in told] == sorted(done for done, _, _ in told)
    assert told[-1][0] == told[-1][1]
    assert contents(tmp_path / "run") == contents(tmp_path / "whole")
    for name, maps in whole.maps.items():
        np.testing.assert_array_equal(again.maps[name], maps)
    with pytest.raises(InvalidInput, match="exists already"):
        explain(REQUEST, tmp_path / "run")


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"methods": ("smoothgrad", "grad-cam"), "layer": "nowhere"}, "nowhere"),
        ({"memory_budget": "1 KiB"}, "memory budget"),
    ],
    ids=["layer", "budget"],
)
@pytest.mark.parametrize("run", [lambda config, folder: explain(Request(config, ("digits",)), folder), run_check])
def test_options_that_do_not_fit_are_found_before_the_training(run, options, named, tmp_path, untrained):
    with pytest.raises(ProbatumError, match=named):
        run(replace(REQUEST.config, weights="train", **options), tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("option", ["channels_last", "fold_batch_norm"])
def test_options_that_fit_lead_to_the_training(option, tmp_path, untrained):
    config = replace(REQUEST.config, weights="train", **{option: True})
    with pytest.raises(AssertionError, match="trained first"):
        explain(Request(config, ("digits",)), tmp_path / "run")


def test_a_target_out_of_range_is_found_before_the_training(tmp_path, untrained):
    with pytest.raises(InvalidInput, match="target 99"):
        explain(Request(replace(REQUEST.config, weights="train"), ("digits",), 99), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_another_request_is_refused_with_the_difference(tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        stop_at(patch, 2)
        with pytest.raises(KeyboardInterrupt):
            explain(REQUEST, tmp_path / "run")
    before = contents(tmp_path / "run")
    with pytest.raises(InvalidInput, match=re.escape("(target: None -> 3)")):
        explain(Request(REQUEST.config, REQUEST.sources, 3), tmp_path / "run")
    assert contents(tmp_path / "run") == before


def test_a_mistake_leaves_nothing(tmp_path):
    with pytest.raises(InvalidInput, match="target 10 is out of range"):
        explain(Request(REQUEST.config, REQUEST.sources, 10), tmp_path / "run")
    assert list(tmp_path.iterdir()) == []


def test_rerun_computes_the_same_maps_from_the_configuration(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    options = ["--model", "mlp", "--weights", "none", "--methods", "gradient,smoothgrad", "--samples", "2"]
    for words in (
        ["attribute", "digits", "--images", "3", "--target", "4", *options, "--out", "a"],
        ["rerun", "a", "--out", "b"],
    ):
        with pytest.raises(SystemExit) as stop:
            main(words)
        assert not stop.value.code
    assert contents(tmp_path / "a") == contents(tmp_path / "b")
    assert capsys.readouterr().out.count("report.html and the maps of 2 methods") == 2
    assert ATTRIBUTION.request(tmp_path / "a").target == 4
    stored = json.loads((tmp_path / "a" / "config.json").read_text())
    assert set(stored["software"]) == {"probatum", "python", "torch", "torchvision", "numpy"}


@pytest.mark.parametrize(
    "change",
    [{"sources": []}, {"sources": "digits"}, {"sources": [3]}, {"target": "4"}, {"target": True}, {"config": []}],
)
def test_a_folder_that_says_something_else_is_refused(change, tmp_path):
    explain(REQUEST, tmp_path / "run")
    path = tmp_path / "run" / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(InvalidInput, match=r"holds no attribution of probatum|settings of a check are"):
        ATTRIBUTION.request(tmp_path / "run")
