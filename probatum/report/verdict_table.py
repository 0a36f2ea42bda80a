"""The table of verdicts, methods × presets: as a figure, and as rows for the terminal."""

from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from probatum.attributions import title_of
from probatum.experiments.compare import PresetComparison
from probatum.experiments.verdicts import (
    INSENSITIVE,
    INSENSITIVE_FROM,
    SENSITIVE,
    SENSITIVE_UP_TO,
    UNDECIDED,
    Summary,
    Verdict,
    Word,
)
from probatum.randomization import PRESETS
from probatum.report import text
from probatum.report.layout import caption_lines
from probatum.report.style import (
    FAINT_INK,
    INK,
    LINE_SPACING,
    PAGE_WIDTH,
    SEPARATOR,
    SMALL_SIZE,
    TITLE_SIZE,
    PageFigure,
    house_style,
)

SYMBOLS: dict[Word, str] = {SENSITIVE: "✓", INSENSITIVE: "✗", UNDECIDED: "?"}
# Told apart by lightness as well, so that a gray print keeps them; the hues are those of Okabe & Ito (2008).
_FILLS: dict[Word, str] = {SENSITIVE: "#d9f0e8", INSENSITIVE: "#f0b48c", UNDECIDED: "#ffffff"}
_BROKEN = "broken check"
_MARGIN, _GAP, _PAD = 0.04, 0.02, 0.05  # inches
_HEAD = 0.62
_SIGN, _SIGN_SIZE = 0.2, 9.0  # inches and points
_NAME_LENGTH = 1.55
_WIDEST = 1.3


def verdict_rows(comparison: PresetComparison, width: int | None = None) -> tuple[list[str], list[list[str]]]:
    """The table as text: the columns' names, and for each method its title and a cell for each preset.

    Args:
        comparison: the verdicts.
        width: letters of a line with 3 between columns; where the intervals do not fit, the cells hold the number
            alone, or else the sign alone. None has room for all.
    """
    heads = ["method", *(_column(comparison, preset) for preset in comparison.presets)]
    for cell in (_full_cell, _short_cell, _sign):
        rows = [
            [title_of(method), *(cell(comparison.cell(method, preset)) for preset in comparison.presets)]
            for method in comparison.methods
        ]
        needed = sum(3 + max(map(len, column)) for column in zip(heads, *rows, strict=True))
        if width is None or needed < width:
            break
    return heads, rows


def _full_cell(summary: Summary) -> str:
    return f"{_sign(summary)} {_numbers(summary.leading)}"


def _short_cell(summary: Summary) -> str:
    value = summary.leading.value
    return f"{_sign(summary)} {_round(value)}" if np.isfinite(value) else _sign(summary)


def _sign(summary: Summary) -> str:
    return SYMBOLS[summary.word]


def verdict_key(comparison: PresetComparison) -> list[str]:
    """Legend of the table, and the checks that are broken; one sentence each."""
    first = next(iter(comparison.judgements.values()))
    sentences = [
        ", ".join(f"{sign} {word}" for word, sign in SYMBOLS.items())
        + f" to the weights, decided at the last stage of each check by the 95 % interval over "
        f"{_counted(first.images, 'image')} and all trials; metrics that disagree decide nothing",
        "similarities and distances: the share retained, (score − chance) / (ceiling − chance), "
        f"✓ up to {SENSITIVE_UP_TO:g}, ✗ from {INSENSITIVE_FROM:g}; rises: ✓ above 0",
    ]
    for preset, judgement in comparison.judgements.items():
        sentences += [f"{preset} is a broken check: {what}" for what in judgement.broken]
    return sentences


