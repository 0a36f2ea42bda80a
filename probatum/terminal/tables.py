"""Tables of a terminal, drawn without rich, whose import takes as long as all of `probatum list`."""

import unicodedata
from collections.abc import Sequence
from typing import NamedTuple

import typer


class Frame(NamedTuple):
    """The signs of a table's lines; of each line its left end, its filling, its joints and its right end."""

    top: str
    head: str
    below_head: str
    row: str
    bottom: str


LINES = Frame("┏━┳┓", "┃ ┃┃", "┡━╇┩", "│ ││", "└─┴┘")
ASCII = Frame("+-++", "| ||", "|-+|", "| ||", "+-++")


def table_lines(
    title: str, heads: Sequence[str], rows: Sequence[Sequence[str]], *, numeric: int, width: int, frame: Frame = LINES
) -> list[str]:
    """The lines of a table, with a bold head; cells that do not fit are folded.

    Args:
        title: the first line.
        heads: of the columns.
        rows: of cells, one for each column.
        numeric: how many of the last columns hold numbers: these are aligned to the right and never folded.
        width: of the terminal, in columns.
        frame: the signs that separate cells.
    """
    folding = len(heads) - numeric
    natural = [max(map(_cells, column)) for column in zip(heads, *rows, strict=True)]
    widths = _fitting(natural, folding, width - 3 * len(heads) - 1)

    def rule(signs: str) -> str:
        left, fill, joint, right = signs[0], signs[1], signs[2], signs[3]
        return left + joint.join(fill * (each + 2) for each in widths) + right

    def line(cells: Sequence[str], signs: str, bold: bool) -> list[str]:
        left, joint, right = signs[0], signs[2], signs[3]
        folded = [_folded(cell, each) for cell, each in zip(cells, widths, strict=True)]
        lines = []
        for number in range(max(map(len, folded))):
            parts = [each[number] if number < len(each) else "" for each in folded]
            padded = [
                _padded(part, each, to_the_right=column >= folding)
                for column, (part, each) in enumerate(zip(parts, widths, strict=True))
            ]
            shown = [typer.style(part, bold=True) for part in padded] if bold else padded
            lines.append(f"{left} " + f" {joint} ".join(shown) + f" {right}")
        return lines

    return [
        typer.style(title, italic=True),
        rule(frame.top),
        *line(heads, frame.head, bold=True),
        rule(frame.below_head),
        *(each for row in rows for each in line(row, frame.row, bold=False)),
        rule(frame.bottom),
    ]


def _fitting(widths: list[int], folding: int, room: int) -> list[int]:
    """Widths of which those of the first `folding` columns, the widest first, are reduced until all fit.

    The first column holds names to copy: it stays whole where it takes at most a third of the room.
    """
    widths = list(widths)
    reduced = range(1 if folding > 1 and 3 * widths[0] <= room else 0, folding)
    while sum(widths) > room and reduced and max(widths[column] for column in reduced) > 1:
        widths[max(reduced, key=widths.__getitem__)] -= 1
    return widths


def _folded(text: str, width: int) -> list[str]:
    """A text in lines of at most so many columns, cut between words where a word fits in a line."""
    lines: list[str] = []
    for paragraph in text.split("\n"):
        line = ""
        for word in paragraph.split(" "):
            joined = f"{line} {word}" if line else word
            if _cells(joined) > width:
                if line:
                    lines.append(line)
                *full, joined = _cut(word, width)
                lines += full
            line = joined
        lines.append(line)
    return lines


def _cut(word: str, width: int) -> list[str]:
    """A word in pieces of at most so many columns, and at least one sign each."""
    pieces = [""]
    for sign in word:
        if pieces[-1] and _cells(pieces[-1] + sign) > width:
            pieces.append("")
        pieces[-1] += sign
    return pieces


def _padded(text: str, width: int, *, to_the_right: bool) -> str:
    spaces = " " * (width - _cells(text))
    return spaces + text if to_the_right else text + spaces


def _cells(text: str) -> int:
    """The columns that a text takes: two for a wide sign, none for one that combines with the sign before it."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(sign) else 2 if unicodedata.east_asian_width(sign) in "WF" else 1 for sign in text
    )
