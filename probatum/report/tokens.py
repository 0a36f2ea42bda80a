"""Sentences with colored tokens: as HTML, as a figure and on a terminal.

What speaks for the class is green, what speaks against it is red and underlined, so that no sign hangs on color alone.
The strongest token of each sentence has the full color.
"""

import html
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from rich.style import Style
from rich.text import Text

from probatum.errors import InvalidInput
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
)

KEY = "Green speaks for the class; red and underlined speaks against it; the strongest token has the full color."

_FOR, _AGAINST = (0, 158, 115), (204, 51, 17)  # green and red that differ in hue for color-blind readers too
_DEEPEST = 0.75  # share of the hue in the full color: dark ink stays readable on it
_MARGIN, _PAD, _GAP = 0.06, 0.025, 0.02  # inches: edge, inside a token's box, between boxes
_LABEL = 2.0  # inches of the longest row title
_LINE = TITLE_SIZE * LINE_SPACING / 72 + 0.06  # inches of a line of tokens


@dataclass(frozen=True, eq=False)
class TokenMap:
    """One sentence with its scores.

    Args:
        tokens: any text; nothing in it is markup.
        scores: (token,) finite.
        note: a few words that follow the sentence.
    """

    tokens: tuple[str, ...]
    scores: Float[np.ndarray, " token"]
    note: str = ""

    def __post_init__(self) -> None:
        if self.scores.shape != (len(self.tokens),) or not np.isfinite(self.scores).all():
            raise InvalidInput(f"{len(self.tokens)} tokens need as many finite scores, got {self.scores.shape}")

    def colors(self) -> list[str]:
        """The background of each token, "#rrggbb"."""
        strongest = float(np.abs(self.scores).max(initial=0.0)) or 1.0
        return [_shade(float(score) / strongest) for score in self.scores]


Rows = Mapping[str, Sequence[TokenMap]]
"""By row title, one sentence a column."""


def tokens_html(rows: Rows, column_titles: Sequence[str] = (), caption: str = "") -> str:
    """A table of colored sentences: HTML that needs no style sheet and no script.

    Pointing at a token shows its score. All text is escaped.

    Args:
        rows: see `Rows`.
        column_titles: one for each column, or none at all.
        caption: the protocol.

    Raises:
        InvalidInput: no rows, or rows of different length.
    """
    _check(rows, column_titles)
    cell = "padding:.35em .6em;vertical-align:top;text-align:left;border-top:1px solid #ccc"
    lines = ['<table style="border-collapse:collapse;font-family:sans-serif;line-height:1.9">']
    if column_titles:
        heads = "".join(f'<th scope="col" style="{cell}">{_escaped(title)}</th>' for title in column_titles)
        lines.append(f"<thead><tr><td></td>{heads}</tr></thead>")
    lines.append("<tbody>")
    for title, maps in rows.items():
        cells = "".join(f'<td style="{cell}">{_sentence_html(each)}</td>' for each in maps)
        lines.append(f'<tr><th scope="row" style="{cell};font-weight:normal">{_escaped(title)}</th>{cells}</tr>')
    words = f"{KEY} {caption}".strip()
    lines += ["</tbody></table>", f'<p style="font-family:sans-serif;font-size:small">{_escaped(words)}</p>']
    return "\n".join(lines)


def tokens_page(title: str, body: str) -> str:
    """A whole HTML page round a table of `tokens_html`."""
    head = f'<meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{_escaped(title)}</title>'
    main = f"<main>\n<h1>{_escaped(title)}</h1>\n{body}\n</main>"
    return f'<!doctype html>\n<html lang="en"><head>{head}</head>\n<body>\n{main}\n</body></html>\n'


def tokens_text(tokens: TokenMap) -> Text:
    """One sentence for a terminal: colored, negative tokens underlined, as far as the terminal can."""
    line = Text()
    for token, score, color in zip(tokens.tokens, tokens.scores, tokens.colors(), strict=True):
        line.append(_printable(token), Style(color=INK, bgcolor=color, underline=bool(score < 0)))
        line.append(" ")
    line.append(_printable(tokens.note))
    return line


def tokens_figure(rows: Rows, column_titles: Sequence[str] = (), caption: str | None = None) -> Figure:
    """Colored sentences as a figure: a row a stage or a sentence, lines broken where a column ends.

    Args:
        rows: see `Rows`.
        column_titles: one for each column, or none at all.
        caption: the protocol.

    Returns:
        A figure of the width of an A4 page.

    Raises:
        InvalidInput: no rows, or rows of different length.
    """
    _check(rows, column_titles)
    with house_style():
        return _Layout(rows, column_titles, caption).drawn()


