"""The map figures: structure, color scales, titles that fit, refusals."""

import numpy as np
import pytest
from canvas import HOSTILE, assert_nothing_overlaps, texts, words
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.patches import Rectangle

from probatum.errors import InvalidInput
from probatum.report import grid_figure, methods_figure, overlay_figure
from probatum.report.style import COLOR_MAPS, PAGE_HEIGHT, PAGE_WIDTH, SMALL_SIZE, colors

METHODS = ["Gradient", "SmoothGrad", "Guided Grad-CAM", "Integrated Gradients", "IG-SmoothGrad"]
STAGES = ["Original", "logits", *(f"Mixed_{block}{part}" for block in (7, 6, 5, 4) for part in "dcba")]


def table(rows, columns, size=(8, 8), seed=0):
    return np.random.default_rng(seed).uniform(size=(rows, columns, *size))


def images(figure, prefix):
    return {i.get_label(): i for i in figure.axes[0].get_images() if i.get_label().startswith(prefix)}


@pytest.mark.parametrize(("style", "limits"), [("abs-normalized", (0, 1)), ("diverging", (-1, 1))])
def test_panels_hold_the_arrays_on_one_fixed_scale(style, limits):
    panels = table(3, 4) * 0.5
    figure = grid_figure(panels, METHODS[:3], STAGES[:4], style=style)
    shown = images(figure, "panel")
    assert len(shown) == 12
    for row in range(3):
        for column in range(4):
            image = shown[f"panel {row} {column}"]
            np.testing.assert_array_equal(image.get_array(), panels[row, column])
            assert image.get_clim() == limits
            assert image.get_cmap().name == COLOR_MAPS[style].name
    assert list(images(figure, "key")) == [f"key {style}"]


def test_cells_are_equal_and_in_order():
    figure = grid_figure(table(3, 4), METHODS[:3], STAGES[:4])
    extents = np.array([i.get_extent() for i in images(figure, "panel").values()]).reshape(3, 4, 4)
    left, right, bottom, top = np.moveaxis(extents, -1, 0)  # inches from the top left corner
    np.testing.assert_allclose(right - left, (right - left)[0, 0])
    np.testing.assert_allclose(bottom - top, (right - left)[0, 0])
    np.testing.assert_allclose(np.diff(left, axis=1), np.diff(left, axis=1)[0, 0])
    np.testing.assert_allclose(np.diff(top, axis=0), np.diff(top, axis=0)[0, 0])
    np.testing.assert_allclose(extents * 50, np.round(extents * 50), atol=1e-9)  # whole dots at 100, 200 and 300 dpi


@pytest.mark.parametrize(("rows", "columns"), [(3, 4), (12, 4), (5, 11), (3, 18), (12, 18)])
def test_fits_a_page_with_titles_that_can_be_read(rows, columns):
    row_titles = [f"{name} {n}" for n in range(3) for name in METHODS][:rows]
    figure = grid_figure(
        table(rows, columns),
        row_titles,
        STAGES[:columns],
        image=table(1, 1)[0, 0],
        image_title="junco",
        caption="s " * 300,
    )
    width, height = figure.get_size_inches()
    assert width <= PAGE_WIDTH
    assert height <= PAGE_HEIGHT
    assert min(text.get_fontsize() for text in texts(figure)) >= SMALL_SIZE == 6
    assert {" ".join(w.split()) for w in words(figure)} >= {*STAGES[:columns], "junco"}
    assert_nothing_overlaps(figure)


def test_long_names_are_broken_at_their_dots_before_they_are_shortened():
    names = HOSTILE[-2:]
    shown = [w.replace("\n", "") for w in words(grid_figure(table(2, 2, (4, 4)), names, names))]
    assert all(shown.count(name) == 2 for name in names)


@pytest.mark.parametrize("size", [(8, 8), (4, 300), (300, 4)])
def test_hostile_titles(size):
    count = len(HOSTILE)
    figure = grid_figure(
        table(count, count, size),
        HOSTILE,
        HOSTILE,
        image=table(1, 1)[0, 0],
        image_title=HOSTILE[2],
        caption="\n".join(HOSTILE),
    )
    assert_nothing_overlaps(figure)
    assert r"$\alpha_" in words(figure)
    assert not any(text.get_parse_math() for text in texts(figure))
    assert any("…" in word for word in words(figure))


