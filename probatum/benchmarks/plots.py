"""A record as a figure: times beside probatum's, memory or agreement against gradients, or shares of verdicts."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from textwrap import fill, shorten
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from probatum.benchmarks.contest import BARE
from probatum.benchmarks.record import BOUND, OURS, PROCESS, SHARES, Entry, Record
from probatum.benchmarks.tables import protocol
from probatum.engine.budget import CPU_DEFAULT
from probatum.errors import InvalidInput
from probatum.experiments.verdicts import INSENSITIVE_FROM, SENSITIVE_UP_TO

_WIDTH, _ROW, _LABEL = 7.48, 0.21, 2.9  # inches: A4 less its margins, one contestant, the names at the left
_LABEL_LETTERS = 46  # of a title at the left
_FAINT, _RULE = "#595959", "#e2e2e2"
# The hues of Okabe & Ito (2008), which color-blind readers tell apart; rivals take the later ones in turn.
_COLORS = {OURS: "#0072b2", BARE: "#000000"}
_OTHERS = ("#d55e00", "#009e73", "#b3568c", "#e69f00", "#56b4e9")
_MARKERS = ("o", "s", "^", "D", "v", "P", "X")
_SETTINGS: Any = {"font.family": "DejaVu Sans", "font.size": 7.0, "text.parse_math": False}


def figure(record: Record) -> Figure:
    """Draws what a record shows best.

    Raises:
        InvalidInput: the record holds nothing that can be drawn.
    """
    with _style():
        if record.suite == "gradients":
            return _spent(record)
        if record.suite == "memory-large":
            return _processes(record)
        if any(entry.scores and entry.gradients for entry in record.entries):
            return _curves(record)
        if any(entry.scores for entry in record.entries):
            return _shares(record)
        if any(entry.memory is not None for entry in record.entries):
            return _memory(record)
        if any(entry.seconds for entry in record.entries):
            return _times(record)
    raise InvalidInput(f"the record of {record.suite} has nothing to draw")


def _times(record: Record) -> Figure:
    """A row for each contestant: its time in units of probatum's, or in seconds where there is nobody beside it."""
    contests = {name: [entry for entry in entries if entry.seconds] for name, entries in record.contests.items()}
    alone = all(len({entry.name for entry in entries}) == 1 for entries in contests.values())
    titles = {contest: fill(contest, _LABEL_LETTERS) for contest in contests}
    rows = sum(len(entries) + 1.6 + 0.6 * titles[contest].count("\n") for contest, entries in contests.items())
    canvas, axes = _canvas(record, rows * _ROW)
    y = 0.0
    for contest, entries in contests.items():
        extra = 0.6 * titles[contest].count("\n")
        y += 1.0 + extra
        axes.annotate(titles[contest], (0, y - extra / 2), xycoords=("axes fraction", "data"),
                      xytext=(-_LABEL * 72 + 4, 0), textcoords="offset points", va="center", fontweight="bold",
                      annotation_clip=False)  # fmt: skip
        for entry in entries:
            y += 1.0
            spread = entry.time if alone else record.relative(entry)
            axes.annotate(entry.name, (0, y), xycoords=("axes fraction", "data"), xytext=(-6, 0), ha="right",
                          textcoords="offset points", va="center", annotation_clip=False)  # fmt: skip
            if spread is None:
                continue
            color = _colors(record)[entry.who]
            axes.plot([spread.low, spread.high], [y, y], color=color, linewidth=1.4, solid_capstyle="butt", zorder=3)
            axes.plot([spread.median], [y], color=color, marker=_marker(entry, entries), markersize=4.2, zorder=4,
                      markerfacecolor="white" if entry.who == OURS and entry is not entries[0] else color)  # fmt: skip
            label = f"{spread.median:.3g}" + (f"   error {entry.error:.0e}" if entry.error is not None else "")
            axes.annotate(label, (spread.high, y), xytext=(7, 0), textcoords="offset points", va="center",
                          color=_FAINT, fontsize=6.0,
                          bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.6})  # fmt: skip
        y += 0.6
    axes.set_ylim(y + 0.4, 0)
    axes.set_yticks([])
    axes.set_xscale("log")
    low, high = axes.get_xlim()
    axes.set_xlim(low / 1.1, high * 3)  # room for the numbers
    _plain_ticks(axes.xaxis)
    if not alone:
        axes.axvline(1, color="#8c8c8c", linestyle=(0, (4, 2)), linewidth=1.0, zorder=2)
    axes.set_xlabel("seconds of one call" if alone else "time in units of probatum's (right of 1: probatum is faster)")
    return canvas


