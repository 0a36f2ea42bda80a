"""Titles as plain text: cleaned of what cannot be drawn, measured, broken into lines and shortened."""

import re
import unicodedata
from functools import lru_cache

from matplotlib.font_manager import FontProperties, findfont, get_font
from matplotlib.textpath import text_to_path

from probatum.report.style import FONT, LINE_SPACING

_LONGEST = 4000  # letters of one text that are looked at; nothing longer can be shown
_PIECES = tuple(  # a word with its space; its parts up to a hyphen; its parts up to any sign between two letters
    re.compile(pattern)
    for pattern in (r"[^ ]+ ?", r"[^ ]*?[^\W\d_]-(?=[^\W\d_])|[^ ]+ ?", r"[^ ]*?\w[-._/](?=[^\W_])|[^ ]+ ?")
)


@lru_cache(maxsize=8192)
def clean(text: str) -> str:
    """One line of drawable text: every run of white space is one space, a letter that the font lacks becomes U+FFFD."""
    font = get_font(findfont(FontProperties(family=FONT)))
    line = " ".join(text[:_LONGEST].split())
    kept = (letter for letter in line if unicodedata.category(letter) not in ("Cc", "Cf", "Cs"))
    return "".join(letter if font.get_char_index(ord(letter)) else "\ufffd" for letter in kept)


@lru_cache(maxsize=8192)
def width(text: str, size: float) -> float:
    """Width in inches of a cleaned line of text at a size in points."""
    if not text:
        return 0.0
    points, _, _ = text_to_path.get_text_width_height_descent(
        text, FontProperties(family=FONT, size=size), ismath=False
    )
    return float(points) / 72


def height(text: str, size: float) -> float:
    """Height in inches of some lines of text."""
    return len(text.split("\n")) * size * LINE_SPACING / 72 if text else 0.0


def longest(text: str, size: float) -> float:
    """Width in inches of the widest of some lines of text."""
    return max(width(row, size) for row in text.split("\n"))


def shorten(text: str, limit: float, size: float) -> str:
    """The text, or its two ends round an ellipsis, not wider than `limit` inches: names often differ at their end."""
    if width(text, size) <= limit:
        return text
    fitting, too_long = 0, len(text)
    while too_long - fitting > 1:  # how many letters may stay, by halving
        middle = (fitting + too_long) // 2
        fits = width(_without_middle(text, middle), size) <= limit
        fitting, too_long = (middle, too_long) if fits else (fitting, middle)
    return _without_middle(text, fitting)


def _without_middle(text: str, letters: int) -> str:
    """The given number of letters of both ends of a text, round an ellipsis."""
    tail = letters // 2
    return text[: letters - tail].rstrip() + "…" + text[len(text) - tail :].lstrip()


def wrap(text: str, limit: float, size: float, lines: int) -> str:
    """The text in at most `lines` lines of `limit` inches.

    Lines end at spaces if that is enough, else also after hyphens, else also after the dots and underscores of a name;
    what still does not fit is shortened.
    """
    line = clean(text)
    for pattern in _PIECES:
        rows = _fill(pattern.findall(line), limit, size, lines)
        if all(width(row, size) <= limit for row in rows):
            break
    return "\n".join(shorten(row, limit, size) for row in rows)


def _fill(pieces: list[str], limit: float, size: float, lines: int) -> list[str]:
    """The pieces put into rows, as many in each as it holds; the last row takes all that remain."""
    rows = [""]
    for piece in pieces:
        longer = rows[-1] + piece
        if not rows[-1] or len(rows) == lines or width(longer.rstrip(), size) <= limit:
            rows[-1] = longer
        else:
            rows.append(piece)
    return [row.rstrip() for row in rows]


def fits(text: str, limit: float, size: float, lines: int, *, whole: bool = False) -> bool:
    """True if a text needs no shortening in that many lines; `whole` words and names are not broken."""
    line = clean(text)
    patterns = _PIECES[:2] if whole else _PIECES
    return any(
        all(width(row, size) <= limit for row in _fill(pattern.findall(line), limit, size, lines))
        for pattern in patterns
    )
