"""The joint plot of sanity and faithfulness: a mark for each method, and the band of a map without information."""

import numpy as np
from matplotlib.figure import Figure

from probatum.attributions import title_of
from probatum.experiments.faithfulness import SanityAndFaithfulness
from probatum.experiments.verdicts import INSENSITIVE_FROM, SENSITIVE_UP_TO
from probatum.metrics.quality import QUALITY
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
)

_MARGIN, _LEFT, _NAMES = 0.06, 0.55, 2.0  # inches: edge, scale at the left, column of names
_PLOT, _AXIS = 3.0, 0.4  # inches of the plot, and of the scale below it


def joint_figure(joint: SanityAndFaithfulness, caption: str | None = None) -> Figure:
    """Draws the share retained to the right and the quality score upwards, with 95 % intervals.

    Source: Binder et al. (2023), arXiv:2211.12486.

    Args:
        joint: both scores.
        caption: the protocol; what the marks mean is added.

    Returns:
        A figure of the width of an A4 page.
    """
    lower = joint.quality in QUALITY and QUALITY[joint.quality].lower_is_better
    good = "lower" if lower else "higher"
    note = (
        f"{joint.images} images. To the left: little of the map is left after randomization (sensitive up to "
        f"{SENSITIVE_UP_TO:g}, insensitive from {INSENSITIVE_FROM:g}). {joint.quality}: {good} is more faithful. "
        + (f"Gray band: {title_of(joint.adversary)}, a map without information. " if joint.adversary else "")
        + f"{joint.sentence[:1].upper()}{joint.sentence[1:]}."
    )
    words = caption_lines(note if caption is None else f"{caption}\n{note}", PAGE_WIDTH - 0.4)
    height = _PLOT + _AXIS + text.height(words, SMALL_SIZE) + 3 * _MARGIN
    with house_style():
        figure = PageFigure(PAGE_WIDTH, height)
        width = PAGE_WIDTH - _LEFT - _NAMES - 2 * _MARGIN
        box = (_LEFT / PAGE_WIDTH, 1 - (_MARGIN + _PLOT) / height, width / PAGE_WIDTH, _PLOT / height)
        axes = figure.add_axes(box, label="joint")
        handles = []
        for number, point in enumerate(joint.points):
            line = line_style(number)
            mean, low, high = (float(value) for value in point.faithfulness)
            if point.method == joint.adversary:
                axes.axhspan(low, high, color=FAINT_INK, alpha=0.25, linewidth=0, zorder=1)
            share = point.sanity
            axes.plot([share.low, share.high], [mean, mean], color=line.color, linewidth=0.9, zorder=3)
            axes.plot([share.value, share.value], [low, high], color=line.color, linewidth=0.9, zorder=3)
            handles += axes.plot(
                [share.value], [mean], color=line.color, marker=line.marker, markersize=5, linestyle="none", zorder=4
            )
        for bound in (SENSITIVE_UP_TO, INSENSITIVE_FROM):
            axes.axvline(bound, color=FAINT_INK, linewidth=0.7, linestyle=(0, (4, 2)), zorder=2)
        axes.set_xlabel(f"share retained, {joint.metric}", fontsize=TITLE_SIZE, labelpad=2)
        axes.set_ylabel(f"{joint.quality} ({good} is better)", fontsize=TITLE_SIZE, labelpad=3)
        axes.tick_params(labelsize=SMALL_SIZE, length=2, width=0.5, color=FAINT_INK, labelcolor=INK)
        axes.grid(visible=True, color=RULE, linewidth=0.5)
        axes.set_axisbelow(True)
        axes.margins(0.06)
        for spine in axes.spines.values():
            spine.set(linewidth=0.6, color=FAINT_INK)
        ends = [value for point in joint.points for value in (point.sanity.low, point.sanity.high)]
        axes.set_xlim(min(-0.05, np.nanmin([0.0, *ends]) - 0.05), max(1.05, np.nanmax([1.0, *ends]) + 0.05))
        names = [text.shorten(text.clean(title_of(point.method)), _NAMES - 0.4, TITLE_SIZE) for point in joint.points]
        where = (1 - (_NAMES - 0.1) / PAGE_WIDTH, 1 - _MARGIN / height)
        figure.legend(handles, names, loc="upper left", bbox_to_anchor=where, frameon=False, fontsize=TITLE_SIZE,
                      borderaxespad=0, borderpad=0)  # fmt: skip
        below = 1 - (_PLOT + _AXIS + 2 * _MARGIN) / height
        figure.text(_MARGIN / PAGE_WIDTH, below, words, ha="left", va="top", fontsize=SMALL_SIZE, color=FAINT_INK,
                    linespacing=LINE_SPACING, parse_math=False)  # fmt: skip
    return figure
