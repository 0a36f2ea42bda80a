"""Kokhlikyan et al. 2021, figures 2 and 6 and table 1: the scores, the rules of the judges, the runs on tiny sizes."""

import csv
import json
from functools import cache

import numpy as np
import pytest
import torch
from attributions.unchecked import unchecked

from probatum.attributions import IntegratedGradients, SmoothGrad
from probatum.metrics.quality import Case, Infidelity
from probatum.models import TrainingConfig
from probatum.report import save_figure
from probatum.reproductions import PAPERS
from probatum.reproductions.base import Context, ReproductionConfig, store_arrays, stored_arrays, write_facts
from probatum.reproductions.kokhlikyan2021 import digits_cnn, local_methods, smooth, table1
from probatum.reproductions.kokhlikyan2021.judging import (
    geometric_mean,
    number,
    relative_responses,
    rising,
    span,
    unchanged,
)
from probatum.reproductions.kokhlikyan2021.quality import InfidelityShare
from probatum.reproductions.setting import Setting

TINY = digits_cnn.DigitSizes(120, 60, TrainingConfig(2, 20, 1e-3), TrainingConfig(1, 20, 1e-3))
STAGES = ["a", "b", "c", "d"]
IMAGES, TRIALS = 6, 2


@pytest.fixture(scope="module", autouse=True)
def _tiny():
    sizes = local_methods.MethodSizes(2, 1, 2, 2, "joint", 2, infidelity_samples=2)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(digits_cnn.SIZES, "quick", TINY)
        patch.setattr(smooth, "DIGIT_SIZES", smooth.SmoothSizes(images=2, trials=2, steps=2, samples=3, points=21))
        patch.setattr(table1, "DIGIT_SIZES", table1.TableSizes(images=2, trials=2, steps=2, samples=3))
        patch.setattr(local_methods, "DIGIT_SIZES", sizes)
        yield


@pytest.fixture(scope="module")
def computed(tmp_path_factory):
    """The folder of an experiment on digits, and what was told of its progress; computed once."""

    @cache
    def compute(module):
        folder, calls = tmp_path_factory.mktemp("digits"), []
        with unchecked():
            module.compute(Context(ReproductionConfig("kokhlikyan2021"), lambda *each: calls.append(each)), folder)
        return folder, calls

    return compute


def verdicts(findings):
    return {finding.claim.name: finding.verdict for finding in findings}


def failed(findings):
    return {name for name, verdict in verdicts(findings).items() if verdict == "not reproduced"}


def facts_of(folder, **change):
    common = {"setting": Setting().to_json(), "images": ["i"] * IMAGES, "trials": TRIALS, "stages": STAGES}
    write_facts(folder, **common | change)


def test_they_are_listed():
    names = [experiment.name for experiment in PAPERS["kokhlikyan2021"].experiments]
    assert {"figure2", "figure6", "table1"} <= set(names)


def test_the_presets_of_the_paper():
    assert (
        smooth.SmoothSizes(images=10, trials=10, steps=50, samples=50, points=401) == smooth.PHOTOGRAPH_SIZES["paper"]
    )
    assert table1.TableSizes(images=10, trials=10, steps=50, samples=50) == table1.PHOTOGRAPH_SIZES["paper"]
    assert (local_methods.PHOTOGRAPH_SIZES["paper"].images, local_methods.PHOTOGRAPH_SIZES["paper"].trials) == (10, 10)
    made = local_methods.methods(local_methods.PHOTOGRAPH_SIZES["paper"], "Mixed_7c")
    assert list(made) == list(local_methods.METHODS)
    assert made["ig"] == IntegratedGradients(50, multiply_by_inputs=False)
    assert made["ig-sg"] == SmoothGrad(made["ig"], samples=25)  # a whole path for each noisy image
    multiplied = [getattr(method, "multiply_by_inputs", False) for method in made.values()]
    assert not any(multiplied)
    assert made["guided-grad-cam"].layer == "Mixed_7c"
    assert [(v.activation, v.pooling) for v in smooth.VARIANTS] == [
        (None, None), ("softplus", None), (None, "logsumexp"), ("softplus", "logsumexp"),
    ]  # fmt: skip


