"""The box plots: what the boxes are, where they stand, the maps above them, refusals."""

from itertools import pairwise

import numpy as np
import pytest
from canvas import HOSTILE, assert_nothing_overlaps, words
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.cbook import boxplot_stats
from matplotlib.collections import LineCollection
from matplotlib.colors import to_hex
from matplotlib.patches import PathPatch, Rectangle

from probatum.errors import InvalidInput, UnknownName
from probatum.report.boxes import box_of, boxes_figure
from probatum.report.map_band import MapBand
from probatum.report.style import COLOR_MAPS, line_style

STAGES = ["fc", "layer4.1", "layer4.0"]


def scores(seed=0, stages=3, images=6, trials=4):
    return np.random.default_rng(seed).uniform(0.1, 0.9, size=(stages, images, trials))


def band(names=("a", "b"), stages=3, size=(8, 8), **options):
    values = np.random.default_rng(9).uniform(size=(len(names), 1 + stages, *size))
    return MapBand({name: list(row) for name, row in zip(names, values, strict=True)}, **options)


def legend_texts(figure):
    return [text.get_text() for text in figure.axes[0].get_legend().get_texts()]


def patches(figure):
    return [patch for patch in figure.axes[0].patches if isinstance(patch, PathPatch)]


@given(st.lists(st.floats(-1, 1, allow_subnormal=False), min_size=1, max_size=40))
@settings(max_examples=60, deadline=None)
def test_a_box_is_that_of_matplotlib(values):
    array = np.array(values)
    box, expected = box_of(array), boxplot_stats(array, whis=1.5)[0]
    np.testing.assert_allclose(box.quartiles, (expected["q1"], expected["med"], expected["q3"]), atol=1e-15)
    # Matplotlib's limits come from another order of the same additions, so a score on the limit may change sides.
    edge = np.array([1.5, -1.5]) * expected["iqr"]
    if np.abs(array[:, None] - (np.array([expected["q3"], expected["q1"]]) + edge)).min() > 1e-12:
        np.testing.assert_allclose((box.low, box.high), (expected["whislo"], expected["whishi"]), atol=1e-15)
        np.testing.assert_array_equal(box.outliers, np.sort(expected["fliers"]))
    assert box.mean == pytest.approx(array.mean(), abs=1e-15)


def test_a_box_by_hand():
    box = box_of(np.array([[0.0, 1.0, np.nan], [2.0, 3.0, 20.0]]))
    assert box.quartiles == (1.0, 2.0, 3.0)
    assert (box.low, box.high) == (0.0, 3.0)
    assert box.mean == 5.2
    np.testing.assert_array_equal(box.outliers, [20.0])
    assert box_of(np.full(3, np.nan)) is None


def test_whiskers_do_not_enter_the_box():
    box = box_of(np.array([0.0, 0.0, 0.0, 1.0]))  # the third quartile, 0.25, has only an outlier above it
    assert box.quartiles == (0.0, 0.0, 0.25)
    assert (box.low, box.high) == (0.0, 0.25)
    np.testing.assert_array_equal(box.outliers, [1.0])


def test_boxes_stand_side_by_side_at_their_quartiles():
    table = {"Global IG": scores(0), "Local IG": scores(1)[..., 0]}
    figure = boxes_figure(table, metric_title="SSIM", column_titles=STAGES, caption="protocol")
    drawn = patches(figure)
    assert len(drawn) == 6
    for number, patch in enumerate(drawn):
        series, stage = divmod(number, 3)
        values = list(table.values())[series][stage]
        extents = patch.get_path().get_extents()
        np.testing.assert_allclose((extents.y0, extents.y1), np.percentile(values, (25, 75)), atol=1e-12)
        center = (extents.x0 + extents.x1) / 2
        assert abs(center - stage) < 0.5
        assert (center < stage) == (series == 0)
        assert to_hex(patch.get_edgecolor()) == line_style(series).color
    spans = sorted((p.get_path().get_extents().x0, p.get_path().get_extents().x1) for p in drawn)
    assert all(left[1] < right[0] for left, right in pairwise(spans))
    assert legend_texts(figure) == ["Global IG", "Local IG"]
    (note,) = (text for text in words(figure) if "Boxes" in text)
    assert note.startswith("protocol\nBoxes: quartiles of 6 to 24 scores")
    assert "1.5 interquartile" in note


