"""What somebody at a Python prompt sees: a preset in one word, and results that print as short tables."""

import numpy as np
import pandas
import pytest
from nets import ConvNet, images, seeded

from probatum.attributions import Gradient, SmoothGrad
from probatum.errors import InvalidInput, UnknownName
from probatum.experiments import judge, quality_scores, sanity_check
from probatum.experiments.tables import Table
from probatum.randomization import PRESETS, Randomizer, Reset, automatic_stages

SHAPE = (2, 12, 12)
METHODS = {"gradient": Gradient(), "<b>": SmoothGrad(samples=2)}


@pytest.fixture(scope="module")
def net():
    return seeded(ConvNet)


@pytest.fixture(scope="module")
def result(net):
    return sanity_check(net, images(5, SHAPE), methods=METHODS, metrics=("pearson", "spearman"), trials=2)


def test_a_preset_in_one_word_is_the_papers_protocol(net):
    x = images(3, SHAPE)
    methods = {"sg": SmoothGrad(samples=2)}
    found = sanity_check(net, x, methods=methods, preset="emprt", seed=3)
    walk = PRESETS["emprt"].randomizer(net, automatic_stages(net, x), 3)
    expected = sanity_check(
        net, x, methods={"sg": SmoothGrad(samples=2)}, metrics=("entropy-rise",), randomizer=walk, seed=3
    )
    assert found.metrics == ("entropy-rise",)
    np.testing.assert_array_equal(found.scores, expected.scores)
    assert sanity_check(net, x, methods=["gradient"], preset="kokhlikyan").scores.shape[-1] == 10
    smooth = sanity_check(net, x, methods=["gradient"], preset="smprt", trials=1)
    assert smooth.stages[0] == walk.plan.stages[-1].name  # from the input up
    assert np.isfinite(smooth.ceiling).all()  # averaged over noise
    with pytest.raises(UnknownName, match="smprt"):
        sanity_check(net, x, methods=["gradient"], preset="smptr")
    with pytest.raises(InvalidInput, match="preset"):
        sanity_check(net, x, methods=["gradient"], preset="emprt", randomizer=Randomizer(net, walk.plan, Reset()))


def test_results_and_judgements_print_as_tables(result):
    lines = repr(result).splitlines()
    assert "5 images, 2 trials" in lines[0]
    assert lines[1].split() == ["method", "pearson", "spearman"]
    assert len(lines) == 2 + len(METHODS)
    judgement = judge(result)
    shown = repr(judgement)
    for name, summary in judgement.summaries.items():
        line = next(line for line in shown.splitlines() if line.startswith(name))
        assert summary.word in line
        assert f"{summary.leading.live} of 10" in line
    for each in (result, judgement):
        markup = each._repr_html_()
        assert markup.count("<tr>") == 1 + len(METHODS)
        assert "<b>" not in markup


def test_data_frames_hold_every_number(result):
    frame = result.to_pandas()
    assert len(frame) == result.scores.size
    row = frame[(frame.method == "gradient") & (frame.metric == "spearman") & (frame.trial == 1)].iloc[-1]
    assert (row.score, row.chance) == (result.scores[0, 1, -1, -1, 1], result.chance[0, 1, -1, -1, 1])
    assert frame.live.all()
    judged = judge(result).to_pandas()
    assert isinstance(judged, pandas.DataFrame)
    assert list(judged.metric) == ["pearson", "spearman"] * 2
    assert set(judged.verdict) <= {"sensitive", "insensitive", "undecided"}


def test_a_missing_pandas_is_named(monkeypatch):
    def missing(name):
        raise ImportError(name)

    monkeypatch.setattr("probatum.experiments.tables.import_module", missing)
    with pytest.raises(InvalidInput, match="pip install pandas"):
        Table("", ("a",), [(1,)]).to_pandas()


@pytest.fixture(scope="module")
def quality(net):
    walk = Randomizer(net, automatic_stages(net, images(1, SHAPE)), Reset())
    metrics = ("deletion", "max-sensitivity")
    return quality_scores(net, images(2, SHAPE), methods=METHODS, metrics=metrics, randomizer=walk, trials=2)


def test_quality_scores_print_as_a_table_and_become_a_data_frame(quality):
    lines = repr(quality).splitlines()
    assert lines[1].split() == ["method", "deletion", "max-sensitivity"]
    mean = quality.of("gradient", "deletion")[0, :, 0].mean()
    assert float(lines[2].split()[1]) == pytest.approx(mean, rel=5e-3)  # three digits are shown
    assert "<b>" not in quality._repr_html_()
    frame = quality.to_pandas()
    assert len(frame) == quality.scores.size
    last = frame[(frame.method == "<b>") & (frame.metric == "max-sensitivity")].iloc[-1]
    assert last.score == quality.scores[1, 1, -1, -1, -1]
