"""Gradients that a check spends on methods with a tolerance or a ceiling: counted by map, stored, and shown."""

from collections import Counter

from probatum.attributions import attribute
from probatum.experiments import read_run
from probatum.experiments.build import set_up
from probatum.experiments.check import run_check
from probatum.experiments.config import CheckConfig
from probatum.experiments.result import TRAINED
from probatum.terminal.summaries import show_check

CONFIG = CheckConfig(
    images=5,
    weights="none",
    methods=("gradient", "integrated-gradients", "smoothgrad"),
    metrics=("spearman-abs",),
    tolerance=0.2,
    steps=31,
    ceiling=0.5,
    samples=20,
    keep_maps=0,
    device="cpu",
)


def test_what_each_map_took_is_stored_and_shown(tmp_path, capsys):
    result = run_check(CONFIG, tmp_path / "run")
    stages = 1 + len(result.stages)
    assert Counter(each.method for each in result.spent) == {
        "integrated-gradients": 5 * stages,
        "smoothgrad": 5 * (stages + 1),  # and the noise ceiling
    }
    assert all(each.enough == (each.figure <= 0.2) for each in result.spent if each.method == "integrated-gradients")
    assert all(each.enough == (each.figure >= 0.5) for each in result.spent if each.method == "smoothgrad")
    setup = set_up(CONFIG)
    method = setup.methods["integrated-gradients"]
    assert (method.steps, method.tolerance) == (31, 0.2)
    efforts = attribute(setup.model, setup.data.images, setup.targets, {"": method}).efforts[""]
    trained = [each.points for each in result.spent if each.stage == TRAINED and each.method == "integrated-gradients"]
    assert trained == efforts.points.tolist()
    run = read_run(tmp_path / "run")
    assert run.result.spent == result.spent
    show_check(run)
    shown = " ".join(capsys.readouterr().out.split())
    mean = sum(each.points for each in result.spent if each.method == "smoothgrad") / (5 * (stages + 1))
    assert f"SmoothGrad took {mean:.1f} gradients a map" in shown