class _Layout:
    """The places of all boxes, in inches from the top left corner."""

    def __init__(self, rows: Rows, column_titles: Sequence[str], caption: str | None) -> None:
        self.rows, self.column_titles = rows, column_titles
        titles = [text.clean(title) for title in rows]
        columns = len(next(iter(rows.values())))
        self.label = min(_LABEL, max(text.width(title, TITLE_SIZE) for title in titles)) + 2 * _MARGIN
        self.column = (PAGE_WIDTH - self.label - _MARGIN) / columns
        self.caption = caption_lines(f"{KEY}\n{caption or ''}", PAGE_WIDTH - 2 * _MARGIN)
        self.heads = [text.wrap(title, self.column - 0.1, TITLE_SIZE, 2) for title in column_titles]
        self.top = _MARGIN + max((text.height(head, TITLE_SIZE) + 0.04 for head in self.heads), default=0.0)

    def drawn(self) -> Figure:
        """The figure; its height is known once all lines are broken."""
        flowed = {title: [self._flow(each) for each in maps] for title, maps in self.rows.items()}
        heights = [max(len(lines) for lines in cells) * _LINE + 0.06 for cells in flowed.values()]
        height = self.top + sum(heights) + 0.06 + text.height(self.caption, SMALL_SIZE) + _MARGIN
        figure = PageFigure(PAGE_WIDTH, height)
        self.axes = figure.add_axes((0, 0, 1, 1), autoscale_on=False, xlim=(0, PAGE_WIDTH), ylim=(height, 0))
        self.axes.set_axis_off()
        for column, head in enumerate(self.heads):
            self._text(self.label + column * self.column, _MARGIN, head, va="top")
        top = self.top
        for (title, cells), extent in zip(flowed.items(), heights, strict=True):
            self.axes.plot([_MARGIN, PAGE_WIDTH - _MARGIN], [top, top], color=RULE, linewidth=0.5)
            lines = max(1, round((extent - 0.06) / _LINE))
            self._text(_MARGIN, top + 0.05, text.wrap(title, self.label - 2 * _MARGIN, TITLE_SIZE, lines), va="top")
            for column, cell in enumerate(cells):
                for line, boxes in enumerate(cell):
                    for left, width, word, color, below in boxes:
                        place = (self.label + column * self.column + left, top + 0.03 + line * _LINE)
                        self._box(*place, width, word, color, below)
            top += extent
        self._text(_MARGIN, top + 0.06, self.caption, va="top", fontsize=SMALL_SIZE, color=FAINT_INK)
        return figure

    def _flow(self, tokens: TokenMap) -> list[list[tuple[float, float, str, str | None, bool]]]:
        """Lines of boxes: (left, width, word, color, whether underlined); the note has no color."""
        limit = self.column - 0.1
        words: list[tuple[str, str | None, bool]] = [
            (text.clean(token) or "·", color, bool(score < 0))
            for token, score, color in zip(tokens.tokens, tokens.scores, tokens.colors(), strict=True)
        ]
        words += [(word, None, False) for word in text.clean(tokens.note).split()]
        lines: list[list[tuple[float, float, str, str | None, bool]]] = [[]]
        left = 0.0
        for word, color, below in words:
            shown = text.shorten(word, limit - 2 * _PAD, TITLE_SIZE)
            width = text.width(shown, TITLE_SIZE) + 2 * _PAD
            if lines[-1] and left + width > limit:
                lines.append([])
                left = 0.0
            lines[-1].append((left, width, shown, color, below))
            left += width + _GAP
        return lines

    def _box(self, left: float, top: float, width: float, word: str, color: str | None, below: bool) -> None:
        height = _LINE - 0.03
        if color is not None:
            self.axes.add_patch(Rectangle((left, top), width, height, linewidth=0, facecolor=color))
        if below:
            line = top + height - 0.018
            self.axes.plot([left + _PAD, left + width - _PAD], [line, line], color=INK, linewidth=0.6)
        self._text(left + _PAD, top + 0.105, word, va="baseline")

    def _text(self, left: float, top: float, words: str, **how: Any) -> None:
        if words:
            options: dict[str, Any] = {"color": INK, "fontsize": TITLE_SIZE, "linespacing": LINE_SPACING, **how}
            self.axes.text(left, top, words, parse_math=False, **options)


def _check(rows: Rows, column_titles: Sequence[str]) -> None:
    lengths = {len(maps) for maps in rows.values()}
    if len(lengths) != 1 or 0 in lengths or (column_titles and lengths != {len(column_titles)}):
        raise InvalidInput(
            f"every row needs one sentence a column: rows have {sorted(lengths)} and there are "
            f"{len(column_titles)} column titles"
        )


def _sentence_html(tokens: TokenMap) -> str:
    spans = []
    for token, score, color in zip(tokens.tokens, tokens.scores, tokens.colors(), strict=True):
        line = "text-decoration:underline;" if score < 0 else ""
        style = f"background:{color};color:{INK};{line}padding:.1em .2em;border-radius:.2em"
        spans.append(f'<span title="{score:+.4g}" style="{style}">{_escaped(token)}</span>')
    note = f" {_escaped(tokens.note)}" if tokens.note else ""
    return " ".join(spans) + note


def _shade(strength: float) -> str:
    """White at 0, the full green at 1, the full red at −1."""
    share = _DEEPEST * min(abs(strength), 1.0)
    channels = (round(255 + share * (hue - 255)) for hue in (_AGAINST if strength < 0 else _FOR))
    return "#" + "".join(f"{channel:02x}" for channel in channels)


def _escaped(words: str) -> str:
    return html.escape(_printable(words), quote=True)


def _printable(words: str) -> str:
    """Without what steers a terminal or turns the direction of a line; such signs become U+FFFD."""
    return "".join("\ufffd" if unicodedata.category(sign) in ("Cc", "Cf", "Cs", "Zl", "Zp") else sign for sign in words)
