"""Similarity or distance against the stage of the randomization, one curve for each method."""

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
from jaxtyping import Float, Int
from matplotlib.figure import Figure

from probatum.errors import InvalidInput, UnknownName
from probatum.report import text
from probatum.report.frame import Frame
from probatum.report.intervals import RESAMPLES, Interval, bootstrap_interval
from probatum.report.style import TITLE_SIZE, house_style, line_style

_NAME_LENGTH = 1.5  # inches, the longest name in the legend
_STEP = 0.05  # of a stage, by which the methods are set apart so that their bars can be told apart
_ROUNDING = 1e-5
_RANGES = {"similarity": (-1.0, 1.0), "distance": (0.0, np.inf), "rise": (-np.inf, np.inf)}


def curves_figure(
    table: Mapping[str, Float[np.ndarray, "_ _"] | Float[np.ndarray, "_ _ _"]],
    *,
    metric_title: str,
    column_titles: Sequence[str],
    quantity: Literal["similarity", "distance", "rise"] = "similarity",
    control: float | Float[np.ndarray, " _"] | None = None,
    control_title: str = "Edge detector",
    ceiling: Mapping[str, float] | None = None,
    undefined: Mapping[str, Int[np.ndarray, " _"]] | None = None,
    level: float = 0.95,
    seed: int = 0,
    shared_trials: bool = True,
    caption: str | None = None,
) -> Figure:
    """The mean score of each method at each stage, with its bootstrap interval over images and trials.

    Source: the SSIM and rank correlation curves of Adebayo et al. 2018, arXiv:1810.03292; the intervals are ours.

    Args:
        table: `table[method]` holds the scores (stages, images) or (stages, images, trials). NaN is a score that does
            not exist: the mean is over the others.
        metric_title: name of the score.
        column_titles: one name for each stage.
        quantity: a similarity is drawn from 0, or from below if it is negative, to 1; a distance from 0 upwards;
            a rise round 0.
        control: the score of the control at every stage or at each, a dashed gray line.
        control_title: name of the control.
        ceiling: the score of a method against itself under another seed, a mark of its color at the right edge.
        undefined: how many scores of a method at each stage were set by a rule, because a map was constant. A stage
            with such scores or with NaN has a hollow marker, and the legend counts both.
        level: of the intervals.
        seed: of the bootstrap.
        shared_trials: whether trial t is the same randomized model for every image, see `bootstrap_interval`.
        caption: the protocol; the numbers of images and trials and the kind of interval are added.

    Returns:
        A figure of the width of an A4 page.

    Raises:
        InvalidInput: no method, stages and titles of different number, an infinite score, a similarity outside [-1, 1]
            or a negative distance.
        UnknownName: a ceiling or a count of a method that is not in the table, or another quantity.
    """
    if quantity not in _RANGES:
        raise UnknownName("quantity", quantity, _RANGES)
    tables = {method: _checked(method, scores, len(column_titles), quantity) for method, scores in table.items()}
    if not tables:
        raise InvalidInput("the table of scores has no method")
    for method in (*(ceiling or {}), *(undefined or {})):
        if method not in tables:
            raise UnknownName("method in the table", method, tables)
    for method, value in (ceiling or {}).items():
        if not np.isfinite(value):
            raise InvalidInput(f"the noise ceiling of {method!r} is {value}; leave it out where there is none")
    intervals = {
        method: bootstrap_interval(scores, level, seed, shared_trials=shared_trials)
        for method, scores in tables.items()
    }
    lines = None if control is None else _control(control, len(column_titles))
    bottom, top = _scale([*intervals.values()], lines, ceiling or {}, quantity)
    marks = _ceiling_marks(ceiling or {}, 0.03 * (top - bottom))
    styles = {method: line_style(position) for position, method in enumerate(tables)}
    names = [_short(control_title)] * (lines is not None)
    counts = {method: _undefined(method, scores, undefined or {}) for method, scores in tables.items()}
    names += [_legend_name(method, int(counts[method].sum()), scores.size) for method, scores in tables.items()]
    names += ["noise ceiling"] * bool(marks)
    note = _note(tables, level, seed, shared_trials)
    words = note if caption is None else f"{caption}\n{note}"
    with house_style():
        frame = Frame(metric_title, column_titles, words, names, slots=len({slot for _, _, slot in marks}))
        frame.axes.set_ylim(bottom, top)
        if quantity == "similarity":
            frame.axes.set_yticks(np.arange(np.ceil(bottom * 5), 6) / 5)
        if lines is not None:
            frame.draw_control(lines)
        step = min(_STEP, 0.6 / len(tables))
        for position, (method, interval) in enumerate(intervals.items()):
            offset = step * (position - (len(tables) - 1) / 2)
            frame.draw_method(interval, counts[method] > 0, styles[method], offset)
        if marks:
            frame.draw_ceiling([(value, slot, styles[method].color) for method, value, slot in marks])
        frame.draw_legend()
    return frame.figure


