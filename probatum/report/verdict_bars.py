"""The verdicts of one check as a figure: the word on each method, and the numbers that decided between the bounds."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle

from probatum.attributions import title_of
from probatum.experiments.verdicts import (
    INSENSITIVE,
    INSENSITIVE_FROM,
    SENSITIVE,
    SENSITIVE_UP_TO,
    UNDECIDED,
    Judgement,
    Verdict,
    Word,
)
from probatum.report import text
from probatum.report.layout import caption_lines
from probatum.report.style import (
    FAINT_INK,
    INK,
    LINE_SPACING,
    PAGE_WIDTH,
    RULE,
    SMALL_SIZE,
    TITLE_SIZE,
    PageFigure,
    house_style,
    line_style,
    ticks_within,
)

_INKS: dict[Word, str] = {SENSITIVE: "#00694c", INSENSITIVE: "#a8420a", UNDECIDED: FAINT_INK}
_ZONES: dict[Word, str] = {SENSITIVE: "#d9f0e8", INSENSITIVE: "#f7d9c4"}
_MARGIN, _GAP, _STEP = 0.06, 0.3, 0.12  # inches: edge, between panels, from one metric to the next
_NAME, _WORD = 1.55, 0.75  # inches of the longest name, and of the word
_LEGEND, _AXIS = 0.17, 0.4  # inches of a row of the legend, and of a scale with its title
_SLACK = 0.35  # inches that the caption leaves free, for a notebook draws letters wider than a file
_PER_ROW = 4  # metrics in a row of the legend


def verdict_bars_figure(judgement: Judgement, caption: str | None = None) -> Figure:
    """Draws each method's word, and for each metric the number that it looks at with its interval.

    Shares stand in one panel, between the zones of "sensitive" and "insensitive"; rises, which have units of their own,
    in another.

    Args:
        judgement: the verdicts.
        caption: the protocol; the stage, the counts and controls that failed are added.

    Returns:
        A figure of the width of an A4 page.
    """
    shares = [verdict for verdict in judgement.verdicts if verdict.kind != "rise"]
    rises = [verdict for verdict in judgement.verdicts if verdict.kind == "rise"]
    panels = [panel for panel in (shares, rises) if panel]
    metrics = list(dict.fromkeys(verdict.metric for verdict in judgement.verdicts))
    methods = list(judgement.summaries)
    names = [text.wrap(title_of(method), _NAME, TITLE_SIZE, 2) for method in methods]
    left = _MARGIN + max(text.longest(name, TITLE_SIZE) for name in names) + 0.1 + _WORD
    width = (PAGE_WIDTH - left - 2 * _MARGIN - _GAP * (len(panels) - 1)) / len(panels)
    pitch = max(_STEP * (len(metrics) + 1), 0.28)
    plot, legend = pitch * len(methods), _LEGEND * -(-len(metrics) // _PER_ROW) + 0.08
    words = caption_lines(_note(judgement, caption), PAGE_WIDTH - 2 * _MARGIN - _SLACK)
    height = legend + plot + _AXIS + text.height(words, SMALL_SIZE) + 2 * _MARGIN
    bottom = height - _MARGIN - legend - plot
    with house_style():
        figure = PageFigure(PAGE_WIDTH, height)
        for number, panel in enumerate(panels):
            box = (left + number * (width + _GAP), bottom, width, plot)
            sizes = (PAGE_WIDTH, height, PAGE_WIDTH, height)
            place = [length / whole for length, whole in zip(box, sizes, strict=True)]
            axes = figure.add_axes((place[0], place[1], place[2], place[3]), label=f"verdicts {number}")
            _draw(axes, panel, methods, metrics, pitch)
        for row, (name, summary) in enumerate(zip(names, judgement.summaries.values(), strict=True)):
            middle = (bottom + plot - pitch * (row + 0.5)) / height
            figure.text(
                (left - _WORD - 0.08) / PAGE_WIDTH, middle, name, ha="right", va="center", multialignment="right",
                fontsize=TITLE_SIZE, linespacing=LINE_SPACING, parse_math=False,
            )  # fmt: skip
            figure.text(
                (left - 0.08) / PAGE_WIDTH, middle, summary.word, ha="right", va="center", fontsize=TITLE_SIZE,
                color=_INKS[summary.word], fontweight="bold",
            )  # fmt: skip
        labels = [text.shorten(text.clean(metric), 1.5, TITLE_SIZE) for metric in metrics]
        figure.legend(
            _handles(len(metrics)), labels, loc="upper left", ncols=_PER_ROW, frameon=False, fontsize=TITLE_SIZE,
            bbox_to_anchor=(left / PAGE_WIDTH, 1 - _MARGIN / height), borderaxespad=0, borderpad=0,
        )  # fmt: skip
        figure.text(
            _MARGIN / PAGE_WIDTH, (bottom - _AXIS) / height, words, ha="left", va="top", fontsize=SMALL_SIZE,
            color=FAINT_INK, linespacing=LINE_SPACING, parse_math=False,
        )  # fmt: skip
    return figure


def _draw(
    axes: Axes, verdicts: Sequence[Verdict], methods: Sequence[str], metrics: Sequence[str], pitch: float
) -> None:
    """One panel: the zones of the words, and a dot with its interval for each verdict that has a number."""
    ends = np.array([[verdict.low, verdict.high] for verdict in verdicts], dtype=np.float64)
    rises = verdicts[0].kind == "rise"
    least, most = float(np.nanmin(ends, initial=0.0)), float(np.nanmax(ends, initial=0.0 if rises else 1.0))
    margin = 0.06 * (most - least) or 1.0
    low, high = least - margin, most + margin
    axes.set(xlim=(low, high), ylim=(pitch * len(methods), 0), yticks=[])
    zones = (
        {SENSITIVE: (0.0, high)}
        if rises
        else {SENSITIVE: (low, SENSITIVE_UP_TO), INSENSITIVE: (INSENSITIVE_FROM, high)}
    )
    for word, (start, stop) in zones.items():
        axes.add_patch(Rectangle((start, 0), stop - start, pitch * len(methods), facecolor=_ZONES[word], zorder=0))
    for row in range(1, len(methods)):
        axes.axhline(pitch * row, color=RULE, linewidth=0.8, zorder=1)
    for verdict in verdicts:
        if not np.isfinite(verdict.value):
            continue
        column, looks = metrics.index(verdict.metric), line_style(metrics.index(verdict.metric))
        y = pitch * (methods.index(verdict.method) + 0.5) + _STEP * (column - (len(metrics) - 1) / 2)
        axes.plot([verdict.low, verdict.high], [y, y], color=looks.color, linewidth=1.0, zorder=3)
        axes.plot(
            [verdict.value], [y], linestyle="none", marker=looks.marker, markersize=3.6, color=looks.color, zorder=4
        )
    axes.tick_params(labelsize=SMALL_SIZE, length=2, width=0.5, color=FAINT_INK, labelcolor=INK)
    axes.set_xlabel("rise above the noise" if rises else "share retained", fontsize=TITLE_SIZE, labelpad=2)
    axes.set_xticks(ticks_within(low, high, 6))
    for spine in axes.spines.values():
        spine.set(linewidth=0.6, color=FAINT_INK)


def _handles(count: int) -> list[Line2D]:
    styles = [line_style(number) for number in range(count)]
    return [Line2D([], [], linewidth=1.0, marker=each.marker, markersize=3.6, color=each.color) for each in styles]


def _note(judgement: Judgement, caption: str | None) -> str:
    """The caption with what the marks mean, and what limits the verdicts."""
    lines = [caption] if caption else []
    lines.append(
        f"Stage {judgement.stages[-1]}; images: {judgement.images}; trials: {judgement.trials}. Dots: share retained, "
        f"(score − chance) / (ceiling − chance), with its {judgement.percent} interval; green up to "
        f"{SENSITIVE_UP_TO:g}: sensitive to the weights, orange from {INSENSITIVE_FROM:g}: insensitive. No dot: no "
        "number."
    )
    return "\n".join([*lines, *judgement.notes, *judgement.broken])
