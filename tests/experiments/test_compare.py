"""Several presets on one model: the methods under test are those given, and the tables those of single checks."""

import csv
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from nets import ConvNet, images, seeded

from probatum.attributions import EdgeDetector, Gradient, IntegratedGradients, SmoothGrad
from probatum.attributions.base import Method
from probatum.engine import Request
from probatum.errors import InvalidInput, UnknownName
from probatum.experiments import CheckConfig, compare, compare_presets, read_run, sanity_check, set_up
from probatum.experiments.build import set_up_again, smoothed
from probatum.experiments.check import CHECK, sanity_work
from probatum.experiments.compare import COMPARISON, ComparisonRequest, read_comparison
from probatum.randomization import PRESETS, Smoothing, automatic_stages, preset
from probatum.runs.kinds import kind_name

ALL = ("adebayo", "bottom-up", "smprt", "emprt", "random-logit")
CONFIG = CheckConfig(
    model="mlp",
    weights="none",
    images=3,
    methods=("gradient", "smoothgrad", "edge-detector"),
    samples=3,
    keep_maps=1,
    device="cpu",
    precision="float64",
)
CALLS = []


@dataclass(frozen=True)
class Constant(Method):
    """A map that is the same for every image and model, and notes that it was asked for."""

    title = "Constant"

    def request(self, prepared, images):
        return Request(self.value)

    @staticmethod
    def value(at):
        CALLS.append(len(at.points))
        return torch.ones_like(at.points)


@pytest.mark.parametrize("name", ["smprt", "emprt"])
def test_the_method_under_test_is_the_one_that_is_tested(name):
    CALLS.clear()
    net, x = seeded(ConvNet), images(3, (2, 24, 23))
    smoothing = preset(name).smoothing
    methods = {"constant": Constant(), "edges": EdgeDetector(), "gradient": Gradient()}
    if smoothing is not None:
        methods = {key: smoothed(method, replace(smoothing, samples=4)) for key, method in methods.items()}
    walk = preset(name).randomizer(net, automatic_stages(net, x))
    table = preset(name).metrics or ("spearman",)
    result = sanity_check(net, x, methods=methods, metrics=table, randomizer=walk)
    last = {method: result.of(method, table[0])[-1, :, 0] for method in methods}
    perfect = 0.0 if name == "emprt" else 1.0
    np.testing.assert_allclose(last["constant"], perfect, rtol=0, atol=1e-12)
    np.testing.assert_allclose(last["edges"], perfect, rtol=0, atol=1e-12)
    assert (np.abs(last["gradient"] - perfect) > 0.01).all()
    # The constant map is marked as one; the edges are none, although they too do not change.
    assert (result.constant[0] == 3).all()
    assert (result.constant[1:] == 0).all()
    if name == "smprt":  # the trained model under two seeds and each stage, 3 images, 4 samples
        assert sum(CALLS) == (2 + len(walk.stages)) * 3 * 4
        assert (result.ceiling[0] == 1).all()
        assert (result.ceiling[1:] < 1).all()
    else:
        assert sum(CALLS) == (2 + 1) * 3  # a method of one's own has its ceiling measured, too
        assert (result.ceiling[0] == perfect).all()
        assert np.isnan(result.ceiling[1:]).all()


def test_smoothing_averages_the_given_method_over_noisy_images():
    smoothing = Smoothing(samples=7, noise_fraction=0.3)
    assert smoothed(IntegratedGradients(steps=3), smoothing) == SmoothGrad(IntegratedGradients(steps=3), 7, 0.3)
    twice = smoothed(SmoothGrad(samples=2, noise_fraction=0.4, statistic="square"), smoothing)
    assert (twice.samples, twice.statistic, twice.method) == (7, "square", Gradient())
    assert twice.noise_fraction == pytest.approx(0.5, rel=1e-14)
    with pytest.raises(InvalidInput, match="VarGrad"):
        smoothed(SmoothGrad(statistic="variance"), smoothing)


def test_smoothgrad_of_smoothgrad_is_smoothgrad_with_the_variances_added():
    # On S = Σ a x³ the gradient 3 a x² has the expectation 3 a (x² + σ₁² + σ₂²).
    x = torch.full((1, 1, 1, 2), 2.0, dtype=torch.float64)
    x[..., 1] = 1.0  # a range of 1
    merged = smoothed(SmoothGrad(samples=1, noise_fraction=0.3), Smoothing(200_000, 0.4))

    class Cube(torch.nn.Module):
        def forward(self, values):
            return torch.stack([values.pow(3).flatten(1).sum(1), values.flatten(1).sum(1)], 1)

    found = merged(Cube(), x, 0, memory_budget="64 MiB", precision="float64")
    # Var(x²) = 4 x² σ² + 2 σ⁴ = 4.1 at x = 2: five standard errors of 200 000 samples are 3 · 5 · 2.03 / 447 = 0.07.
    torch.testing.assert_close(found[0, 0, 0, 0], torch.tensor(3 * (4 + 0.25)).double(), rtol=0, atol=0.07)


