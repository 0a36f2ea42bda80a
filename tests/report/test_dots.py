import numpy as np
import pytest
from canvas import HOSTILE, assert_nothing_overlaps

from probatum.errors import InvalidInput
from probatum.report import Interval, save_figure
from probatum.report.dots import dots_figure


def interval(mean, low, high):
    return Interval(np.float64(mean), np.float64(low), np.float64(high))


ROWS = {
    "first": {"a": interval(0.5, 0.4, 0.6), "a, control": interval(0.2, 0.1, 0.3), "b": interval(0.9, 0.9, 0.9)},
    "second": {"a": interval(0.1, 0.0, 0.2), "b": interval(np.nan, np.nan, np.nan)},
}


def test_dots_and_bars_are_where_the_intervals_are():
    figure = dots_figure(ROWS, axis_title="share", limits=(0.0, 1.0), hollow=["a, control"], caption="protocol")
    (axes,) = figure.axes
    lines = axes.get_lines()
    bars = {tuple(line.get_xdata()) for line in lines if len(line.get_xdata()) == 2}
    assert (0.4, 0.6) in bars
    assert (0.0, 0.2) in bars
    dots = {float(line.get_xdata()[0]): line for line in lines if len(line.get_xdata()) == 1}
    assert {0.5, 0.2, 0.9, 0.1} <= set(dots)
    assert dots[0.5].get_color() == dots[0.2].get_color() != dots[0.9].get_color()
    assert dots[0.2].get_markerfacecolor() == "white"
    assert dots[0.5].get_ydata()[0] < dots[0.1].get_ydata()[0]  # rows run downwards, and so does the axis
    assert axes.get_ylim()[0] > axes.get_ylim()[1]
    assert [label.get_text() for label in figure.legends[0].get_texts()] == ["a", "a, control", "b"]


def test_a_reference_is_a_line_with_a_name():
    figure = dots_figure(ROWS, axis_title="share", limits=(0.0, 1.0), reference=(0.5, "chance"))
    assert figure.legends[0].get_texts()[-1].get_text() == "chance"
    assert any(list(line.get_xdata()) == [0.5, 0.5] for line in figure.axes[0].get_lines())


@pytest.mark.parametrize("title", HOSTILE)
def test_nothing_covers_anything(title):
    caption = "a protocol of some words " * 20
    rows = {title: ROWS["first"], "second": ROWS["second"]}
    assert_nothing_overlaps(dots_figure(rows, axis_title="share", limits=(0.0, 1.0), caption=caption))


def test_the_same_figure_has_the_same_bytes(tmp_path):
    first, second = (
        save_figure(dots_figure(ROWS, axis_title="share", limits=(0.0, 1.0)), tmp_path / name)[0].read_bytes()
        for name in ("a", "b")
    )
    assert first == second


@pytest.mark.parametrize("rows", [{}, {"empty": {}}, {"far": {"a": interval(2, 1, 3)}}])
def test_impossible_rows_are_refused(rows):
    with pytest.raises(InvalidInput):
        dots_figure(rows, axis_title="share", limits=(0.0, 1.0))