def _control(control: float | Float[np.ndarray, " _"], stages: int) -> Float[np.ndarray, " stages"]:
    """The control's score at each stage."""
    scores = np.asarray(control, dtype=np.float64)
    if scores.shape not in ((), (stages,)):
        raise InvalidInput(f"the control has {scores.size} scores; give one, or one for each of the {stages} stages")
    return np.broadcast_to(scores, stages)


def _checked(method: str, scores: np.ndarray, stages: int, quantity: str) -> Float[np.ndarray, "stages images trials"]:
    """The scores of one method as (stages, images, trials), refused if they cannot be what they are said to be."""
    cube = scores[..., None] if scores.ndim == 2 else scores
    if cube.ndim != 3 or len(cube) != stages or 0 in cube.shape:
        raise InvalidInput(f"the scores of {method!r} have shape {scores.shape}; there are {stages} titles of stages")
    lowest, highest = _RANGES[quantity]
    if (cube < lowest - _ROUNDING).any() or (cube > highest + _ROUNDING).any():
        found = f"from {np.nanmin(cube):.6g} to {np.nanmax(cube):.6g}"
        raise InvalidInput(f"the scores of {method!r} run {found}, but a {quantity} lies in [{lowest:g}, {highest:g}]")
    return cube


def _note(tables: Mapping[str, np.ndarray], level: float, seed: int, shared_trials: bool) -> str:
    """The sentence below the figure that explains the points and bars."""
    counts = {scores.shape[1:] for scores in tables.values()}
    images, trials = (
        str(min(sizes)) if min(sizes) == max(sizes) else f"{min(sizes)} to {max(sizes)}"
        for sizes in zip(*counts, strict=True)
    )
    drawn = "images and trials" if shared_trials else "images, and trials within each,"
    bars = f"{100 * level:g} % bootstrap interval, {drawn} drawn {RESAMPLES} times, seed {seed}"
    return f"Points: mean over images ({images}) and trials ({trials}). Bars: {bars}."


def _scale(
    intervals: Sequence[Interval],
    control: Float[np.ndarray, " stages"] | None,
    ceiling: Mapping[str, float],
    quantity: str,
) -> tuple[float, float]:
    """The range of the scores: to 1 from 0 or below for a similarity, from 0 for a distance, with 0 for a rise."""
    shown = [end for interval in intervals for end in interval]
    shown += [np.array([*ceiling.values()], dtype=np.float64), np.zeros(0) if control is None else control]
    values = np.concatenate(shown)
    values = values[~np.isnan(values)]
    least, most = (float(values.min()), float(values.max())) if values.size else (0.0, 1.0)
    if quantity == "rise":
        least, most = min(least, 0.0), max(most, 0.0)
        margin = 0.05 * (most - least) or 1.0
        return least - margin, most + margin
    if quantity == "distance":
        return (-0.03 * most, 1.06 * most) if most > 0 else (-0.03, 1.0)
    return -0.04 if least > -0.04 else max(-1.0, float(np.floor(least * 5) / 5)) - 0.02, 1.04


def _ceiling_marks(ceiling: Mapping[str, float], height: float) -> list[tuple[str, float, int]]:
    """The marks (method, score, slot); those that would overlap stand side by side in several slots."""
    marks: list[tuple[str, float, int]] = []
    for method, value in ceiling.items():
        near = {slot for _, other, slot in marks if abs(other - value) < height}
        marks.append((method, value, next(slot for slot in range(len(marks) + 1) if slot not in near)))
    return marks


def _short(name: str) -> str:
    """A name, shortened where the legend has no room for it."""
    return text.wrap(name, _NAME_LENGTH, TITLE_SIZE, 2)


def _undefined(method: str, scores: np.ndarray, given: Mapping[str, np.ndarray]) -> Int[np.ndarray, " stages"]:
    """How many scores of a method at each stage are NaN or were set by a rule."""
    missing = np.isnan(scores).sum(axis=(1, 2))
    ruled = np.asarray(given.get(method, np.zeros_like(missing)))
    if ruled.shape != missing.shape or (ruled < 0).any() or (ruled + missing > scores[0].size).any():
        raise InvalidInput(
            f"the undefined scores of {method!r} are counted as {ruled.tolist()}; give a number for each of the "
            f"{len(missing)} stages, of {scores[0].size} scores at most"
        )
    return np.asarray(missing + ruled)


def _legend_name(method: str, missing: int, scores: int) -> str:
    """The name of a method, with the number of its undefined scores if it has any."""
    return f"{_short(method)}\n({missing} of {scores} constant)" if missing else _short(method)