# ---- scores and rules


@pytest.mark.parametrize("scale", [1.0, 30.0])
def test_the_share_of_the_response_is_free_of_its_scale(scale):
    weights = scale * torch.tensor([1.0, -2.0, 0.5]).double()
    images = torch.tensor([[1.0, 2.0, 3.0], [2.0, 1.0, 4.0]]).double()
    true = weights.expand(2, 3)
    maps = {
        "true": true,
        "zero": torch.zeros_like(images),
        "twice": 2 * true,
        "global": true * images,
        "half": true * images / 2,
    }
    local_or_global = {name: "global" if name in ("global", "half") else "local" for name in maps}

    def forward(points, image):
        return points @ weights

    case = Case(forward, lambda points, image: maps, images, maps, local_or_global, feature_dim=None)
    found = InfidelityShare(Infidelity(samples=20)).scores(case)
    expected = {"true": 0, "zero": 1, "twice": 1, "global": 0, "half": 0.25}
    for name, share in expected.items():
        torch.testing.assert_close(found[name], torch.full((2,), share).double(), atol=1e-12, rtol=1e-12)


def test_the_share_of_no_response_is_undefined():
    images, maps = torch.ones(1, 3), {"a": torch.ones(1, 3)}
    silent = Case(
        lambda points, image: torch.zeros(len(points)), lambda *_: maps, images, maps, {"a": "local"}, feature_dim=None
    )
    assert InfidelityShare(Infidelity(samples=2)).scores(silent)["a"].isnan().all()


def test_kinks_vanish_from_a_smooth_function_alone():
    shares = []
    for points in (401, 801):
        x = np.linspace(-1, 1, points)
        kinked = np.maximum(x - 0.3004, 0)  # slope 0, then 1: one jump of 1
        shares.append(smooth.kinks(np.stack([[x**2], [kinked], [np.zeros(points)]])))
    assert shares[1][0] == pytest.approx(shares[0][0] / 2, rel=0.01)
    jump = 0.3004 * 200 % 1  # where the kink lies between two of 401 points; its jump is shared between these
    assert shares[0][1] == pytest.approx((jump**2 + (1 - jump) ** 2) / (0.6996 / 2), rel=0.01)
    assert np.isnan(shares[0][2])  # a function that is constant has no slope to compare with


def test_a_rise_counts_from_the_stage_on_that_is_named():
    scores, names = np.ones((5, IMAGES, TRIALS)), ["original", *STAGES]
    scores[3:] = 4.0
    assert rising("infidelity", names, scores, 3).verdict == "reproduced"
    found = rising("infidelity", names, scores, 2)
    assert found.verdict == "not reproduced"
    assert ", b: 1.00" in found.ours  # the stage that misses it
    assert rising("infidelity", ["original", "c"], scores[[0, 3]], 3).verdict == "reproduced"  # of fewer the last
    assert unchanged("infidelity", names, scores).verdict == "not reproduced"
    assert unchanged("infidelity", names, scores**0.4).verdict == "reproduced"
    assert span(scores, 2) == "1 → 1 to 4"
    assert geometric_mean(np.array([1.0, 100.0, 0.0, np.nan])) == pytest.approx(10.0)
    assert np.isnan(geometric_mean(np.zeros(2)))


def test_numbers_are_short():
    assert [number(value) for value in (0.0, 12.3456, 2e-7, 123456.0)] == ["0", "12.3", "2.0e−07", "1.2e+05"]


# ---- figure 2


