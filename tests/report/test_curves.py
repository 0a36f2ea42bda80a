"""The curves: what is drawn where, the scale, the legend, refusals."""

from itertools import pairwise

import numpy as np
import pytest
from canvas import HOSTILE, assert_nothing_overlaps, words
from matplotlib.collections import LineCollection

from probatum.errors import InvalidInput, UnknownName
from probatum.report import bootstrap_interval, curves_figure
from probatum.report.style import line_style

STAGES = ["Original", "fc", "layer4.1", "layer4.0"]


def scores(seed=0, stages=4, images=6, trials=3):
    return np.random.default_rng(seed).uniform(0.1, 0.9, size=(stages, images, trials))


def legend_texts(figure):
    return [text.get_text() for text in figure.axes[0].get_legend().get_texts()]


def test_points_and_bars_are_the_intervals():
    table = {"Gradient": scores(0), "SmoothGrad": scores(1)[..., 0]}
    figure = curves_figure(table, metric_title="SSIM", column_titles=STAGES, level=0.9, seed=3)
    bars = [c for c in figure.axes[0].collections if isinstance(c, LineCollection)]
    for method, (collection, values) in enumerate(
        zip(bars, (table["Gradient"], table["SmoothGrad"][..., None]), strict=True)
    ):
        interval = bootstrap_interval(values, 0.9, 3)
        segments = np.array(collection.get_segments())  # (stages, ends, coordinates)
        np.testing.assert_array_equal(segments[..., 1], np.stack([interval.low, interval.high], axis=1))
        curve = figure.axes[0].get_lines()[1 + 3 * method]  # after the zero line: a line, full and hollow markers each
        np.testing.assert_array_equal(curve.get_ydata(), interval.mean)
        assert np.abs(curve.get_xdata() - np.arange(4)).max() < 0.1
        assert curve.get_color() == line_style(method).color
    assert legend_texts(figure) == ["Gradient", "SmoothGrad"]
    note = next(text for text in words(figure) if text.startswith("Points"))
    assert "images (6) and trials (1 to 3)" in note
    assert "90 % bootstrap interval" in note
    assert "seed 3" in note


def test_the_caption_comes_before_the_note():
    figure = curves_figure(
        {"a": scores()}, metric_title="SSIM", column_titles=STAGES, caption="window 11", shared_trials=False
    )
    (note,) = (text for text in words(figure) if "Points" in text)
    assert note.startswith("window 11\nPoints")
    assert "trials within each" in note


@pytest.mark.parametrize(
    ("values", "quantity", "bottom", "top"),
    [
        (np.array([1.0, 0.5]), "similarity", -0.04, 1.04),
        (np.array([1.0, -0.3]), "similarity", -0.42, 1.04),
        (np.array([1.0, -1.0]), "similarity", -1.02, 1.04),
        (np.array([0.0, 20.0]), "distance", -0.6, 21.2),
        (np.array([0.0, 0.0]), "distance", -0.03, 1.0),
        (np.array([1.0, -1.0]), "rise", -1.1, 1.1),
        (np.array([2.0, 3.0]), "rise", -0.15, 3.15),
        (np.array([0.0, 0.0]), "rise", -1.0, 1.0),
    ],
)
def test_scale(values, quantity, bottom, top):
    figure = curves_figure({"a": values[:, None]}, metric_title="m", column_titles=["s", "t"], quantity=quantity)
    np.testing.assert_allclose(figure.axes[0].get_ylim(), (bottom, top), atol=1e-12)


def test_control_is_a_dashed_gray_line():
    figure = curves_figure({"a": scores()}, metric_title="m", column_titles=STAGES, control=1.0, control_title="Edges")
    line = figure.axes[0].get_lines()[1]
    np.testing.assert_array_equal(line.get_ydata(), np.ones(4))
    assert line.is_dashed()
    assert line.get_color() == "#8c8c8c"
    assert legend_texts(figure)[0] == "Edges"
    other = np.array([1.0, 0.9, 0.8, 0.7])
    figure = curves_figure({"a": scores()}, metric_title="m", column_titles=STAGES, control=other)
    np.testing.assert_array_equal(figure.axes[0].get_lines()[1].get_ydata(), other)