def _memory(record: Record) -> Figure:
    """Peak memory of each method against the gradients of one call."""
    canvas, axes = _canvas(record, 2.7, left=0.6)
    for number, (contest, entries) in enumerate(record.contests.items()):
        for who in dict.fromkeys(entry.who for entry in entries):
            points = sorted(
                (entry.gradients, entry.memory / 2**20)
                for entry in entries
                if entry.who == who and entry.memory is not None and entry.gradients
            )
            if points:
                axes.plot(*zip(*points, strict=True), color=_colors(record)[who], marker=_MARKERS[number % 7],
                          markersize=4.2, linewidth=1.0, linestyle=_dash(number),
                          label=f"{contest}: {who}")  # fmt: skip
    axes.set_xscale("log")
    axes.set_yscale("log")
    _plain_ticks(axes.xaxis, axes.yaxis)
    if record.environment["device_type"] == "cpu":
        axes.axhline(CPU_DEFAULT / 2**20, color="#8c8c8c", linestyle=(0, (4, 2)), linewidth=1.0,
                     label="probatum's default budget")  # fmt: skip
    axes.set_xlabel("gradients of one call")
    axes.set_ylabel("peak memory above the base, MiB")
    _legend(axes)
    return canvas


def _processes(record: Record) -> Figure:
    """A bar for each measurement, the memory of its whole process, beside the bound of 4 GiB."""
    entries = [entry for entry in record.entries if PROCESS in entry.scores]
    canvas, axes = _canvas(record, (len(entries) + 1) * _ROW)
    sizes = [entry.scores[PROCESS] for entry in entries]
    axes.barh(range(len(entries)), sizes, height=0.6, color=_COLORS[OURS])
    names = [", ".join(filter(None, (entry.contest, entry.variant))) for entry in entries]
    axes.set_yticks(range(len(entries)), [shorten(name, 52, placeholder=" ...") for name in names])
    axes.axvline(BOUND, color="#8c8c8c", linestyle=(0, (4, 2)), linewidth=1.0)
    axes.set_ylim(len(entries) - 0.4, -0.6)
    axes.set_xlabel(f"memory of the whole process at its peak, GiB; dashed: {BOUND} GiB")
    return canvas


def _spent(record: Record) -> Figure:
    """A bar for each way to spend gradients, with the factor that it saves beside the first way."""
    rows = sum(len(entries) + 1.6 for entries in record.contests.values())
    canvas, axes = _canvas(record, rows * _ROW)
    y = 0.0
    for contest, entries in record.contests.items():
        y += 1.0
        axes.annotate(contest, (0, y), xycoords=("axes fraction", "data"), xytext=(-_LABEL * 72 + 4, 0),
                      textcoords="offset points", va="center", fontweight="bold", annotation_clip=False)  # fmt: skip
        fixed = entries[0].gradients or 0
        for entry in entries:
            y += 1.0
            spent = entry.gradients or 0
            axes.barh(y, spent, height=0.62, color=_OTHERS[0] if entry is entries[0] else _COLORS[OURS])
            axes.annotate(entry.variant, (0, y), xycoords=("axes fraction", "data"), xytext=(-6, 0), ha="right",
                          textcoords="offset points", va="center", annotation_clip=False)  # fmt: skip
            words = f"{spent:,}" if entry is entries[0] or not spent else f"{spent:,} (÷ {fixed / spent:.2f})"
            axes.annotate(words, (spent, y), xytext=(4, 0), textcoords="offset points", va="center")
        y += 0.6
    axes.set_ylim(y + 0.4, 0)
    axes.set_xlim(0, 1.3 * max(entry.gradients or 0 for entry in record.entries))
    axes.set_yticks([])
    axes.set_xlabel("gradients of a whole check")
    return canvas


