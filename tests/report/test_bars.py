"""The bars: what is drawn where, the scale, refusals."""

import numpy as np
import pytest
from canvas import HOSTILE, assert_nothing_overlaps, words

from probatum.errors import InvalidInput
from probatum.report import Interval
from probatum.report.bars import bars_figure
from probatum.report.style import FAINT_INK


def interval(mean, low, high):
    return Interval(np.array(mean), np.array(low), np.array(high))


PANELS = {
    "ABS": {"Gradient": interval(0.2, 0.1, 0.3), "Edges": interval(1.0, 1.0, 1.0)},
    "no ABS": {"Gradient": interval(-0.1, -0.3, 0.1), "Edges": interval(1.0, 1.0, 1.0)},
}


def test_bars_are_means_and_lines_are_intervals():
    figure = bars_figure(PANELS, control="Edges")
    for axes, panel in zip(figure.axes, PANELS.values(), strict=True):
        assert [bar.get_width() for bar in axes.patches] == [float(one.mean) for one in panel.values()]
        ends = [lines.get_segments()[0][:, 0].tolist() for lines in axes.collections]
        assert ends == [[float(one.low), float(one.high)] for one in panel.values()]
        assert axes.get_xlim() == (-0.4, 1.0)
    gray = figure.axes[0].patches[1].get_facecolor()[:3]
    np.testing.assert_allclose(gray, [int(FAINT_INK[i : i + 2], 16) / 255 for i in (1, 3, 5)])


def test_the_scale_grows_with_the_intervals():
    wide = {"a": {"x": interval(0.1, -0.55, 1.1)}}
    np.testing.assert_allclose(bars_figure(wide).axes[0].get_xlim(), (-0.6, 1.2))


def test_a_score_that_does_not_exist_has_no_bar():
    figure = bars_figure({"a": {"x": interval(np.nan, np.nan, np.nan), "y": interval(0.5, 0.4, 0.6)}})
    assert len(figure.axes[0].patches) == 1


def test_texts_are_in_their_places():
    panels = {title: {name: interval(0.1, 0.0, 0.2) for name in HOSTILE} for title in HOSTILE[:3]}
    figure = bars_figure(panels, caption="The protocol. " * 40)
    assert any("The protocol." in text for text in words(figure))
    assert_nothing_overlaps(figure)
    assert_nothing_overlaps(bars_figure(PANELS | {"third": PANELS["ABS"]}, caption="short"))


@pytest.mark.parametrize("panels", [{}, {"a": {}}, {"a": PANELS["ABS"], "b": {"Gradient": interval(0.0, 0.0, 0.0)}}])
def test_uneven_panels_are_refused(panels):
    with pytest.raises(InvalidInput, match="at least one panel"):
        bars_figure(panels)