def test_means_are_marked():
    figure = boxes_figure({"a": scores()}, metric_title="m", column_titles=STAGES)
    marked = [float(line.get_ydata()[0]) for line in figure.axes[0].get_lines() if line.get_marker() == "o"]
    np.testing.assert_allclose(marked, scores().mean(axis=(1, 2)), atol=1e-15)


def test_undefined_scores_are_counted_and_left_out():
    holes = scores()
    holes[1] = np.nan
    holes[2, 0, 0] = np.nan
    table = {"a": holes, "b": scores()}
    figure = boxes_figure(table, metric_title="m", column_titles=STAGES, undefined={"b": np.array([0, 3, 0])})
    assert legend_texts(figure) == ["a\n(25 of 72 constant)", "b\n(3 of 72 constant)"]
    assert len(patches(figure)) == 5
    assert any("quartiles of 0 to 24 scores" in text for text in words(figure))


def test_nothing_defined_is_an_empty_plot():
    figure = boxes_figure({"a": np.full((3, 2), np.nan)}, metric_title="m", column_titles=STAGES)
    assert not patches(figure)
    assert_nothing_overlaps(figure)


def test_references_are_bars_over_the_boxes():
    bars = {"a": np.array([0.1, 0.2, -0.3])}
    figure = boxes_figure(
        {"a": scores(), "b": scores(1)},
        metric_title="m",
        column_titles=STAGES,
        reference=bars,
        reference_title="other images",
    )
    (collection,) = (c for c in figure.axes[0].collections if isinstance(c, LineCollection))
    segments = np.array(collection.get_segments())
    np.testing.assert_array_equal(segments[:, 0, 1], bars["a"])
    for patch, segment in zip(patches(figure), segments, strict=False):
        extents = patch.get_path().get_extents()
        assert segment[0, 0] < extents.x0
        assert segment[1, 0] > extents.x1
    assert legend_texts(figure) == ["a", "b", "other images"]
    assert figure.axes[0].get_ylim()[0] < -0.3


@pytest.mark.parametrize(
    ("values", "quantity", "bottom", "top"),
    [
        ([0.2, 0.9], "similarity", -0.03, 1.04),
        ([-0.3, 1.0], "similarity", -0.43, 1.04),
        ([-1.0, 1.0], "similarity", -1.03, 1.04),
        ([0.0, 20.0], "distance", -0.6, 21.2),
        ([0.0, 0.0], "distance", -0.03, 1.0),
    ],
)
def test_scale(values, quantity, bottom, top):
    figure = boxes_figure({"a": np.array([values])}, metric_title="m", column_titles=["s"], quantity=quantity)
    np.testing.assert_allclose(figure.axes[0].get_ylim(), (bottom, top), atol=1e-12)


@pytest.mark.parametrize("style", ["abs-normalized", "diverging"])
def test_maps_stand_above_their_boxes(style):
    maps = band(style=style, image=np.zeros((8, 8, 3)), image_title="junco (0.99)")
    figure = boxes_figure({"a": scores(), "b": scores(1)}, metric_title="m", column_titles=STAGES, band=maps)
    plot, above = figure.axes
    shown = {image.get_label(): image for image in above.get_images()}
    assert len(shown) == 9
    assert_nothing_overlaps(figure)
    for row, series in enumerate(("a", "b")):
        for column in range(4):
            image = shown[f"map {row} {column}"]
            np.testing.assert_array_equal(image.get_array(), maps.rows[series][column])
            assert image.get_cmap().name == COLOR_MAPS[style].name
            extents = image.get_window_extent()
            middle = plot.transData.transform((column, 0))[0]
            assert (extents.x0 + extents.x1) / 2 == pytest.approx(middle, abs=0.5)
            assert extents.y0 >= plot.get_window_extent().y1
    assert "Original" in words(figure)
    boxes = [patch.get_path().get_extents() for patch in patches(figure)]
    assert min(box.x0 for box in boxes) > 0.5  # none over the original
    assert any("perfect by definition" in text for text in words(figure))