def _curves(record: Record) -> Figure:
    """Each score against gradients, a curve for each estimator and subject."""
    names = list(dict.fromkeys(name for entry in record.entries for name in entry.scores))
    height = 2.2
    canvas, first = _canvas(record, height * len(names) + 0.5 * (len(names) - 1), left=0.6, legend=0.3)
    panels = [first] + [canvas.add_axes((0, 0, 0.1, 0.1), label=name) for name in names[1:]]
    box = first.get_position()
    each = box.height * height / (height * len(names) + 0.5 * (len(names) - 1))
    for row, (name, axes) in enumerate(zip(names, panels, strict=True)):
        bottom = box.y1 - each - row * (box.height - each) / max(1, len(names) - 1)
        axes.set_position((box.x0, bottom, box.width, each))
        for number, (subject, estimator) in enumerate(_estimators(record)):
            entries = [e for e in record.contests[subject] if e.variant.split()[0] == estimator and e.gradients]
            line = [(entry.gradients, entry.scores[name]) for entry in entries if name in entry.scores]
            axes.plot(*zip(*line, strict=True), color=_OTHERS[0] if estimator == "nested" else _COLORS[OURS],
                      marker=_MARKERS[number // 2 % 7], linestyle=_dash(number // 2), markersize=4.2, linewidth=1.0,
                      label=f"{subject}: {estimator}")  # fmt: skip
        axes.set_xscale("log")
        _plain_ticks(axes.xaxis)
        _dress(axes)
        axes.set_ylabel(name)
        axes.grid(visible=True, color=_RULE, linewidth=0.5)
    panels[-1].set_xlabel("gradients of one map")
    _legend(panels[0], above=True)
    return canvas


def _shares(record: Record) -> Figure:
    """A row for each method on each network: the share retained under each metric, between the bounds of verdicts."""
    contests = {
        name: [entry for entry in entries if entry.variant.startswith(SHARES)]
        for name, entries in record.contests.items()
    }
    rows = sum(len(entries) + 1.6 for entries in contests.values())
    metrics = list(dict.fromkeys(name for entry in record.entries for name in entry.scores if name != "value"))
    canvas, axes = _canvas(record, rows * _ROW, legend=0.2)
    axes.axvspan(-2, SENSITIVE_UP_TO, color="#e4f0e8", zorder=0)
    axes.axvspan(INSENSITIVE_FROM, 2, color="#f6e5dc", zorder=0)
    y = 0.0
    for network, entries in contests.items():
        y += 1.0
        axes.annotate(network, (0, y), xycoords=("axes fraction", "data"), xytext=(-_LABEL * 72 + 4, 0),
                      textcoords="offset points", va="center", fontweight="bold", annotation_clip=False)  # fmt: skip
        for entry in entries:
            y += 1.0
            method = entry.variant.removeprefix(SHARES)
            axes.annotate(method, (0, y), xycoords=("axes fraction", "data"), xytext=(-6, 0), ha="right",
                          textcoords="offset points", va="center", annotation_clip=False)  # fmt: skip
            for number, metric in enumerate(metrics):
                if metric in entry.scores:
                    axes.plot([entry.scores[metric]], [y], **_dots(number), alpha=0.85, zorder=4)
        y += 0.6
    for number, metric in enumerate(metrics):
        axes.plot([], [], **_dots(number), label=metric)
    axes.set_ylim(y + 0.4, 0)
    axes.set_xlim(-0.15, 1.15)
    axes.set_yticks([])
    axes.set_xlabel("share retained: 0 is chance, 1 is the ceiling (green: sensitive, red: insensitive)")
    _legend(axes, above=True, columns=max(1, len(metrics)))
    return canvas


def _dots(number: int) -> dict[str, Any]:
    return {
        "color": _OTHERS[number % len(_OTHERS)],
        "linestyle": "none",
        "marker": _MARKERS[number % len(_MARKERS)],
        "markersize": 4.2,
    }


def _estimators(record: Record) -> list[tuple[str, str]]:
    return list(dict.fromkeys((entry.contest, entry.variant.split()[0]) for entry in record.entries))


def _colors(record: Record) -> Mapping[str, str]:
    others = [who for who in dict.fromkeys(entry.who for entry in record.entries) if who not in _COLORS]
    return _COLORS | {who: _OTHERS[number % len(_OTHERS)] for number, who in enumerate(others)}


def _marker(entry: Entry, entries: Sequence[Entry]) -> str:
    """Another mark for every way in which one contestant is called."""
    same = [other.variant for other in entries if other.who == entry.who]
    return _MARKERS[same.index(entry.variant) % len(_MARKERS)]


def _dash(number: int) -> tuple[float, tuple[float, ...]]:
    dashes: tuple[tuple[float, ...], ...] = ((), (5.0, 1.5), (1.5, 1.2))
    return (0.0, dashes[number % 3])


def _canvas(record: Record, plot: float, left: float = _LABEL, legend: float = 0.0) -> tuple[Figure, Axes]:
    """A page with its title and caption, and axes of a height in inches, with room for a legend above them."""
    quick = ["a quick run, whose times mean nothing"] if record.config.get("quick") else []
    caption = fill("; ".join([protocol(record), *quick]), 165)
    below, above = 0.55 + 0.115 * (caption.count("\n") + 1), 0.32 + legend
    height = above + plot + below
    canvas = Figure(figsize=(_WIDTH, height), dpi=200, facecolor="white")
    box = (left / _WIDTH, below / height, 1 - (left + 0.15) / _WIDTH, plot / height)
    axes = canvas.add_axes(box, label="plot")
    axes.grid(visible=True, axis="x", color=_RULE, linewidth=0.5)
    _dress(axes)
    canvas.text(0.08 / _WIDTH, 1 - 0.1 / height, f"{record.suite}: {record.title}", va="top", fontsize=8.5)
    canvas.text(0.08 / _WIDTH, 0.05 / height, caption, va="bottom", fontsize=5.5, color=_FAINT)
    return canvas, axes


def _dress(axes: Axes) -> None:
    axes.set_axisbelow(True)
    axes.tick_params(length=2.5, width=0.6, color=_FAINT)
    for spine in axes.spines.values():
        spine.set(linewidth=0.6, color=_FAINT)


def _plain_ticks(*logarithmic: Axis) -> None:
    """1, 2, 5, 10, 20, ... as they are read, not as powers of ten."""
    for axis in logarithmic:
        axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axis.set_minor_locator(NullLocator())
        axis.set_major_formatter(FuncFormatter(lambda value, place: f"{value:g}"))


def _legend(axes: Axes, *, above: bool = False, columns: int = 2) -> None:
    """Names the lines, within the axes or, where lines fill them, above."""
    place: dict[str, Any] = {"loc": "lower left", "bbox_to_anchor": (0.0, 1.0), "ncols": columns} if above else {}
    axes.legend(frameon=False, fontsize=6.0, handlelength=3.0, **place)


@contextmanager
def _style() -> Iterator[None]:
    with matplotlib.rc_context(_SETTINGS):
        yield
