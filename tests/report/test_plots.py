"""Results in memory draw themselves: the numbers are the result's own, and nothing covers anything."""

from io import BytesIO

import numpy as np
import pytest
from canvas import assert_nothing_overlaps, words
from matplotlib.image import imread
from nets import ConvNet, images, seeded

from probatum.attributions import Gradient, SmoothGrad
from probatum.errors import UnknownName
from probatum.experiments import PresetComparison, judge, quality_scores, sanity_check
from probatum.randomization import Randomizer, Reset, automatic_stages
from probatum.report.style import PAGE_WIDTH, RESOLUTION

SHAPE = (2, 12, 12)
METHODS = {"gradient": Gradient(), "<b>": SmoothGrad(samples=2)}


@pytest.fixture(scope="module")
def net():
    return seeded(ConvNet)


@pytest.fixture(scope="module")
def result(net):
    return sanity_check(net, images(5, SHAPE), methods=METHODS, metrics=("pearson", "spearman"), trials=2)


@pytest.fixture(scope="module")
def quality(net):
    walk = Randomizer(net, automatic_stages(net, images(1, SHAPE)), Reset())
    metrics = ("deletion", "max-sensitivity")
    return quality_scores(net, images(2, SHAPE), methods=METHODS, metrics=metrics, randomizer=walk, trials=2)


def test_a_result_draws_its_curves(result):
    figure = result.plot("spearman")
    for row, axes in enumerate(figure.axes):
        curve = next(line for line in axes.lines if line.get_zorder() == 4)
        np.testing.assert_allclose(curve.get_ydata(), result.scores[row, 1].mean(axis=(1, 2)), atol=1e-12)
    assert len(figure.axes) == len(METHODS)
    assert "Gray band: chance" in " ".join(words(figure)).replace("\n", " ")
    assert "(pearson)" in " ".join(words(result.plot()))
    assert_nothing_overlaps(figure)
    with pytest.raises(UnknownName, match="spearman"):
        result.plot("spaerman")


def test_a_notebook_and_a_file_show_the_same_picture(result, tmp_path):
    figure = result.plot()
    shown = figure._repr_png_()
    assert shown.startswith(b"\x89PNG")
    figure.savefig(tmp_path / "a.png")
    pixels = [imread(source) for source in (tmp_path / "a.png", BytesIO(shown))]
    np.testing.assert_array_equal(*pixels)
    assert pixels[0].shape[1] == round(PAGE_WIDTH * RESOLUTION)


def test_a_judgement_draws_the_word_and_the_number_of_every_metric(result):
    judgement = judge(result)
    figure = judgement.plot()
    assert [summary.word in words(figure) for summary in judgement.summaries.values()] == [True, True]
    (axes,) = figure.axes
    drawn = sorted(line.get_xdata()[0] for line in axes.lines if line.get_marker() != "None")
    expected = sorted(verdict.value for verdict in judgement.verdicts if np.isfinite(verdict.value))
    np.testing.assert_allclose(drawn, expected)
    assert_nothing_overlaps(figure)


def test_rises_are_drawn_in_a_panel_of_their_own(net):
    metrics = ("pearson", "entropy-rise")
    found = sanity_check(net, images(5, SHAPE), methods=METHODS, metrics=metrics, trials=2)
    figure = judge(found).plot()
    assert [axes.get_xlabel() for axes in figure.axes] == ["share retained", "rise above the noise"]
    assert_nothing_overlaps(figure)
    assert "adebayo" in words(PresetComparison(tuple(METHODS), {"adebayo": judge(found)}).plot())


def test_quality_draws_bars_of_the_trained_model_and_curves_of_its_stages(quality):
    figure = quality.plot()
    widths = [bar.get_width() for axes in figure.axes for bar in axes.patches]
    np.testing.assert_allclose(widths, np.moveaxis(quality.scores[:, :, 0, :, 0].mean(axis=-1), 0, 1).ravel())
    assert_nothing_overlaps(figure)
    curves = quality.plot("deletion")
    drawn = next(line for line in curves.axes[0].lines if line.get_zorder() == 4)
    np.testing.assert_allclose(drawn.get_ydata(), quality.scores[0, 0].mean(axis=(1, 2)), atol=1e-12)
    assert "ceiling" not in " ".join(words(curves))