def test_noise_ceilings_stand_beside_one_another_at_the_right_edge():
    table = {name: scores() for name in "abc"}
    figure = curves_figure(table, metric_title="m", column_titles=STAGES, ceiling={"b": 0.61, "a": 0.6, "c": 0.2})
    marks = [line for line in figure.axes[0].get_lines() if len(line.get_xdata()) == 1]
    assert [float(m.get_ydata()[0]) for m in marks] == [0.61, 0.6, 0.2]
    assert [m.get_color() for m in marks] == [line_style(p).color for p in (1, 0, 2)]
    places = [float(m.get_xdata()[0]) for m in marks]  # in widths of the plot
    assert places[1] > places[0] == places[2] > 1
    assert legend_texts(figure)[-1] == "noise ceiling"
    assert_nothing_overlaps(figure)


def test_undefined_scores_are_counted_and_their_markers_hollow():
    holes = scores()
    holes[2, :2, 0] = np.nan
    counts = np.array([0, 1, 0, 0])
    figure = curves_figure({"a": holes, "b": scores()}, metric_title="m", column_titles=STAGES, undefined={"a": counts})
    assert legend_texts(figure) == ["a\n(3 of 72 constant)", "b"]
    full, hollow = figure.axes[0].get_lines()[2:4]
    np.testing.assert_array_equal(np.isnan(hollow.get_ydata()), [True, False, False, True])
    np.testing.assert_array_equal(np.isnan(full.get_ydata()), [False, True, True, False])
    assert hollow.get_markerfacecolor() == "white"
    np.testing.assert_allclose(hollow.get_ydata()[2], np.nanmean(holes[2]), atol=1e-15)


def test_a_stage_without_any_score_leaves_a_gap():
    empty = scores()
    empty[1] = np.nan
    figure = curves_figure({"a": empty}, metric_title="m", column_titles=STAGES)
    assert np.isnan(figure.axes[0].get_lines()[1].get_ydata()[1])


def test_styles_differ():
    styles = [line_style(position) for position in range(88)]
    assert len(set(styles)) == 88
    assert all(set(a).isdisjoint(b) for a, b in pairwise(styles))


@pytest.mark.parametrize(("stages", "methods"), [(1, 1), (1, 12), (4, 25), (18, 12), (40, 2)])
def test_legend_and_titles_cover_nothing(stages, methods):
    names = [f"{HOSTILE[i % len(HOSTILE)]} {i}" for i in range(methods)]
    titles = [HOSTILE[i % len(HOSTILE)] for i in range(stages)]
    table = {name: scores(i, stages, 3, 1) for i, name in enumerate(names)}
    ceiling = dict.fromkeys(names[:12], 1.0)
    figure = curves_figure(
        table, metric_title="$" * 200, column_titles=titles, ceiling=ceiling, control=1.0, control_title="_$"
    )
    assert_nothing_overlaps(figure)
    axes = figure.axes[0]
    legend = axes.get_legend().get_window_extent()
    assert legend.x0 >= axes.get_window_extent().x1
    assert legend.x1 <= figure.bbox.x1 + 1
    assert legend.y0 >= axes.get_window_extent().y0 - 1
    assert len(legend_texts(figure)) == methods + 2


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"table": {}}, InvalidInput, "no method"),
        ({"column_titles": ["a"]}, InvalidInput, "1 titles of stages"),
        ({"table": {"a": scores() + 1}}, InvalidInput, "a similarity lies in"),
        ({"table": {"a": -scores()}, "quantity": "distance"}, InvalidInput, "a distance lies in"),
        ({"table": {"a": scores() * np.inf}, "quantity": "distance"}, InvalidInput, "infinite"),
        ({"ceiling": {"b": 1.0}}, UnknownName, "'b'"),
        ({"ceiling": {"a": float("nan")}}, InvalidInput, "noise ceiling of 'a'"),
        ({"control": np.ones(3)}, InvalidInput, "the control has 3 scores"),
        ({"undefined": {"a": np.array([1])}}, InvalidInput, "a number for each of the 4 stages"),
        ({"undefined": {"a": np.array([0, 0, 0, 19])}}, InvalidInput, "of 18 scores at most"),
    ],
)
def test_refused(change, error, message):
    arguments = {"table": {"a": scores()}, "metric_title": "m", "column_titles": STAGES, **change}
    with pytest.raises(error, match=message):
        curves_figure(**arguments)
