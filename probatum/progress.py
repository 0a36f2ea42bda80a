"""The callback that long work reports to, and the bar that a notebook shows in its place."""

import html
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import wraps
from importlib import import_module
from inspect import signature
from typing import Any, ParamSpec, TypeVar

Progress = Callable[[int, int, str], None]
"""Called with (steps done, steps in all, what is being done).

Where it is None, a notebook shows a bar and a script shows nothing; `silent` shows nothing anywhere.
"""

P = ParamSpec("P")
Result = TypeVar("Result")

QUICK_SECONDS = 0.5  # work that takes less shows no bar
REFRESH_SECONDS = 0.2  # between two changes of a bar
_reported = ContextVar("reported", default=False)  # whether a function further out reports already


def silent(*report: object) -> None:
    """Reports nothing: `attribute(..., progress=silent)` shows no bar in a notebook."""


def shows_progress(function: Callable[P, Result]) -> Callable[P, Result]:
    """Makes a function with an argument `progress` show a bar in a notebook while it runs.

    There is one bar, that of the outermost function; none where `progress` is given, nor outside of a notebook.
    """

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> Result:
        if _reported.get() or not in_notebook():
            return function(*args, **kwargs)
        bound = signature(function).bind_partial(*args, **kwargs)
        token = _reported.set(True)
        try:
            if bound.arguments.get("progress") is not None:
                return function(*args, **kwargs)
            with notebook_bar(function.__name__) as bar:
                bound.arguments["progress"] = bar
                return function(*bound.args, **bound.kwargs)
        finally:
            _reported.reset(token)

    return call


def in_notebook() -> bool:
    """Tells whether this process is the kernel of a notebook: IPython's shell has a kernel there and none elsewhere."""
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return getattr(shell, "kernel", None) is not None


class NotebookBar:
    """A bar in the output of a notebook's cell; `bar(done, total, what)` moves it.

    It needs nothing but IPython's display, which every notebook has, in the browser and in an editor alike.

    Args:
        what: is being done, until a report says it.
        clock: tells seconds.
    """

    def __init__(self, what: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._what, self._clock = what, clock
        self._total: int | None = None
        self._started = self._begun = clock()
        self._changed = -float("inf")
        self._handle: Any = None

    def __call__(self, done: int, total: int, what: str | None = None) -> None:
        """Reports `done` of `total` steps; another total starts another estimate."""
        now = self._clock()
        if total != self._total:
            self._total, self._begun = total, now
        if now - self._started < QUICK_SECONDS or now - self._changed < REFRESH_SECONDS:
            return
        self._changed = now
        left = f", about {duration((now - self._begun) * (total - done) / done)} left" if 0 < done < total else ""
        self._show(f"{what or self._what}{left}", done / total if total else 0.0)

    def _show(self, words: str, share: float) -> None:
        meter = f'<progress value="{share:.4f}" max="1" style="width: 20em"></progress>'
        self._display(f"{meter} {share:.0%} {html.escape(words)}", f"{share:.0%} {words}")

    def _display(self, markup: str, plain: str) -> None:
        data = {"text/html": markup, "text/plain": plain}
        if self._handle is None:
            self._handle = import_module("IPython.display").display(data, raw=True, display_id=True)
        else:
            self._handle.update(data, raw=True)

    def close(self) -> None:
        """Takes the bar away, if it was ever shown."""
        if self._handle is not None:
            self._display("", "")


@contextmanager
def notebook_bar(what: str) -> Iterator[NotebookBar]:
    """Gives a bar that is gone when the block ends."""
    bar = NotebookBar(what)
    try:
        yield bar
    finally:
        bar.close()


def duration(seconds: float) -> str:
    """A time in the unit that suits it: "45 s", "12 min", "3.5 h"."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 90 * 60 else f"{seconds / 3600:.1f} h"
