"""The small panels of a check's curves: what each draws, one scale for all, no color twice."""

import numpy as np
import pytest
from canvas import words

from probatum.errors import InvalidInput
from probatum.report.curve_panels import MethodCurve, curve_panels_figure
from probatum.report.intervals import bootstrap_interval
from probatum.report.style import line_style

STAGES = ("fc", "layer4", "layer3")


def curve(title, seed=0, **changes):
    scores = np.random.default_rng(seed).uniform(0.2, 0.9, size=(len(STAGES), 6, 2))
    values = {
        "scores": bootstrap_interval(scores),
        "chance": bootstrap_interval(0.2 * scores),
        "ceiling": (0.8, 0.9),
        "hollow": np.array([False, True, False]),
    }
    return MethodCurve(title, **values | changes)


def test_each_method_has_a_panel_of_its_own_color_on_one_scale():
    curves = [curve(f"m{number}", number) for number in range(24)]
    figure = curve_panels_figure(curves, metric_title="SSIM", column_titles=STAGES, caption="a protocol")
    assert len(figure.axes) == 24
    assert len({axes.get_ylim() for axes in figure.axes}) == 1
    own = [next(line for line in axes.get_lines() if line.get_linewidth() == 1.1) for axes in figure.axes]
    assert len({line.get_color() for line in own}) == 24
    for line, one in zip(own, curves, strict=True):
        np.testing.assert_array_equal(line.get_ydata(), one.scores.mean)
    text = " ".join(words(figure))
    assert "a protocol" in text
    assert "1 fc; 2 layer4; 3 layer3" in text
    assert {"m0", "m23", "SSIM"} <= set(words(figure))


def test_markers_of_stages_with_constant_maps_are_hollow():
    one = curve("a")
    figure = curve_panels_figure([one], metric_title="m", column_titles=STAGES)
    full, hollow = figure.axes[0].get_lines()[-2:]
    np.testing.assert_array_equal(np.isnan(hollow.get_ydata()), [True, False, True])
    np.testing.assert_array_equal(np.isnan(full.get_ydata()), [False, True, False])
    assert hollow.get_markerfacecolor() == "white"


def test_bands_lie_where_chance_and_ceiling_are():
    one = curve("a")
    figure = curve_panels_figure([one], metric_title="m", column_titles=STAGES)
    chance = figure.axes[0].collections[0].get_paths()[0].vertices[:, 1]
    assert {chance.min(), chance.max()} == {one.chance.low.min(), one.chance.high.max()}
    (ceiling,) = figure.axes[0].patches
    assert (ceiling.get_y(), ceiling.get_y() + ceiling.get_height()) == pytest.approx((0.8, 0.9))
    bare = curve_panels_figure([curve("a", chance=None, ceiling=None)], metric_title="m", column_titles=STAGES)
    assert not bare.axes[0].patches


def test_no_two_methods_share_a_color():
    assert len({line_style(position).color for position in range(24)}) == 24


@pytest.mark.parametrize(("curves", "stages"), [([], STAGES), ([curve("a")], STAGES[:2])])
def test_refused(curves, stages):
    with pytest.raises(InvalidInput):
        curve_panels_figure(curves, metric_title="m", column_titles=stages)