def test_a_preset_fixes_its_metrics_and_the_user_is_stronger():
    assert CheckConfig().chosen_metrics == ("ssim", "spearman", "spearman-abs", "hog-pearson")
    assert CheckConfig(preset="emprt").chosen_metrics == ("entropy-rise",)
    assert CheckConfig(preset="emprt", metrics=("ssim",)).chosen_metrics == ("ssim",)
    base = set_up(CONFIG)
    smooth = set_up_again(base, replace(CONFIG, preset="smprt"))
    assert smooth.model is base.model
    assert smooth.methods["gradient"] == SmoothGrad(Gradient(), 3, 0.1)
    assert set_up_again(base, replace(CONFIG, preset="smprt", samples=None)).methods["gradient"].samples == 50
    assert set_up_again(base, replace(CONFIG, preset="kokhlikyan")).trials == 10
    assert set_up_again(base, replace(CONFIG, preset="kokhlikyan", trials=2)).trials == 2
    assert set_up_again(base, replace(CONFIG, preset="emprt", order="cascading")).randomizer.order == "cascading"


def test_an_order_that_keeps_the_weights_goes_with_no_initializer():
    with pytest.raises(InvalidInput, match="'logit' keeps all weights"):
        CheckConfig(preset="random-logit", initializer="xavier")
    with pytest.raises(InvalidInput, match="'logit' keeps all weights"):
        CheckConfig(order="logit")
    assert CheckConfig(order="logit", initializer="identity").order == "logit"


@pytest.fixture(scope="module")
def compared(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "presets"
    folder.mkdir()
    seen = []
    return compare_presets(CONFIG, ALL, folder, lambda done, total, what: seen.append(what)), folder, seen


def test_the_model_is_made_once_and_every_preset_runs(compared, monkeypatch):
    comparison, _, seen = compared
    assert comparison.presets == ALL
    assert {what.split(":")[0] for what in seen} == set(ALL)
    made = []
    real = compare.set_up
    monkeypatch.setattr(compare, "set_up", lambda *args: made.append(args) or real(*args))
    assert compare_presets(replace(CONFIG, images=2), ("emprt", "random-logit")).presets == ("emprt", "random-logit")
    assert len(made) == 1


def test_each_preset_is_stored_as_the_run_that_it_is_alone(compared, tmp_path):
    _, folder, _ = compared
    for name in ALL:
        run = read_run(folder / name)
        assert CHECK.request(folder / name) == replace(CONFIG, preset=name)
        assert run.result.metrics[0] == ("entropy-rise" if name == "emprt" else "ssim")
        assert run.config["randomization"]["order"] == PRESETS[name].order
    alone = sanity_work(replace(CONFIG, preset="smprt"), set_up(replace(CONFIG, preset="smprt"))).result()
    np.testing.assert_allclose(alone.scores, read_run(folder / "smprt").result.scores, rtol=1e-12)
    facts = read_run(folder / "random-logit").config
    targets = [image["target"] for image in facts["data"]["images"]]
    assert all(one != other for one, other in zip(facts["randomization"]["targets"][0], targets, strict=True))
    assert read_run(folder / "adebayo").config["randomization"]["targets"] == [targets]


def test_a_comparison_is_read_back_from_its_runs(compared):
    comparison, folder, _ = compared
    assert COMPARISON.request(folder) == ComparisonRequest(CONFIG, tuple(ALL))
    assert kind_name(folder) == "comparison"
    assert kind_name(folder / "emprt") == "check"
    with pytest.raises(InvalidInput, match="no folder"):
        kind_name(folder / "nowhere")
    again = read_comparison(folder)
    assert again == comparison
    with pytest.raises(InvalidInput, match="not 'comparison'"):
        read_comparison(folder / "emprt")


def test_the_table_is_tidy(compared):
    comparison, folder, _ = compared
    with open(folder / "verdicts.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 3 * (4 * (4 + 1) + 2)
    decisive = [row for row in rows if not row["metric"]]
    assert [(row["preset"], row["method"]) for row in decisive] == [(p, m) for p in ALL for m in CONFIG.methods]
    for row in decisive:
        cell = comparison.cell(row["method"], row["preset"])
        assert row["verdict"] == cell.word
        assert float(row["value"]) == cell.leading.value or np.isnan(cell.leading.value)
        assert row["reason"] == cell.reason


def test_the_edge_detector_is_the_control_of_every_preset(compared):
    comparison, _, _ = compared
    for name in ALL:
        assert comparison.judgements[name].broken == ()
        assert comparison.cell("edge-detector", name).word == "insensitive"


@pytest.mark.parametrize(
    ("presets", "options", "error", "message"),
    [
        ((), {}, InvalidInput, "no preset"),
        (("emprt", "emprt"), {}, InvalidInput, "given twice"),
        (("emprd",), {}, UnknownName, "emprt"),
        (("adebayo", "emprt"), {"order": "cascading"}, InvalidInput, "would replace those of all presets"),
        (("adebayo", "emprt"), {"initializer": "xavier"}, InvalidInput, "would replace those of all presets"),
        (("adebayo", "smprt"), {"methods": ("vargrad",)}, InvalidInput, "VarGrad"),
    ],
)
def test_what_cannot_be_compared_is_refused_before_the_work(presets, options, error, message, monkeypatch):
    def never(*args, **options):
        raise AssertionError("the work began")

    monkeypatch.setattr(compare, "sanity_work", never)
    with pytest.raises(error, match=message):
        compare_presets(replace(CONFIG, **options), presets)
