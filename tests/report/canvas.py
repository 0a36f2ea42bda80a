"""What the tests of figures look at: the extents of the texts and pictures, in dots."""

from itertools import combinations

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text

from probatum.report.style import house_style

HOSTILE = [
    r"$\alpha_",
    r"\frac{1}{$",
    "a" * 500,
    "<b>&amp;</b> {x} 100 % #",
    "日本語 ラベル",
    "_hidden",
    "line\nbreak\ttab",
    "",
    "carpenter's kit, tool kit, and a very long list of synonyms, indeed",
    "\x00\x1b[31m\u202e\ud800",
    "encoder.layer.10.attention.output.dense.weight",
    "encoder.layer.11.attention.output.dense.weight",
]


def texts(figure: Figure) -> list[Text]:
    """Every text that is shown."""
    return [text for text in figure.findobj(Text) if text.get_visible() and text.get_text()]


def words(figure: Figure) -> list[str]:
    return [text.get_text() for text in texts(figure)]


def assert_nothing_overlaps(figure: Figure, slack: float = 1.0) -> None:
    """No text covers another or leaves the figure, and none covers a picture; `slack` in dots."""
    with house_style():
        renderer = FigureCanvasAgg(figure).get_renderer()
        figure.draw(renderer)
        extents = [(text.get_text(), text.get_window_extent(renderer)) for text in texts(figure)]
    pictures = [
        (image.get_label(), image.get_window_extent(renderer)) for axes in figure.axes for image in axes.get_images()
    ]
    for name, box in extents:
        assert box.x0 >= -slack, name
        assert box.y0 >= -slack, name
        assert box.x1 <= figure.bbox.x1 + slack, name
        assert box.y1 <= figure.bbox.y1 + slack, name
    for (name, one), (other_name, other) in [*combinations(extents, 2), *((e, p) for e in extents for p in pictures)]:
        across = min(one.x1, other.x1) - max(one.x0, other.x0)
        along = min(one.y1, other.y1) - max(one.y0, other.y0)
        assert min(across, along) <= slack, f"{name!r} covers {other_name!r}"