@settings(max_examples=8, deadline=None)
@given(title=st.text(max_size=80), columns=st.integers(1, 12), rows=st.integers(1, 2))
def test_any_text_is_a_title(title, columns, rows):
    figure = grid_figure(table(rows, columns, (2, 2)), [title] * rows, [title] * columns, caption=title)
    assert_nothing_overlaps(figure)


@pytest.mark.parametrize("value", [-1.0, 0.0, 1.0])
def test_constant_panels_keep_their_color(value):
    panels = np.full((1, 1, 5, 5), value)
    figure = grid_figure(panels, ["a"], ["b"], style="diverging")
    (image,) = images(figure, "panel").values()
    expected = COLOR_MAPS["diverging"]((value + 1) / 2)
    np.testing.assert_allclose(image.to_rgba(image.get_array())[2, 2], expected)


@pytest.mark.parametrize(("size", "shape"), [((10, 40), 0.25), ((3, 300), 0.25), ((300, 3), 4.0), ((30, 20), 1.5)])
def test_shape_of_panels(size, shape):
    """A panel keeps its shape up to 4 : 1; a more elongated one is shown as 4 : 1, wide enough to be seen."""
    figure = grid_figure(table(2, 3, size), ["a", "b"], ["c", "d", "e"], image=table(1, 1, size)[0, 0])
    for image in [*images(figure, "panel").values(), *images(figure, "corner").values()]:
        left, right, bottom, top = image.get_extent()
        assert (bottom - top) / (right - left) == pytest.approx(shape, rel=0.05)  # cells are whole dots
        assert min(bottom - top, right - left) >= 0.19


def test_missing_maps_are_hatched_and_named():
    panels = [[table(1, 1)[0, 0], None], [None, None]]
    figure = grid_figure(panels, ["a", "b"], ["c", "d"], caption="protocol")
    hatched = [p for p in figure.axes[0].patches if isinstance(p, Rectangle) and p.get_hatch()]
    assert len(hatched) == 3
    assert len(images(figure, "panel")) == 1
    assert "protocol\nHatched: no map." in words(figure)


def test_picture_in_the_corner_may_be_gray_or_bytes():
    gray = np.arange(16, dtype=np.uint8).reshape(4, 4) * 17
    figure = grid_figure(table(1, 2), ["a"], ["b", "c"], image=gray, image_title="a digit")
    shown = images(figure, "corner")["corner"].get_array()
    np.testing.assert_array_equal(shown, np.repeat(gray[..., None] / 255.0, 3, axis=2))
    assert "a digit" in words(figure)


def test_methods_beside_the_photograph_and_the_edges():
    photographs = list(np.random.default_rng(1).uniform(size=(2, 8, 8, 3)))
    edges = list(table(1, 2, seed=2)[0])
    panels = table(2, 3) * 2 - 1
    figure = methods_figure(photographs, panels, ["junco", "corn"], METHODS[:3], edges=edges, style="diverging")
    shown = images(figure, "panel")
    assert len(shown) == 2 * 5
    np.testing.assert_array_equal(shown["panel 1 0"].get_array(), photographs[1])
    np.testing.assert_array_equal(shown["panel 1 3"].get_array(), panels[1, 2])
    np.testing.assert_array_equal(shown["panel 0 4"].get_array(), edges[0])
    assert shown["panel 0 3"].get_clim() == (-1, 1)
    assert shown["panel 0 4"].get_clim() == (0, 1)
    assert list(images(figure, "key")) == ["key abs-normalized", "key diverging"]
    assert {"Original\nimage", "Edge\ndetector"} <= set(words(figure)) or {"Original image", "Edge detector"} <= set(
        words(figure)
    )
    assert_nothing_overlaps(figure)


@pytest.mark.parametrize("style", ["abs-normalized", "diverging"])
def test_overlay_mixes_map_and_photograph(style):
    """Where the map is 0 there is the faint photograph, where it is 1 the full color, else the stated mixture."""
    photograph = np.random.default_rng(3).uniform(size=(2, 2, 3))
    values = np.array([[0.0, 1.0], [0.25, 0.5]]) * (1 if style == "abs-normalized" else -1)
    figure = overlay_figure([photograph], [[values]], ["junco 0.42"], style=style, faintness=0.5)
    shown = images(figure, "panel")
    np.testing.assert_array_equal(shown["panel 0 0"].get_array(), photograph)
    mixed = shown["panel 0 1"].get_array()
    faint = 0.5 + 0.5 * (photograph @ [0.299, 0.587, 0.114])
    full = colors(values, style)
    np.testing.assert_allclose(mixed[0, 0], np.repeat(faint[0, 0], 3), rtol=0, atol=1e-15)
    np.testing.assert_allclose(mixed[0, 1], full[0, 1], rtol=0, atol=1e-15)
    np.testing.assert_allclose(mixed[1, 0], 0.5 * faint[1, 0] + 0.5 * full[1, 0], rtol=0, atol=1e-15)
    assert "junco\n0.42" in words(figure)


