"""Sizes, colors and markers of every figure, applied for the time of drawing only."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal, NamedTuple

import matplotlib
import matplotlib.style
import numpy as np
from jaxtyping import Float
from matplotlib.colors import Colormap, LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

MapStyle = Literal["abs-normalized", "diverging"]

PAGE_WIDTH, PAGE_HEIGHT = 7.48, 10.9  # inches: A4 less a margin of 10 mm on each side
MOST_ROWS = 48  # of a figure; more would make it too tall to open
RESOLUTION = 200  # dots per inch of a PNG
TITLE_SIZE, SMALL_SIZE = 7.0, 6.0  # points, at the printed size
LINE_SPACING = 1.2  # height of a line of text in units of its size

INK = "#1a1a1a"
FAINT_INK = "#595959"
SEPARATOR = "#c4c4c4"
RULE = "#e2e2e2"

# White to dark red, as the papers show absolute maps; the lightness falls steadily, so a gray print keeps the order.
_REDS = LinearSegmentedColormap.from_list("probatum.absolute", ["#ffffff", "#fdc9b4", "#fb7252", "#d9201f", "#7f0010"])
COLOR_MAPS: dict[MapStyle, Colormap] = {"abs-normalized": _REDS, "diverging": matplotlib.colormaps["coolwarm"]}
LIMITS: dict[MapStyle, tuple[float, float]] = {"abs-normalized": (0.0, 1.0), "diverging": (-1.0, 1.0)}

# The font ships with matplotlib: the same letters, widths and bytes on every machine.
FONT = "DejaVu Sans"
_SETTINGS = {
    "font.family": FONT,
    "font.size": TITLE_SIZE,
    "text.parse_math": False,  # a title is text, whatever signs it holds
    "text.usetex": False,
    "text.color": INK,
    "text.hinting": "no_hinting",  # a line is as wide at every resolution, so that the layout holds
    "image.composite_image": False,  # one picture of all panels would be shifted against the gaps between them
    "pdf.fonttype": 42,  # TrueType letters embedded in the file, so that text stays text
    "svg.fonttype": "path",
    "svg.hashsalt": "probatum",  # otherwise the names inside an SVG are random
}


def colors(values: Float[np.ndarray, "_ _"], style: MapStyle) -> Float[np.ndarray, "_ _ 3"]:
    """The red, green and blue in [0, 1] of a normalized map."""
    lowest, highest = LIMITS[style]
    return np.asarray(COLOR_MAPS[style]((values - lowest) / (highest - lowest))[..., :3])


class Line(NamedTuple):
    """Color, marker and dashes of the curve of one method."""

    color: str
    marker: str
    dashes: tuple[float, tuple[float, ...]]


# First the hues of Okabe & Ito (2008), told apart by color-blind readers, the yellow and the purple darkened to be seen
# on white; then lighter and darker ones between them. Neighbors in the list differ in lightness, marker and dashes.
_COLORS = (
    *("#0072b2", "#e69f00", "#009e73", "#000000", "#d55e00", "#56b4e9", "#b3568c", "#8c7a00"),
    *("#3b3b98", "#7fbf3f", "#7a1f1f", "#c39bd3", "#0b5345", "#f1948a", "#5d4037", "#17a2b8"),
    *("#6c3483", "#b7950b", "#1b4f72", "#ff6f91", "#4b6b00", "#999999", "#a04000", "#2e86c1"),
)
_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "*", "h")
_DASHES: tuple[tuple[float, tuple[float, ...]], ...] = (
    (0, ()),
    (0, (5, 1.5)),
    (0, (1.5, 1.2)),
    (0, (5, 1.2, 1.2, 1.2)),
)


def line_style(index: int) -> Line:
    """The color, marker and dashes of the method at a position in its table; 24 differ in color, 264 in all."""
    return Line(_COLORS[index % len(_COLORS)], _MARKERS[index % 11], _DASHES[index % 4])


def ticks_within(low: float, high: float, most: int) -> list[float]:
    """Round numbers between the ends of an axis, so that none is drawn outside of the figure."""
    return [float(tick) for tick in MaxNLocator(most).tick_values(low, high) if low <= tick <= high]


@contextmanager
def house_style() -> Iterator[None]:
    """Matplotlib's own defaults with the settings of the package, whatever the user has set; put back on leaving."""
    with matplotlib.style.context(["default", _SETTINGS]):
        yield


class PageFigure(Figure):
    """A white figure that a notebook shows, and that is drawn in the style of the package wherever it is drawn.

    Args:
        width: in inches.
        height: in inches.
    """

    def __init__(self, width: float, height: float) -> None:
        super().__init__(figsize=(width, height), dpi=RESOLUTION, facecolor="white")

    def savefig(self, fname: Any, **options: Any) -> None:
        """Writes the figure as matplotlib does, with the letters that its layout was made for."""
        with house_style():
            super().savefig(fname, **options)

    def _repr_png_(self) -> bytes:
        """The picture that a notebook shows."""
        picture = io.BytesIO()
        self.savefig(picture, format="png")
        return picture.getvalue()
