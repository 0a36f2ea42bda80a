"""Inputs are checked before any work, and the paper's own numbers name experiments."""

import shutil
from dataclasses import replace

import pytest
import torch
from matplotlib.figure import Figure
from PIL import Image
from torch import nn

from probatum.errors import InvalidInput, ModelError
from probatum.reproductions import PAPERS, ReproductionConfig, papers, read_findings, run_reproduction
from probatum.reproductions.base import Claim, Context, Experiment, Finding, Inputs, Paper
from probatum.reproductions.inputs import DATA, require_inputs
from probatum.reproductions.kokhlikyan2021.smooth import can_be_smoothed

CONFIG = ReproductionConfig("somebody2020", device="cpu", preset="paper")
computed = []


def experiment(name, **options):
    def compute(context, folder):
        computed.append((name, sorted(one for one in DATA if context.data_folder(one) is not None)))
        if len(computed) == 2:
            raise KeyboardInterrupt

    finding = Finding(Claim(name, name, "a claim", "more"), "1", "reproduced", "")
    return Experiment(name, name, compute, lambda folder: {"": Figure()}, lambda folder: [finding], **options)


@pytest.fixture
def paper(monkeypatch):
    experiments = (
        experiment("first", covers={"Figure 1": "", "Table 2.1": "*"}, inputs=Inputs(data=("MNIST",))),
        experiment("second", covers={"Figure 10": "*"}, inputs=Inputs(data=("FashionMNIST",))),
        experiment("third", covers={"Figure 1": "*"}, inputs=Inputs(photographs=True)),
    )
    paper = Paper("somebody2020", "On maps", "Somebody", experiments, "x")
    monkeypatch.setitem(papers.PAPERS, "somebody2020", paper)
    computed.clear()
    return paper


def test_all_that_is_missing_is_listed_before_any_work(paper, tmp_path):
    (tmp_path / "data" / "MNIST").mkdir(parents=True)
    config = replace(CONFIG, data_dir=str(tmp_path / "data"))
    with pytest.raises(InvalidInput, match=r"FashionMNIST/.*probatum download fashion-mnist.*photographs") as error:
        run_reproduction(config, tmp_path / "run")
    assert "download mnist" not in str(error.value)
    assert computed == []
    assert not (tmp_path / "run").exists()
    require_inputs(config, paper.chosen(("first",)))
    with pytest.raises(InvalidInput, match="nowhere"):
        require_inputs(replace(CONFIG, preset="quick", photographs="nowhere"), paper.experiments)
    Image.new("RGB", (8, 8)).save(tmp_path / "data" / "a.png")
    require_inputs(replace(config, photographs=str(tmp_path / "data")), paper.chosen(("third",)))


def test_a_network_that_lacks_what_an_experiment_changes_is_refused_before_any_work():
    def suits(model, image):
        assert model(image).shape == (1, 10)
        raise ModelError("it has no max-pooling")

    inputs = Inputs(networks=("basic_cnn",), suits=suits)
    with pytest.raises(InvalidInput, match=r"another network for fourth.*no max-pooling.*leave fourth out"):
        require_inputs(replace(CONFIG, model="basic_cnn", weights="none"), [experiment("fourth", inputs=inputs)])


def test_only_a_network_with_max_pooling_has_smooth_forms():
    convolution = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 36, 2))
    with pytest.raises(ModelError, match="max-pooling"):
        can_be_smoothed(convolution, torch.zeros(1, 3, 8, 8))
    can_be_smoothed(nn.Sequential(convolution[:2], nn.MaxPool2d(2), nn.Flatten()), torch.zeros(1, 3, 8, 8))


def test_data_that_is_added_later_neither_ends_a_run_nor_changes_it(paper, tmp_path):
    data = tmp_path / "data"
    (data / "MNIST").mkdir(parents=True)
    config = replace(CONFIG, preset="quick", data_dir=str(data))
    with pytest.raises(KeyboardInterrupt):
        run_reproduction(config, tmp_path / "run")
    (data / "FashionMNIST").mkdir()
    (data / "unknown").mkdir()
    said = []
    run_reproduction(config, tmp_path / "run", say=said.append)
    assert computed == [("first", ["MNIST"]), ("second", ["MNIST"]), ("second", ["MNIST"]), ("third", ["MNIST"])]
    assert any("without FashionMNIST" in sentence for sentence in said)
    assert [finding.experiment for finding in read_findings(tmp_path / "run")] == ["first", "second", "third"]


def test_data_that_changed_ends_a_run(paper, tmp_path):
    data = tmp_path / "data"
    shutil.copytree("tests/reproductions", data / "MNIST", ignore=lambda folder, names: names[1:])
    config = replace(CONFIG, preset="quick", data_dir=str(data))
    with pytest.raises(KeyboardInterrupt):
        run_reproduction(config, tmp_path / "run")
    (data / "MNIST" / "more").write_text("x")
    with pytest.raises(InvalidInput, match="MNIST: "):
        run_reproduction(config, tmp_path / "run")


def test_experiments_go_by_the_papers_numbers(paper):
    def names(*asked):
        return [one.name for one in paper.chosen(asked)]

    assert names("figure1") == ["first", "third"]
    assert names("Figure 10", "table2.1") == ["first", "second"]
    assert names("fig10") == ["second"]
    assert names() == ["first", "second", "third"]
    with pytest.raises(InvalidInput, match=r"'figure2'; choose from: first, figure1, table21, second, figure10"):
        names("figure2")


def test_the_papers_numbers_that_people_ask_for():
    def names(paper, *asked):
        return [one.name for one in PAPERS[paper].chosen(asked)]

    assert names("kokhlikyan2021", "figure10", "table2") == ["figure3"]
    assert names("kokhlikyan2021", "figure7", "table1") == ["table1", "data-randomization"]
    assert PAPERS["kokhlikyan2021"].chosen(("table2",))[0].numbers[:3] == ["Figure 3", "Figure 8", "Figure 9"]
    assert names("shin2021", "figure3") == ["figures3-4"]
    assert names("adebayo2018", "figure4") == ["imagenet", "cascading"]
    assert names("wienecke2021", "table 2.2") == ["table2_2"]
    assert {name for paper in PAPERS.values() for one in paper.experiments for name in one.inputs.data} <= {*DATA}


def test_a_preset_between_takes_what_it_has_and_else_the_quick_value():
    context = Context(replace(CONFIG, preset="cpu"))
    assert context.pick({"quick": 1, "cpu": 2, "paper": 3}) == 2
    assert context.pick({"quick": 1, "paper": 3}) == 1
    with pytest.raises(InvalidInput, match="'cpu' needs the folder MNIST"):
        context.data_folder("MNIST")
