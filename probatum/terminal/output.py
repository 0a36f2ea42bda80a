"""Lines, tables and errors as a terminal can show them; rich is imported only for what has colors."""

import json
import math
import shutil
import sys
import unicodedata
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import typer

from probatum.runs.remote import addressed
from probatum.terminal.tables import ASCII, LINES, table_lines

if TYPE_CHECKING:
    from rich.text import Text

# Of marks that turn the direction of writing, and so can show a text as another one.
_DIRECTIONS = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}


def plain(text: str) -> str:
    r"""A text without signs that steer a terminal or that it cannot show: these are spelt out, as \x1b or \udcff."""
    spelt = "".join(ascii(sign)[1:-1] if _steers(sign) else sign for sign in addressed(text))
    encoding = sys.stdout.encoding or "utf-8"
    return spelt.encode(encoding, "backslashreplace").decode(encoding)


def _steers(sign: str) -> bool:
    turns = unicodedata.bidirectional(sign) in _DIRECTIONS or sign in "\u061c\u200e\u200f"
    return turns or (sign not in "\n\t" and unicodedata.category(sign) in ("Cc", "Cs"))


def columns() -> int:
    """The width of the terminal; what goes elsewhere is 200 columns wide, unless COLUMNS says otherwise."""
    return shutil.get_terminal_size((200, 24)).columns


def is_terminal() -> bool:
    """Tells whether results are read by a person, and not by a file or another program."""
    return sys.stdout.isatty()


def show_json(values: Any) -> None:
    """Prints a JSON document; NaN and infinite numbers become null."""
    print(addressed(json.dumps(_finite(values), indent=2)))  # noqa: T201


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {name: _finite(each) for name, each in value.items()}
    return [_finite(each) for each in value] if isinstance(value, (list, tuple)) else value


def show(text: "str | Text") -> None:
    """Prints a line of results; a `Text` in its colors where the terminal has them."""
    if isinstance(text, str):
        print(plain(text))  # noqa: T201
        return
    from rich.console import Console

    text = text.copy()
    text.plain = "".join("\ufffd" if _steers(sign) else sign for sign in text.plain)  # colors keep their places
    Console(highlight=False, soft_wrap=True).print(text, markup=False)


def show_table(title: str, heads: Sequence[str], rows: Sequence[Sequence[str]], numeric: int = 0) -> None:
    """Prints a table; the last `numeric` columns are aligned to the right. Long cells are folded."""
    lines = table_lines(
        plain(title),
        heads,
        [[plain(cell) for cell in row] for row in rows],
        numeric=numeric,
        width=columns(),
        frame=LINES if _can_show("".join(LINES)) else ASCII,
    )
    for line in lines:
        typer.echo(line)  # without bold and italic signs where no terminal reads them


def _can_show(signs: str) -> bool:
    try:
        signs.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:
        return False
    return True


def complain(message: str) -> None:
    """Prints one line of an error."""
    print(f"error: {plain(' '.join(message.split()))}", file=sys.stderr)  # noqa: T201


def caution(message: str) -> None:
    """Prints one line of a warning."""
    print(f"warning: {plain(' '.join(message.split()))}", file=sys.stderr)  # noqa: T201
