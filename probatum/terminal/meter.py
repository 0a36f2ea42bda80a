"""Progress with an estimate, on standard error."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.text import Text

from probatum.terminal.output import plain

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
        elif now - self._spoken >= QUIET_SECONDS and done and total:
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