def test_overlay_on_white_stays_in_range(caplog):
    values = np.linspace(0, 1, 64 * 64, dtype=np.float32).reshape(64, 64)  # in float32, rounding leads above 1
    overlay_figure([np.ones((64, 64, 3))], [[values]], ["a"])
    assert not caplog.records  # of matplotlib, which clips and says so


def test_overlay_with_stages():
    photographs = list(np.random.default_rng(4).uniform(size=(3, 8, 8, 3)))
    figure = overlay_figure(photographs, table(3, 11), HOSTILE[:3], column_titles=STAGES[:11], caption="seed 0")
    assert len(images(figure, "panel")) == 3 * 12
    assert_nothing_overlaps(figure)


def test_absolute_colors_keep_their_order_in_gray_print():
    ramp = colors(np.linspace(0, 1, 64)[None], "abs-normalized") @ [0.2126, 0.7152, 0.0722]
    assert (np.diff(ramp[0]) < 0).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"panels": np.full((1, 1, 2, 2), 1.5)}, r"panel \(0, 0\) has values from 1.5"),
        ({"panels": np.full((1, 1, 2, 2), -0.1)}, "normalize an abs-normalized map"),
        ({"panels": np.full((1, 1, 2, 2), np.nan)}, "holds NaN"),
        ({"panels": np.zeros((1, 1, 0, 2))}, "is empty"),
        ({"panels": [[np.zeros((2, 2))], []]}, "column titles"),
        ({"panels": []}, "column titles"),
        ({"panels": [[]], "column_titles": []}, "column titles"),
        ({"row_titles": ["a", "b"]}, "2 row titles"),
        ({"column_titles": ["a", "b"]}, "2 column titles"),
        ({"image": np.full((2, 2), 2.0)}, "the image has values"),
    ],
)
def test_grid_refuses(change, message):
    arguments = {"panels": np.zeros((1, 1, 2, 2)), "row_titles": ["a"], "column_titles": ["b"], **change}
    with pytest.raises(InvalidInput, match=message):
        grid_figure(**arguments)


def test_others_refuse_wrong_numbers_and_sizes():
    photograph, maps = np.zeros((4, 4, 3)), table(1, 2, (4, 4))
    with pytest.raises(InvalidInput, match="1 rows of maps and 2 photographs"):
        methods_figure([photograph] * 2, maps, ["a"], ["b", "c"])
    with pytest.raises(InvalidInput, match="0 edge maps"):
        methods_figure([photograph], maps, ["a"], ["b", "c"], edges=[])
    with pytest.raises(InvalidInput, match=r"row 0 is \(4, 4\) and its photograph \(5, 4\)"):
        overlay_figure([np.zeros((5, 4, 3))], maps, ["a"])
    with pytest.raises(InvalidInput, match="faintness is 2"):
        overlay_figure([photograph], maps, ["a"], faintness=2.0)


def test_notes_stand_below_their_panels():
    notes = [[f"{row}.{column}e+04\n0.31" for column in range(4)] for row in range(3)]
    figure = grid_figure(table(3, 4), METHODS[:3], STAGES[:4], image=table(1, 1)[0, 0], notes=notes, caption="c")
    assert_nothing_overlaps(figure)
    shown = {text.get_text(): text.get_position() for text in texts(figure)}
    for label, image in images(figure, "panel").items():
        row, column = map(int, label.split()[1:])
        left, right, bottom, _ = image.get_extent()
        x, y = shown[notes[row][column]]
        assert x == pytest.approx((left + right) / 2)
        assert 0 <= y - bottom < 0.05
    with pytest.raises(InvalidInput, match="give one for each"):
        grid_figure(table(3, 4), METHODS[:3], STAGES[:4], notes=notes[:2])
