"""Two checks side by side: what differs, what is refused, and a folder that stands on its own."""

import csv
import json
import shutil

import pytest

from probatum.cli import main
from probatum.experiments import CheckConfig, judge, read_run, run_check
from probatum.experiments.run_pair import read_pair


def run(*words):
    with pytest.raises(SystemExit) as stop:
        main(list(map(str, words)))
    return stop.value.code or 0


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    top = tmp_path_factory.mktemp("runs")
    common = {"images": 5, "weights": "none", "metrics": ("spearman",), "keep_maps": 1, "device": "cpu"}
    run_check(CheckConfig(methods=("gradient", "edge-detector"), **common), top / "before")
    run_check(CheckConfig(methods=("edge-detector", "gradient", "input-x-gradient"), seed=1, **common), top / "after")
    run_check(CheckConfig(methods=("input-x-gradient",), model="mlp", **common), top / "other")
    return top


def test_two_checks_side_by_side(runs, tmp_path, capsys):
    before, after = runs / "before", tmp_path / "after"
    shutil.copytree(runs / "after", after)
    assert run("compare", before, after, "--json", "--out", tmp_path / "pair") == 0
    found = json.loads(capsys.readouterr().out)
    shutil.rmtree(after)  # what follows needs the folder of the pair alone
    judged = [judge(read_run(runs / name).result) for name in ("before", "after")]
    with open(tmp_path / "pair" / "verdicts.csv", newline="") as file:
        rows = {row["method"]: row for row in csv.DictReader(file)}
    assert list(rows) == ["gradient", "edge-detector"]
    for method, row in rows.items():
        assert [row["first"], row["second"]] == [each.summary(method).word for each in judged]
    differing = {name: (first, second) for name, first, second in found["differences"]}
    assert differing["config.seed"] == ("0", "1")
    assert "config.images" not in differing
    pair = read_pair(tmp_path / "pair")
    assert pair.changed == tuple(found["changed"])
    page = (tmp_path / "pair" / "report.html").read_text()
    assert page.count("<figure") == 2  # one metric's curves, one image's maps
    assert "In the second run alone: Input × Gradient." in page
    assert "The models differ" in page
    shown = [name for name, _, _ in pair.settings]
    assert shown == ["config.seed"]  # nothing of the weights, which follow from it, or of the method in one run alone
    assert run("report", tmp_path / "pair") == 0
    assert (tmp_path / "pair" / "report.html").read_text() == page


def test_what_does_not_compare_is_refused(runs, tmp_path, capsys):
    assert run("compare", runs / "before", runs / "other", "--out", tmp_path / "none") == 2
    assert "no method in common" in capsys.readouterr().err
    (tmp_path / "maps").mkdir()
    (tmp_path / "maps" / "config.json").write_text('{"kind": "attribution"}')
    assert run("compare", runs / "before", tmp_path / "maps", "--out", tmp_path / "none") == 2
    assert "'attribution'" in capsys.readouterr().err
    assert run("compare", runs / "before", runs / "absent", "--out", tmp_path / "none") == 2
    assert not (tmp_path / "none").exists()
