"""The spread of a score at every stage as box plots, several series side by side."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
from jaxtyping import Float, Int
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from probatum.errors import InvalidInput, UnknownName
from probatum.report import text
from probatum.report.frame import Frame
from probatum.report.map_band import MapBand
from probatum.report.style import FAINT_INK, INK, RULE, SMALL_SIZE, TITLE_SIZE, Line, house_style, line_style

WHISKER = 1.5  # interquartile ranges that a whisker may reach, after Tukey (1977)
_GROUP = 0.72  # of the width of a stage that its boxes take
_NAME_LENGTH = 1.5  # inches, the longest name in the legend
_TINT = 0.35  # share of a series' color in the filling of its boxes
_DASHES = (0, (2, 1))
_ROUNDING = 1e-5
_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")

Scores = Float[np.ndarray, "_ _"] | Float[np.ndarray, "_ _ _"]
Quantity = Literal["similarity", "distance", "magnitude"]
_RANGES: dict[Quantity, tuple[float, float]] = {
    "similarity": (-1.0, 1.0),
    "distance": (0.0, np.inf),
    "magnitude": (0.0, np.inf),
}


class Box(NamedTuple):
    """Statistics of a set of scores that one box shows."""

    low: float
    quartiles: tuple[float, float, float]
    high: float
    mean: float
    outliers: Float[np.ndarray, " _"]


def box_of(scores: Float[np.ndarray, "..."]) -> Box | None:
    """Quartiles, whiskers, mean and outliers of the scores that are not NaN; None where there is none.

    The quartiles are interpolated linearly. A whisker ends at the last score within `WHISKER` interquartile ranges of
    the box; scores beyond are outliers.
    """
    values = np.sort(scores[~np.isnan(scores)])
    if not values.size:
        return None
    first, median, third = (float(value) for value in np.percentile(values, (25, 50, 75)))
    reach = WHISKER * (third - first)
    inside = (values >= first - reach) & (values <= third + reach)
    # A quartile lies between two scores: with few of them all on its side may be outliers.
    low, high = min(first, float(values[inside].min())), max(third, float(values[inside].max()))
    return Box(low, (first, median, third), high, float(values.mean()), values[~inside])


def boxes_figure(
    table: Mapping[str, Scores],
    *,
    metric_title: str,
    column_titles: Sequence[str],
    quantity: Quantity = "similarity",
    undefined: Mapping[str, Int[np.ndarray, " _"]] | None = None,
    reference: Mapping[str, Float[np.ndarray, " _"]] | None = None,
    reference_title: str = "reference",
    band: MapBand | None = None,
    caption: str | None = None,
) -> Figure:
    """Box plots of the scores of each series at each stage.

    Source: Kokhlikyan et al. 2021, figures 1, 4, 5, 8, 9 and 11; the mean in each box is ours.

    Args:
        table: `table[series]` holds the scores (stages, images) or (stages, images, trials), all of which go into one
            box a stage. NaN is a score that does not exist and takes no part.
        metric_title: name of the score.
        column_titles: one name for each stage.
        quantity: a similarity is drawn from 0, or from below if it is negative, to 1; a distance from 0 upwards; a
            magnitude, which runs through powers of ten, on a logarithmic scale, and its boxes are those of the
            logarithms. A magnitude of 0 has none and takes no part.
        undefined: how many scores of a series at each stage were set by a rule, because a map was constant. The legend
            counts them and NaN.
        reference: a score of a series at each stage that its box is to be held against, a dashed bar across the box.
        reference_title: what that is.
        band: maps to show above the boxes, each over its stage.
        caption: the protocol; what the boxes are made of is added.

    Returns:
        A figure of the width of an A4 page.

    Raises:
        InvalidInput: no series, stages and titles of different number, an infinite score, a similarity outside [-1, 1]
            or a negative distance or magnitude, or maps that fit neither the stages nor their style.
        UnknownName: a count of a series that is not in the table, or another quantity.
    """
    if quantity not in _RANGES:
        raise UnknownName("quantity", quantity, _RANGES)
    tables = {series: _checked(series, scores, len(column_titles), quantity) for series, scores in table.items()}
    if not tables:
        raise InvalidInput("the table of scores has no series")
    for series in (*(undefined or {}), *(reference or {})):
        if series not in tables:
            raise UnknownName("series in the table", series, tables)
    bars = {series: _bars(series, values, len(column_titles)) for series, values in (reference or {}).items()}
    if logarithmic := quantity == "magnitude":
        tables, bars = ({series: _logarithms(values) for series, values in each.items()} for each in (tables, bars))
    word = "undefined" if logarithmic else "constant"
    names = [_legend_name(series, scores, (undefined or {}).get(series), word) for series, scores in tables.items()]
    names += [text.wrap(reference_title, _NAME_LENGTH, TITLE_SIZE, 2)] * bool(bars)
    boxes = {series: [box_of(scores) for scores in cube] for series, cube in tables.items()}
    stages = [*([band.first_title] if band else []), *column_titles]
    words = "\n".join(filter(None, (caption, _note(tables, logarithmic), band.note if band else None)))
    with house_style():
        frame = Frame(metric_title, stages, words, names, slots=0)
        frame.axes.set_label("boxes")
        frame.axes.grid(visible=False, axis="x")
        _scale(frame, [*tables.values(), *bars.values()], quantity)
        for edge in range(len(stages) - 1):
            frame.axes.axvline(edge + 0.5, color=RULE, linewidth=0.5, zorder=0)
        each = _GROUP / len(tables)
        for position, (series, row) in enumerate(boxes.items()):
            style = line_style(position)
            places = each * (position - (len(tables) - 1) / 2) + np.arange(len(stages) - len(row), len(stages))
            _draw(frame, [*zip(places.tolist(), row, strict=True)], 0.8 * each, style)
            if series in bars:
                ends = places - each / 2, places + each / 2
                frame.axes.hlines(bars[series], *ends, colors=style.color, linestyles=_DASHES, linewidth=1.0, zorder=4)
        if bars:
            frame.handles.append(Line2D([], [], color=FAINT_INK, linestyle=_DASHES, linewidth=1.0))
        frame.draw_legend()
        if band:
            band.draw_above(frame, len(column_titles))
    return frame.figure


def _draw(frame: Frame, boxes: Sequence[tuple[float, Box | None]], width: float, style: Line) -> None:
    """Draws the boxes of one series, and returns its entry in the legend."""
    tint = tuple(1 - _TINT * (1 - channel) for channel in to_rgb(style.color))
    dot: dict[str, Any] = {"color": style.color, "marker": style.marker, "markersize": 3.0, "markeredgewidth": 0.4}
    dot |= {"markerfacecolor": style.color, "markeredgecolor": "white", "linestyle": "none"}
    thin: dict[str, Any] = {"color": style.color, "linewidth": 0.8}
    shown = [(place, box) for place, box in boxes if box is not None]
    frame.axes.bxp(
        [
            {
                **dict(zip(("q1", "med", "q3"), box.quartiles, strict=True)),
                "whislo": box.low,
                "whishi": box.high,
                "mean": box.mean,
                "fliers": box.outliers,
            }
            for _, box in shown
        ],
        positions=[place for place, _ in shown],
        widths=width,
        manage_ticks=False,
        patch_artist=True,
        showmeans=True,
        boxprops={"facecolor": tint, "edgecolor": style.color, "linewidth": 0.8},
        medianprops={"color": INK, "linewidth": 1.1},
        whiskerprops=thin,
        capprops=thin,
        meanprops=dot,
        flierprops={"marker": ".", "markersize": 2.2, "markerfacecolor": style.color, "markeredgewidth": 0},
        zorder=3,
    )
    frame.handles.append(Line2D([], [], **dot | {"color": tint, "linestyle": "-", "linewidth": 6.5}))
    frame.handles[-1].set_solid_capstyle("butt")


def _checked(series: str, scores: Scores, stages: int, quantity: Quantity) -> Float[np.ndarray, "stages observations"]:
    """The scores of one series, refused if they cannot be what they are said to be."""
    if scores.ndim not in (2, 3) or len(scores) != stages or 0 in scores.shape:
        raise InvalidInput(f"the scores of {series!r} have shape {scores.shape}; there are {stages} titles of stages")
    flat = scores.astype(np.float64).reshape(stages, -1)
    lowest, highest = _RANGES[quantity]
    outside = (flat < lowest - _ROUNDING) | (flat > highest + _ROUNDING) | np.isinf(flat)
    if outside.any():
        raise InvalidInput(
            f"the scores of {series!r} hold {flat[outside][0]:.6g}, but a {quantity} is finite and lies in "
            f"[{lowest:g}, {highest:g}]"
        )
    return flat


def _bars(series: str, values: np.ndarray, stages: int) -> Float[np.ndarray, " stages"]:
    """Returns the reference scores; InvalidInput where there is not one for each stage."""
    if values.shape != (stages,) or np.isinf(values).any():
        raise InvalidInput(
            f"the reference of {series!r} is {values.tolist()}; give a number for each of {stages} stages"
        )
    return values


def _logarithms(values: np.ndarray) -> np.ndarray:
    """Logarithms to the base 10; NaN for numbers that are not positive."""
    found: np.ndarray = np.log10(np.where(values > 0, values, np.nan))
    return found


def _scale(frame: Frame, shown: Sequence[np.ndarray], quantity: Quantity) -> None:
    """The range of the scores: all of them; 0, and for a similarity 1; the powers of ten round a magnitude."""
    values = np.concatenate([scores[~np.isnan(scores)] for scores in shown])
    if quantity == "magnitude":
        ends = (float(values.min()), float(values.max())) if values.size else (0.0, 1.0)
        bottom, top = np.floor(ends[0] - 0.05), np.ceil(ends[1] + 0.05)
        powers = range(int(bottom), int(top) + 1, max(1, round((top - bottom) / 8)))
        for line in [*frame.axes.lines]:  # the frame's line at 0, which means nothing here
            line.remove()
        frame.axes.set_ylim(bottom, top)
        labels = [f"10{str(power).translate(_RAISED)}" for power in powers]
        frame.axes.set_yticks(powers, labels, fontsize=SMALL_SIZE)  # they are longer than those of other scales
        return
    least, most = (float(values.min()), float(values.max())) if values.size else (0.0, 1.0)
    if quantity == "distance":
        bottom, top = (-0.03 * most, 1.06 * most) if most > 0 else (-0.03, 1.0)
    else:
        bottom, top = (max(-1.0, float(np.floor(least * 5) / 5)) if least < -0.02 else 0.0) - 0.03, 1.04
        frame.axes.set_yticks(np.arange(np.ceil(bottom * 5), 6) / 5)
    frame.axes.set_ylim(bottom, top)
    frame.axes.axhline(0, color=FAINT_INK, linewidth=0.6, zorder=1)


def _note(tables: Mapping[str, np.ndarray], logarithmic: bool) -> str:
    """The sentence below the figure that explains the boxes."""
    sizes = sorted({int((~np.isnan(row)).sum()) for scores in tables.values() for row in scores})
    count = str(sizes[0]) if len(sizes) == 1 else f"{sizes[0]} to {sizes[-1]}"
    mean, of = ("geometric mean", " (of the logarithms)") if logarithmic else ("mean", "")
    return (
        f"Boxes: quartiles of {count} scores, line: median, marker: {mean}; whiskers: the last score within "
        f"{WHISKER:g} interquartile ranges of the box{of}; dots: outliers."
    )


def _legend_name(series: str, scores: np.ndarray, ruled: np.ndarray | None, word: str) -> str:
    """The name of a series, with the number of its undefined scores if it has any."""
    missing, stages = np.isnan(scores).sum(axis=1), len(scores)
    given = np.zeros_like(missing) if ruled is None else np.asarray(ruled)
    if given.shape != missing.shape or (given < 0).any() or (given + missing > scores.shape[1]).any():
        raise InvalidInput(
            f"the undefined scores of {series!r} are counted as {given.tolist()}; give a number for each of the "
            f"{stages} stages, of {scores.shape[1]} scores at most"
        )
    name, count = text.wrap(series, _NAME_LENGTH, TITLE_SIZE, 2), int((missing + given).sum())
    return f"{name}\n({count} of {scores.size} {word})" if count else name
