"""Progress with an estimate, on standard error."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.text import Text

from probatum.progress import duration
from probatum.terminal.output import plain

QUIET_SECONDS = 10.0  # between the lines that report progress where the output is not a terminal
MEASURED_SECONDS = 3.0  # after which the expected time is named
LONG_SECONDS = 60.0  # work that takes less is not announced


class Meter:
    """Shows how far a piece of work is; `meter(done, total, what)` is the callback that the package calls."""

    def __init__(
        self,
        console: Console,
        bars: Progress | None,
        hint: str = "",
        clock: Callable[[], float] = time.monotonic,
        *,
        in_parts: bool = False,
    ) -> None:
        self._console, self._bars, self._hint, self._clock, self._in_parts = console, bars, hint, clock, in_parts
        self._task = bars.add_task("starting", total=None) if bars is not None else None
        self._total: int | None = None
        self._done = 0
        self._started = self._spoken = clock()
        self._announced = False

    def __call__(self, done: int, total: int, what: str) -> None:
        """Reports `done` of `total` steps; another total, or a count that begins again, starts another estimate."""
        now = self._clock()
        if total != self._total or done < self._done:
            self._total, self._started, self._spoken, self._announced = total, now, now, False
            if self._bars is not None and self._task is not None:
                self._bars.reset(self._task, total=total)
        self._done = done
        elapsed = now - self._started
        if not self._announced and done and elapsed >= MEASURED_SECONDS:
            self._announced = True
            self._announce(elapsed * total / done, what)
        if self._bars is not None and self._task is not None:
            self._bars.update(self._task, completed=done, total=total, description=Text(plain(what)).markup)
        elif now - self._spoken >= QUIET_SECONDS and done and total:
            self._spoken = now
            left = duration(elapsed * (total - done) / done)
            self._console.print(f"{100 * done / total:3.0f} %  about {left} left: {plain(what)}", markup=False)

    def _announce(self, seconds: float, what: str) -> None:
        """Names the expected time of long work, and how to make it shorter."""
        if seconds < LONG_SECONDS:
            return
        if self._in_parts or what.startswith("training "):
            self.say(f"{what} will take about {duration(seconds)}; what follows is estimated afterwards")
        else:
            self.say(f"expected time: about {duration(seconds)}{self._hint and f'; {self._hint}'}")

    def drawing(self, name: str) -> None:
        """Reports the figure that is being drawn."""
        self(0, 0, f"drawing {name}")

    def say(self, sentence: str) -> None:
        """Prints a line beside the progress."""
        self._console.print(plain(sentence), markup=False)


@contextmanager
def metered(hint: str = "", quiet: bool = False, *, in_parts: bool = False) -> Iterator[Meter]:
    """Gives a meter on standard error: a bar on a terminal, a line now and then elsewhere.

    Args:
        hint: how to make the work shorter; it follows the expected time of work that takes long.
        quiet: whether the meter shows nothing.
        in_parts: whether the work has many parts, each with an estimate of its own, so that none speaks of the whole.
    """
    console = Console(stderr=True, highlight=False, quiet=quiet)
    if quiet or not console.is_terminal:
        yield Meter(console, None, hint, in_parts=in_parts)
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
        yield Meter(console, bars, hint, in_parts=in_parts)
