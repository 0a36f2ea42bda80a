"""The code of the pages about runs, verdicts and quality works on a run as the package writes it."""

import csv
from pathlib import Path

import numpy as np
import pytest
from docs.code_blocks import python_blocks
from nets import ConvNet, images, seeded
from PIL import Image

from probatum import models
from probatum.experiments import CheckConfig, read_run, run_check
from probatum.experiments.run_folder import CEILING_COLUMNS, COLUMNS
from probatum.models import load_model, model_spec

RUN = Path("runs/check-digits-basic_cnn")  # as the pages call it


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    top = tmp_path_factory.mktemp("pages")
    config = CheckConfig(images=3, weights="none", methods=("gradient", "smoothgrad"), samples=2, keep_maps=1)
    (top / RUN.parent).mkdir()
    run_check(config, top / RUN)
    return top


@pytest.fixture
def here(folder, monkeypatch):
    monkeypatch.chdir(folder)


def test_a_run_loads_with_numpy_and_pandas_alone(here):
    pytest.importorskip("pandas", reason="pandas is not installed")
    names = {}
    exec(python_blocks("runs.md")[0], names)
    result = read_run(RUN).result
    for method in result.methods:
        for metric in result.metrics:
            expected = result.of(method, metric)[-1].mean()
            assert names["table"].loc[method, metric] == pytest.approx(expected, rel=1e-12)
    assert tuple(names["scores"].columns) == COLUMNS
    assert names["scores"]["score"].dtype == np.float64
    np.testing.assert_array_equal(names["trained"], result.maps[names["image"]]["gradient"][0])
    assert len(names["randomized"]) == len(result.stages)


def test_a_run_loads_with_the_package(here):
    names = {}
    exec(python_blocks("runs.md")[1], names)
    assert names["result"].methods == ("gradient", "smoothgrad")


def test_a_check_keeps_its_cells(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    block = python_blocks("runs.md")[3].replace("samples=50", "samples=2").replace("trials=10", "trials=3")
    names = {"model": seeded(ConvNet), "images": images(2, (2, 16, 16))}
    exec(block, names)
    assert len(list((tmp_path / "cells").iterdir())) == 1 + 3
    assert names["result"].of("sg", "spearman").shape[1:] == (2, 3)


def test_a_model_at_hand_is_checked_into_a_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = {"model": seeded(ConvNet), "images": images(2, (2, 16, 16))}
    exec(python_blocks("runs.md")[2].replace("samples=50", "samples=2"), names)
    assert names["run"].result.of("sg", "spearman").shape[1:] == (2, 3)
    assert (tmp_path / "runs" / "ours" / "report.html").is_file()


@pytest.mark.parametrize("page", ["../README.md", "index.md"])
def test_the_first_block_runs_as_it_stands_but_for_its_sizes(page, tmp_path, monkeypatch):
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    (tmp_path / "FOLDER").mkdir()
    Image.fromarray(pixels).save(tmp_path / "FOLDER" / "one.png")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(models, "load_model", lambda name: load_model("resnet18", "none"))
    spec = model_spec("resnet18").with_inputs(64)
    monkeypatch.setattr(models, "model_spec", lambda name: spec)
    block = python_blocks(page)[0]
    for size, smaller in (
        ("limit=5", "limit=1"),
        ("steps=50", "steps=2"),
        ("samples=50", "samples=2"),
        ("SmoothGrad()", "SmoothGrad(samples=2)"),
        ("trials=3", "trials=1"),
    ):
        assert size in block
        block = block.replace(size, smaller)
    names = {}
    exec(block, names)
    assert names["maps"].shape == names["panel"]["ggc"].shape == (1, 3, 64, 64)
    assert names["result"].of("sg", "ssim").shape[1:] == (1, 1)


def test_a_preset_is_used_from_python():
    names = {"model": seeded(ConvNet), "images": images(2, (2, 16, 16))}
    exec(python_blocks("randomization.md")[0], names)
    assert names["result"].stages[0] == "conv1"  # from the input upwards


def test_verdicts_are_read_from_a_run(here):
    names = {}
    exec(python_blocks("verdicts.md")[0], names)
    assert names["lines"][0][:2] == ("gradient", "ssim")
    assert names["judgement"].broken == ()


def test_quality_of_two_methods():
    names = {"model": seeded(ConvNet), "images": images(2)}
    exec(python_blocks("quality.md")[0], names)
    assert names["result"].of("sg", "deletion").shape == (1, 2, 1)


def test_columns_on_the_page_are_those_of_the_files(here):
    text = (Path(__file__).parents[2] / "docs" / "runs.md").read_text(encoding="utf-8")
    columns = text.partition("## Other folders")[0]
    described = [line.split("`")[1] for line in columns.splitlines() if line.startswith("| `")]
    with open(RUN / "results.csv", newline="", encoding="utf-8") as file:
        assert next(csv.reader(file)) == described == list(COLUMNS)
    with open(RUN / "ceiling.csv", newline="", encoding="utf-8") as file:
        assert next(csv.reader(file)) == list(CEILING_COLUMNS)