def store_smooth(folder, factors=(0.5, 0.5, 0.2), sensitivity=0.5, kinked=(1.0, 0.5, 0.5, 0.1), **change):
    scores = np.ones((4, 2, 3, 2, IMAGES, TRIALS))  # variant, method, metric, state, image, trial
    scores[1:, :, 0] = np.array(factors).reshape(3, 1, 1, 1, 1)
    scores[3, :, 1] = sensitivity
    x = np.linspace(-1, 1, 21)
    curves = np.array([x + height * np.abs(x - 0.3) for height in kinked])  # a kink of that height
    store_arrays(folder, scores=scores, profiles=np.broadcast_to(curves[:, None, None], (4, 2, 5, 21)))
    facts_of(folder, **{"same_class": [IMAGES] * 4, "sharpness": 10.0} | change)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, set()),
        ({"factors": (1.1, 0.5, 0.2)}, {"softplus-local", "softplus-global"}),
        ({"factors": (0.5, 1.0, 0.2)}, {"logsumexp-local", "logsumexp-global"}),
        ({"factors": (0.5, 0.5, 3.0)}, {"both-local", "both-global"}),
        ({"sensitivity": 1.01}, {"robust-local", "robust-global"}),
        ({"kinked": (0.2, 0.5, 0.1, 0.1)}, {"function-softplus"}),
        ({"kinked": (0.2, 0.1, 0.1, 0.2)}, {"function-both"}),
    ],
)
def test_each_claim_of_the_smooth_networks_can_hold_and_fail(change, expected, tmp_path):
    store_smooth(tmp_path, **change)
    findings = smooth.SMOOTH.judge(tmp_path)
    assert len(findings) == 11
    assert failed(findings) == {f"smooth-{name}" for name in expected}
    assert all("not given in the paper" in finding.notes for finding in findings)
    assert not any("predicted class" in finding.notes for finding in findings)


def test_a_network_is_as_smooth_as_its_predictions_allow():
    model = torch.nn.Sequential(torch.nn.Linear(1, 1), torch.nn.ReLU(), torch.nn.MaxPool1d(1), torch.nn.Linear(1, 2))
    with torch.no_grad():
        for parameter, values in zip(model.parameters(), ([[1.0]], [0.0], [[1.0], [0.0]], [0.0, 0.1]), strict=True):
            parameter.copy_(torch.tensor(values))
    # Below 0 the second class wins as long as log(1 + exp(β x)) / β stays under 0.1.
    images = torch.tensor([[-0.01], [1.0]])
    targets = model(images).argmax(1)
    assert targets.tolist() == [1, 0]
    assert smooth.chosen_sharpness(model, images, targets, None) == 10.0  # 0.064; at 5 it is 0.134
    assert smooth.chosen_sharpness(model, images, 1 - targets, None) == 50.0


def test_global_and_local_ig_are_judged_apart(tmp_path):
    store_smooth(tmp_path)
    with np.load(tmp_path / "arrays.npz") as stored:
        arrays = dict(stored)
    arrays["scores"][1, 0, 0, 0] = 2.0  # global IG with Softplus
    store_arrays(tmp_path, **arrays)
    assert failed(smooth.SMOOTH.judge(tmp_path)) == {"smooth-softplus-global"}


def test_a_smooth_network_that_predicts_otherwise_is_named(tmp_path):
    store_smooth(tmp_path, same_class=[6, 6, 4, 6])
    assert all("ReLU, LogSumExp 2 of 6" in finding.notes for finding in smooth.SMOOTH.judge(tmp_path))


# ---- table 1


def store_table(folder, place=np.s_[:0], score=0.0, **change):
    """The paper's pattern, with the scores at one place replaced."""
    scores = np.ones((2, 3, 1 + len(STAGES), IMAGES, TRIALS))  # method, metric, stage, image, trial
    scores[:, 0, 1], scores[:, 0, 3:] = 0.1, 100.0
    scores[0, 1] = 1.1
    scores[place] = score
    store_arrays(folder, scores=scores)
    facts_of(folder, **change)


@pytest.mark.parametrize(
    ("place", "score", "expected"),
    [
        (np.s_[:0], 0.0, set()),
        (np.s_[0, 0, 4], 0.9, {"table1-infidelity-rises-global"}),
        (np.s_[1, 0, 3], 1.0, {"table1-infidelity-rises-local"}),
        (np.s_[1, 0, 2], 0.01, set()),  # before the third layer
        (np.s_[1, 0, 1], 1.0, {"table1-first-layer-falls-local"}),
        (np.s_[0, 1, 2], 2.3, {"table1-sensitivity-unchanged-global"}),
        (np.s_[0, 1, 2], 1.0, {"table1-global-more-sensitive"}),
    ],
)
def test_each_claim_of_the_table_can_hold_and_fail(place, score, expected, tmp_path):
    store_table(tmp_path, place, score)
    findings = table1.TABLE1.judge(tmp_path)
    assert len(findings) == 7
    assert failed(findings) == expected