def test_a_missing_map_is_hatched():
    maps = MapBand({"a": [np.zeros((4, 4)), None, np.zeros((4, 4)), None]})
    figure = boxes_figure({"a": scores()}, metric_title="m", column_titles=STAGES, band=maps)
    hatched = [patch for patch in figure.axes[1].patches if isinstance(patch, Rectangle) and patch.get_hatch()]
    assert len(hatched) == 2
    assert len(figure.axes[1].get_images()) == 2


@pytest.mark.parametrize(("stages", "series"), [(1, 1), (4, 9), (18, 2)])
def test_legend_and_titles_cover_nothing(stages, series):
    names = [f"{HOSTILE[i % len(HOSTILE)]} {i}" for i in range(series)]
    titles = [HOSTILE[i % len(HOSTILE)] for i in range(stages)]
    table = {name: scores(i, stages, 3, 1) for i, name in enumerate(names)}
    figure = boxes_figure(
        table,
        metric_title="$" * 200,
        column_titles=titles,
        band=band(names, stages, image=np.zeros((8, 4)), image_title="x" * 90) if series < 9 else None,
        reference={names[0]: np.zeros(stages)},
        reference_title="_$",
    )
    assert_nothing_overlaps(figure)
    legend = figure.axes[0].get_legend().get_window_extent()
    assert legend.x0 >= figure.axes[0].get_window_extent().x1
    assert legend.x1 <= figure.bbox.x1 + 1
    assert len(legend_texts(figure)) == series + 1


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"table": {}}, InvalidInput, "no series"),
        ({"column_titles": ["a"]}, InvalidInput, "1 titles of stages"),
        ({"table": {"a": scores() + 1}}, InvalidInput, "a similarity is finite and lies in"),
        ({"table": {"a": -scores()}, "quantity": "distance"}, InvalidInput, "a distance is finite and lies in"),
        ({"table": {"a": scores() * np.inf}, "quantity": "distance"}, InvalidInput, "hold inf"),
        ({"undefined": {"b": np.zeros(3, int)}}, UnknownName, "'b'"),
        ({"undefined": {"a": np.array([1])}}, InvalidInput, "a number for each of the 3 stages"),
        ({"undefined": {"a": np.array([0, 0, 25])}}, InvalidInput, "of 24 scores at most"),
        ({"reference": {"b": np.zeros(3)}}, UnknownName, "'b'"),
        ({"reference": {"a": np.zeros(2)}}, InvalidInput, "each of 3 stages"),
        ({"band": band(stages=2)}, InvalidInput, "'a' has 3 maps"),
        ({"band": MapBand({"a": [np.full((4, 4), 2.0)] * 4})}, InvalidInput, "normalize"),
    ],
)
def test_refused(change, error, message):
    arguments = {"table": {"a": scores()}, "metric_title": "m", "column_titles": STAGES, **change}
    with pytest.raises(error, match=message):
        boxes_figure(**arguments)


def test_magnitudes_are_drawn_by_their_logarithms():
    table = {"a": np.array([[1e-3, 1e-1, 10.0], [0.0, 1e2, 1e4]])}
    figure = boxes_figure(table, metric_title="Infidelity", column_titles=["s", "t"], quantity="magnitude")
    first, second = (patch.get_path().get_extents() for patch in patches(figure))
    np.testing.assert_allclose((first.y0, first.y1), (-2, 0), atol=1e-12)  # quartiles of −3, −1, 1
    np.testing.assert_allclose((second.y0, second.y1), (2.5, 3.5), atol=1e-12)  # 0 has no logarithm
    assert legend_texts(figure) == ["a\n(1 of 6 undefined)"]
    labels = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert labels[0] == "10⁻⁴"
    assert labels[-1] == "10⁵"
    assert any("geometric mean" in line for line in words(figure))
    assert_nothing_overlaps(figure)


def test_magnitudes_that_are_all_zero_leave_the_plot_empty():
    figure = boxes_figure({"a": np.zeros((2, 3))}, metric_title="m", column_titles=["s", "t"], quantity="magnitude")
    assert not patches(figure)
    with pytest.raises(InvalidInput, match="magnitude is finite"):
        boxes_figure({"a": -np.ones((2, 3))}, metric_title="m", column_titles=["s", "t"], quantity="magnitude")
