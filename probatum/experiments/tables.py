"""Short tables of results, as text for a terminal, as HTML for a notebook and as a pandas data frame."""

import html
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from probatum.errors import InvalidInput


def count(amount: int, thing: str) -> str:
    """An amount of things: "1 image", "12 images"."""
    return f"{amount:,} {thing}{'' if amount == 1 else 's'}"


@dataclass(frozen=True)
class Table:
    """Rows of values under columns.

    Args:
        title: one line.
        columns: names.
        rows: a value for each column; numbers are rounded where the table is shown, and NaN is left empty.
    """

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]

    def __str__(self) -> str:
        """The title, and beneath it the columns, aligned."""
        lines = [list(self.columns), *([_shown(value) for value in row] for row in self.rows)]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        shown = ["  ".join(f"{cell:<{width}}" for cell, width in zip(line, widths, strict=True)) for line in lines]
        return "\n".join([self.title, *(line.rstrip() for line in shown)])

    def to_html(self) -> str:
        """An HTML table with the title as its caption."""
        head = "".join(f"<th>{html.escape(column)}</th>" for column in self.columns)
        rows = ("".join(f"<td>{html.escape(_shown(value))}</td>" for value in row) for row in self.rows)
        body = "".join(f"<tr>{row}</tr>" for row in rows)
        return (
            f"<table><caption>{html.escape(self.title)}</caption>"
            f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
        )

    def to_pandas(self) -> Any:
        """A `pandas.DataFrame` of the values as they are; InvalidInput where pandas is not installed."""
        try:
            pandas = import_module("pandas")
        except ImportError as error:
            raise InvalidInput("a data frame needs pandas; pip install pandas") from error
        return pandas.DataFrame([list(row) for row in self.rows], columns=list(self.columns))


def _shown(value: Any) -> str:
    if not isinstance(value, float):
        return str(value)
    return "" if value != value else f"{round(value, 2) + 0.0:.2f}"  # adding zero turns a rounded −0 into 0