def test_infidelity_is_not_judged_where_the_response_fades(tmp_path):
    store_table(tmp_path, np.s_[1, 0, 4], 0.009)  # of local IG, with an unchanged share: 0.09 times the response
    found = {finding.claim.name: finding for finding in table1.TABLE1.judge(tmp_path)}
    open_ = {name for name, finding in found.items() if finding.verdict == "not comparable"}
    assert open_ == {"table1-infidelity-rises-local"}
    assert "at d responds 0.0949 times" in found["table1-infidelity-rises-local"].why
    assert "at a responds 0.316 times" in found["table1-first-layer-falls-local"].notes


def test_a_better_map_is_no_fading_response(tmp_path):
    store_table(tmp_path, np.s_[1, ::2, 4], 0.009)  # infidelity and its share
    assert failed(table1.TABLE1.judge(tmp_path)) == {"table1-infidelity-rises-local"}


def test_the_response_is_told_by_infidelity_and_its_share():
    power = np.array([4.0, 1.0, 0.0, 4e-8]).reshape(-1, 1, 1) * [[[1.0, 2.0]]]
    share = np.array([[[0.5, 2.0]], [[1.0, 30.0]], [[np.nan, np.nan]], [[1.0, 0.0]]])
    responses = relative_responses(np.nan_to_num(power * share), share)
    np.testing.assert_allclose(responses, [1, 0.5, 0, np.sqrt(4e-8 / 6)], rtol=1e-12)  # the last by one image alone


def test_a_stage_of_zero_maps_is_counted_and_proves_nothing(tmp_path):
    store_table(tmp_path, np.s_[:, :, 4], np.nan)
    findings = table1.TABLE1.judge(tmp_path)
    assert not failed(findings)
    open_ = {name for name, verdict in verdicts(findings).items() if verdict == "undecided"}
    assert {"table1-infidelity-rises-local", "table1-global-more-sensitive"} <= open_
    assert all("72 of 360 scores were undefined" in finding.notes for finding in findings)


# ---- figure 6


def store_methods(folder, quality=(np.s_[:0], 0.0), similarity=(np.s_[:0], 0.0), constant=0):
    count = len(local_methods.METHODS)
    scores = np.zeros((count, 2, len(STAGES), IMAGES, TRIALS))  # method, metric, stage, image, trial
    scores[list(local_methods.MODIFIED)] = 0.5
    scores[similarity[0]] = similarity[1]
    table = np.ones((count, 3, 1 + len(STAGES), IMAGES, TRIALS))
    table[:, 0, 3:] = 10.0
    table[quality[0]] = quality[1]
    codes = np.zeros((count, *scores.shape[2:]), dtype=np.int8)
    codes.flat[:constant] = 2
    store_arrays(
        folder, scores=scores, constant=codes, cross_image_similarity=np.zeros(scores.shape[:-1]), quality=table
    )
    facts_of(folder)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, set()),
        ({"similarity": (np.s_[2, 1, -1], 0.2)}, {"local-deeplift-sensitive"}),
        ({"similarity": (np.s_[2, 1, 0], 0.9)}, set()),  # before the last stage
        ({"similarity": (np.s_[7, 1, -1], 0.05)}, {"local-guided-grad-cam-fails"}),
        ({"quality": (np.s_[5, 0, 3], 0.9)}, {"local-infidelity-rises"}),
        ({"quality": (np.s_[5, 1, 1], 0.4)}, {"local-sensitivity-unchanged"}),
    ],
)
def test_each_claim_of_the_local_methods_can_hold_and_fail(change, expected, tmp_path):
    store_methods(tmp_path, **change)
    findings = local_methods.LOCAL_METHODS.judge(tmp_path)
    assert len(findings) == 10
    assert failed(findings) == expected


