"""What the terminal shows beside the results: progress with an estimate, tables, and errors in one line."""

import sys
import time
import unicodedata
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

QUIET_SECONDS = 10.0  # between the lines that report progress where the output is not a terminal


class Meter:
    """Shows how far a piece of work is; `meter(done, total, what)` is the callback that the package calls."""

    def __init__(self, console: Console, bars: Progress | None) -> None:
        self._console, self._bars = console, bars
        self._task = bars.add_task("starting", total=None) if bars is not None else None
        self._total: int | None = None
        self._started = self._spoken = time.monotonic()

    def __call__(self, done: int, total: int, what: str) -> None:
        """Reports `done` of `total` steps; another total starts another estimate."""
        now = time.monotonic()
        if total != self._total:
            self._total, self._started, self._spoken = total, now, now
            if self._bars is not None and self._task is not None:
                self._bars.reset(self._task, total=total)
        if self._bars is not None and self._task is not None:
            self._bars.update(self._task, completed=done, total=total, description=Text(plain(what)).markup)
        elif now - self._spoken >= QUIET_SECONDS and done:
            self._spoken = now
            left = (now - self._started) * (total - done) / done
            self._console.print(f"{100 * done / total:3.0f} %  about {left:.0f} s left: {plain(what)}", markup=False)

    def drawing(self, name: str) -> None:
        """Reports the figure that is being drawn."""
        self(0, 0, f"drawing {name}")

    def say(self, sentence: str) -> None:
        """Prints a line beside the progress."""
        self._console.print(plain(sentence), markup=False)


@contextmanager
def metered() -> Iterator[Meter]:
    """Gives a meter on standard error: a bar on a terminal, a line now and then elsewhere."""
    console = Console(stderr=True, highlight=False)
    if not console.is_terminal:
        yield Meter(console, None)
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as bars:
        yield Meter(console, bars)


def plain(text: str) -> str:
    r"""A text without signs that steer a terminal or that it cannot show: these are spelt out, as \x1b or \udcff."""
    spelt = "".join(ascii(sign)[1:-1] if _steers(sign) else sign for sign in text)
    encoding = sys.stdout.encoding or "utf-8"
    return spelt.encode(encoding, "backslashreplace").decode(encoding)


def _steers(sign: str) -> bool:
    return sign not in "\n\t" and unicodedata.category(sign) in ("Cc", "Cs")


def show(text: str | Text) -> None:
    """Prints a line of results; a `Text` in its colours where the terminal has them."""
    if isinstance(text, Text):
        text = text.copy()
        text.plain = "".join("\ufffd" if _steers(sign) else sign for sign in text.plain)  # colours keep their places
    Console(highlight=False, soft_wrap=True).print(plain(text) if isinstance(text, str) else text, markup=False)


def show_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]], numeric: int = 0) -> None:
    """Prints a table; the last `numeric` columns are aligned to the right. Not on a terminal, nothing is cut off."""
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=200)
    table = Table(title=Text(plain(title)), title_justify="left", header_style="bold")
    for index, column in enumerate(columns):
        right = index >= len(columns) - numeric
        table.add_column(Text(column), justify="right" if right else "left", overflow="fold", no_wrap=right)
    for row in rows:
        table.add_row(*(Text(plain(cell)) for cell in row))
    console.print(table)


def complain(message: str) -> None:
    """Prints one line of an error."""
    print(f"error: {plain(' '.join(message.split()))}", file=sys.stderr)  # noqa: T201