def verdict_figure(comparison: PresetComparison, caption: str | None = None) -> Figure:
    """A grid of methods as rows and presets as columns; each cell has a sign, the number decided on and its interval.

    Beneath them stands the same number averaged over all stages, where the check has several. The column of a check
    whose control failed says so and is hatched.

    Args:
        comparison: the verdicts.
        caption: the protocol; what the signs mean is added.

    Returns:
        A figure of the width of an A4 page at most, unless there are more presets than fit.
    """
    methods, presets = comparison.methods, comparison.presets
    names = [text.wrap(title_of(method), _NAME_LENGTH, TITLE_SIZE, 2) for method in methods]
    left = _MARGIN + max(text.longest(name, TITLE_SIZE) for name in names) + 0.08
    each = min(_WIDEST, (PAGE_WIDTH - left - _MARGIN) / len(presets))
    cells = {(m, p): _cell(comparison, m, p, narrow=False) for m in methods for p in presets}
    room = _SIGN + _PAD + max(text.longest(cell, SMALL_SIZE) for cell in cells.values())
    narrow = room > each
    if narrow:  # sign and number in one line, the interval in the next
        cells = {(m, p): _cell(comparison, m, p, narrow=True) for m, p in cells}
        each = max(each, 2 * _PAD + max(text.longest(cell, SMALL_SIZE) for cell in cells.values()))
    tall = 0.14 + max(text.height(cell, SMALL_SIZE) for cell in cells.values())
    width = left + each * len(presets) + _MARGIN
    note = ". ".join(line[0].upper() + line[1:] for line in verdict_key(comparison)) + "."
    words = caption_lines(note if caption is None else f"{caption}\n{note}", width - 2 * _MARGIN)
    bottom = _HEAD + tall * len(methods) + 0.08
    height = bottom + text.height(words, SMALL_SIZE) + _MARGIN
    with house_style():
        figure = PageFigure(width, height)
        axes = figure.add_axes((0.0, 0.0, 1.0, 1.0), label="verdicts")
        axes.set_xlim(0, width)
        axes.set_ylim(height, 0)
        axes.axis("off")

        def write(x: float, y: float, words: str, size: float = SMALL_SIZE, **how: Any) -> None:
            options: dict[str, Any] = {"ha": "center", "va": "center", "linespacing": LINE_SPACING, "color": INK, **how}
            axes.text(x, y, words, fontsize=size, parse_math=False, **options)

        for column, preset in enumerate(presets):
            start, broken = left + each * column, bool(comparison.judgements[preset].broken)
            write(start + each / 2, 0.16, text.wrap(preset, 0.9 * each, TITLE_SIZE, 2), TITLE_SIZE, fontweight="bold")
            write(start + each / 2, 0.39, _under(comparison, preset, each), color=FAINT_INK)
            for row, method in enumerate(methods):
                word, top = comparison.cell(method, preset).word, _HEAD + tall * row
                looks: dict[str, Any] = {"facecolor": _FILLS[word], "edgecolor": SEPARATOR, "linewidth": 0.6}
                looks |= {"facecolor": "white", "hatch": "////"} if broken else {}
                box = (start + _GAP / 2, top + _GAP / 2)
                axes.add_patch(Rectangle(box, each - _GAP, tall - _GAP, **looks))
                aside = 0.0 if narrow else _SIGN
                if not narrow:
                    write(start + 0.13, top + tall / 2, SYMBOLS[word], _SIGN_SIZE, fontweight="bold")
                write(start + aside + (each - aside) / 2, top + tall / 2, cells[method, preset])
        for row, name in enumerate(names):
            write(left - 0.08, _HEAD + tall * (row + 0.5), name, TITLE_SIZE, ha="right", multialignment="right")
        write(_MARGIN, bottom, words, ha="left", va="top", color=FAINT_INK)
    return figure


def _cell(comparison: PresetComparison, method: str, preset: str, *, narrow: bool) -> str:
    """The lines of one cell: the number, its interval, and what else there is to know."""
    summary = comparison.cell(method, preset)
    verdict = summary.leading
    number = _numbers(verdict)
    if narrow:
        number = f"{SYMBOLS[summary.word]} {number}".replace(" [", "\n[")
    lines = [number, _decides(summary)]
    if verdict.live < verdict.comparisons:
        lines.append(f"{verdict.live} of {verdict.comparisons} live")
    elif len(comparison.judgements[preset].stages) > 1 and np.isfinite(verdict.over_stages):
        lines.append(f"all stages {_round(verdict.over_stages)}")
    return "\n".join(lines)


def _numbers(verdict: Verdict) -> str:
    if not np.isfinite(verdict.value):
        return "no share"
    return f"{_round(verdict.value)} [{_round(verdict.low)}, {_round(verdict.high)}]"


def _decides(summary: Summary) -> str:
    """The metric whose number stands in the cell, or that the metrics disagree."""
    return "metrics disagree" if summary.word != summary.leading.word else summary.leading.metric


def _round(value: float) -> str:
    """Two digits; adding zero turns a rounded −0 into 0."""
    return f"{round(value, 2) + 0.0:.2f}".replace("-", "−")


def _counted(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _column(comparison: PresetComparison, preset: str) -> str:
    return f"{preset} ({_BROKEN})" if comparison.judgements[preset].broken else preset


def _under(comparison: PresetComparison, preset: str, room: float) -> str:
    """Beneath the name of a preset: its order, or that the check is broken."""
    if comparison.judgements[preset].broken:
        return _BROKEN
    return text.wrap(PRESETS[preset].order, room - 0.06, SMALL_SIZE, 1) if preset in PRESETS else ""