def test_undefined_scores_are_counted_and_left_out(tmp_path):
    store_methods(tmp_path, quality=(np.s_[0, 1, 2, 0], np.nan), constant=5)
    findings = local_methods.LOCAL_METHODS.judge(tmp_path)
    assert not failed(findings)
    assert all("5 of 384 comparisons had a constant map" in finding.notes for finding in findings)
    assert all("2 of 1440 scores were undefined" in finding.notes for finding in findings)


# ---- runs


def assert_drawn(experiment, folder, names):
    """All figures are there, and the main one has the same bytes when it is drawn again."""
    once, again = experiment.draw(folder), experiment.draw(folder)
    assert set(once) == names
    first, second = (save_figure(figures[""], folder / "figure")[0].read_bytes() for figures in (once, again))
    assert first == second


def stored(folder):
    facts = json.loads((folder / "facts.json").read_text())
    with np.load(folder / "arrays.npz") as arrays:
        return facts, dict(arrays)


def test_the_smooth_networks_on_digits(computed):
    folder, calls = computed(smooth)
    facts, arrays = stored(folder)
    assert arrays["scores"].shape == (4, 2, 3, 2, 2, 2)
    assert np.isfinite(arrays["scores"]).all()
    assert arrays["profiles"].shape == (4, 2, 5, 21)
    assert len(set(facts["dimensions"])) == 5
    rows, columns = np.unravel_index(facts["dimensions"], (28, 28))
    apart = np.maximum(abs(rows[:, None] - rows), abs(columns[:, None] - columns))
    assert apart[~np.eye(5, dtype=bool)].min() > 2  # a tenth of 28 pixels
    assert any(what.startswith("Softplus, LogSumExp") for _, _, what in calls)
    assert facts["same_class"][0] == 2
    names = {"", "randomized", "infidelity", "infidelity-share", "max-sensitivity"}
    assert_drawn(smooth.SMOOTH, folder, names)
    assert len(smooth.SMOOTH.judge(folder)) == 11


def test_the_table_on_digits(computed):
    folder, _ = computed(table1)
    facts, arrays = stored(folder)
    assert facts["stages"] == ["linear2", "linear1", "conv2", "conv1"]
    assert arrays["scores"].shape == (2, 3, 5, 2, 2)
    with (folder / "table1.csv").open(encoding="utf-8") as file:
        rows = list(csv.reader(file))
    assert [row[0] for row in rows[1:]] == ["Original", *facts["stages"]]
    means = arrays["scores"][:, :2].mean(axis=(3, 4))  # (method, metric, stage)
    np.testing.assert_allclose(np.array(rows[2][1:], dtype=float), means[:, :, 1].T.ravel(), rtol=1e-12)
    assert "basic CNN" in (folder / "table1.md").read_text(encoding="utf-8")
    assert_drawn(table1.TABLE1, folder, {"", "infidelity-share", "max-sensitivity"})
    assert len(table1.TABLE1.judge(folder)) == 7


def test_the_local_methods_on_digits(computed):
    folder, _ = computed(local_methods)
    facts, arrays = stored(folder)
    assert arrays["scores"].shape == (8, 2, 4, 2, 1)
    assert arrays["quality"].shape == (8, 3, 5, 2, 1)
    assert arrays["guided-grad-cam-abs-normalized"].shape == (5, 28, 28)
    assert facts["estimator"] == "joint"
    names = {"", "diverging", "infidelity", "infidelity-share", "max-sensitivity", "ssim", "spearman-abs"}
    assert_drawn(local_methods.LOCAL_METHODS, folder, names)
    assert len(local_methods.LOCAL_METHODS.judge(folder)) == 10


@pytest.mark.parametrize("module", [smooth, table1, local_methods], ids=["figure2", "table1", "figure6"])
def test_stored_parts_change_nothing(module, computed, whole_run, tmp_path):
    # Smooth networks share their weights and much of their text with the network that they were made from.
    plain = stored_arrays(computed(module)[0])
    for name in ("stored", "continued"):
        (tmp_path / name).mkdir()
        module.compute(Context(ReproductionConfig("kokhlikyan2021"), cells=tmp_path / "cells"), tmp_path / name)
        found = stored_arrays(tmp_path / name)
        assert found.keys() == plain.keys()
        for key, values in plain.items():
            np.testing.assert_array_equal(found[key], values)
