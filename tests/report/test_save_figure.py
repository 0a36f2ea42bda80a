"""Files of figures: names, bytes, atomicity, and the state that is left as found."""

import io
import sys
import time
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from PIL import Image

import probatum.report
from probatum.errors import UnknownName
from probatum.report import curves_figure, grid_figure, save_figure


def maps():
    return grid_figure(np.random.default_rng(0).uniform(size=(2, 3, 8, 8)), ["$a", "b"], ["c", "d_e", "f"], caption="g")


def curves():
    table = {"Gradient": np.random.default_rng(0).uniform(size=(3, 5, 2))}
    return curves_figure(table, metric_title="SSIM", column_titles=["a", "b", "c"], control=1.0)


@pytest.mark.parametrize("figure", [maps, curves])
def test_same_bytes_for_the_same_figure(figure, tmp_path):
    formats = ["png", "pdf", "svg"]
    first = save_figure(figure(), tmp_path / "first", formats)
    again_later = figure()
    time.sleep(1.1)  # the dates inside such files count seconds
    with matplotlib.rc_context({"font.size": 30, "text.usetex": True, "savefig.bbox": "tight", "svg.fonttype": "none"}):
        second = save_figure(again_later, tmp_path / "second", formats)
        third = save_figure(figure(), tmp_path / "third", formats)
    for one, other, another in zip(first, second, third, strict=True):
        assert one.read_bytes() == other.read_bytes() == another.read_bytes()
    for path in first:
        assert b"matplotlib v" not in path.read_bytes().lower()


def test_fonts_are_embedded(tmp_path):
    pdf, svg = save_figure(maps(), tmp_path / "figure", ["pdf", "svg"])
    assert b"/FontFile2" in pdf.read_bytes()
    assert b"<text" not in svg.read_bytes()  # letters are drawn as outlines


def test_every_panel_is_a_picture_of_its_own_in_a_pdf(tmp_path):
    (path,) = save_figure(maps(), tmp_path / "a.pdf")
    assert path.read_bytes().count(b"/Subtype /Image") == 2 * 3 + 1  # the panels and the color key


@pytest.mark.parametrize(
    ("name", "formats", "files"),
    [
        ("a", None, ["a.png"]),
        ("a.png", None, ["a.png"]),
        ("a.PDF", None, ["a.pdf"]),
        ("a.svg", ["png", "pdf"], ["a.png", "a.pdf"]),
        ("layer4.1", None, ["layer4.1.png"]),
        ("deep/er/a", ["png"], ["deep/er/a.png"]),
    ],
)
def test_names(name, formats, files, tmp_path):
    written = save_figure(curves(), tmp_path / name, formats, dpi=50)
    assert written == [tmp_path / file for file in files]
    assert sorted(path for path in tmp_path.rglob("*") if path.is_file()) == sorted(written)


def test_resolution(tmp_path):
    figure = maps()
    (path,) = save_figure(figure, tmp_path / "a")
    with Image.open(path) as picture:
        assert picture.size == tuple(round(side * 200) for side in figure.get_size_inches())


def test_an_interrupted_write_leaves_the_old_file(tmp_path, monkeypatch):
    (path,) = save_figure(curves(), tmp_path / "a", dpi=50)
    before = path.read_bytes()

    def broken(handle):
        raise OSError("disk full")

    monkeypatch.setattr("os.fsync", broken)
    with pytest.raises(OSError, match="disk full"):
        save_figure(maps(), tmp_path / "a", dpi=50)
    assert path.read_bytes() == before
    assert [*tmp_path.iterdir()] == [path]


def test_unknown_format(tmp_path):
    with pytest.raises(UnknownName, match="figure format"):
        save_figure(curves(), tmp_path / "a", ["png", "jpeg"])
    assert [*tmp_path.iterdir()] == []


def test_maps_and_gaps_fall_on_whole_dots(tmp_path):
    """White panels on the gray sheet: every gap of the picture is four dots wide at 200 dots per inch."""
    figure = grid_figure(np.zeros((3, 7, 8, 8)), list("abc"), list("defghij"))
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=200)
    dots = np.asarray(Image.open(buffer).convert("L")).astype(int)
    left, right, bottom, top = figure.axes[0].get_images()[0].get_extent()
    line = dots[round((top + bottom) / 2 * 200), round(left * 200) - 4 :]
    edges = np.flatnonzero(np.diff((line == 0xC4).astype(int)))
    widths = np.diff([-1, *edges])[: 2 * 7 + 1]
    # One dot of slack: matplotlib before 3.9 draws some pictures a dot too wide.
    np.testing.assert_allclose(widths, [4, *[round((right - left) * 200), 4] * 7], rtol=0, atol=1)


def test_settings_are_left_as_found(tmp_path):
    before = dict(matplotlib.rcParams)
    save_figure(maps(), tmp_path / "a")
    save_figure(curves(), tmp_path / "b", ["pdf"])
    assert dict(matplotlib.rcParams) == before


def test_pyplot_is_never_imported(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)  # an import of it now fails
    save_figure(maps(), tmp_path / "a", ["png", "pdf", "svg"])
    save_figure(curves(), tmp_path / "b")
    for source in Path(probatum.report.__file__).parent.glob("*.py"):
        assert "pyplot" not in source.read_text(encoding="utf-8")
