"""How a command ends that does not come to its end: by a signal, or by an error in one line. Warnings take one, too."""

import os
import signal
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO

import typer

from probatum.errors import InvalidInput, ProbatumError, ProbatumWarning
from probatum.runs.ended import FINISHED, current_rank, saved_progress
from probatum.terminal.output import caution, complain

# What typer raises for a line that it cannot read; its newer versions carry click within and export no name of this.
UsageError: Any = typer.BadParameter.__bases__[0]


class Stopped(BaseException):
    """The command was asked to end, by Ctrl-C or SIGTERM; not KeyboardInterrupt, which typer takes for itself."""

    def __init__(self, number: int) -> None:
        self.code = 128 + number  # as shells count
        super().__init__("interrupted")


@contextmanager
def stoppable() -> Iterator[None]:
    """Lets Ctrl-C and SIGTERM end the command with what was computed in place."""

    def stop(number: int, frame: object) -> None:
        raise Stopped(number)

    if threading.current_thread() is not threading.main_thread():  # which alone may set handlers
        yield
        return
    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def one_line(debug: bool) -> Iterator[None]:
    """Turns what went wrong into one line and an exit code: 2 for wrong usage, 128 + signal when stopped, else 1."""
    try:
        yield
    except UsageError as error:
        complain(_usage_fault(error))
        raise SystemExit(2) from None
    except (ProbatumError, OSError, Stopped) as error:
        if debug:
            raise
        what, kept, rank = _fault(error), saved_progress(error), current_rank()
        if kept:
            what = f"{what}; {kept}"
            if not kept.startswith(FINISHED):
                what += ": give the same command again to continue"
        elif isinstance(error, Stopped):
            what = f"{what}; nothing was written"
        if not (rank and isinstance(error, Stopped)):  # all processes are stopped together; the first one says so
            complain(what if rank is None else f"process {rank}: {what}")
        code = error.code if isinstance(error, Stopped) else 2 if isinstance(error, InvalidInput) else 1
        raise SystemExit(code) from None


@contextmanager
def plain_warnings() -> Iterator[None]:
    """Shows each warning of the package once, in one line without the place in the code that it comes from."""
    given, before = set[str](), warnings.showwarning

    def show_once(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        if not issubclass(category, ProbatumWarning):
            before(message, category, filename, lineno, file, line)
        elif str(message) not in given:
            given.add(str(message))
            caution(str(message))

    warnings.showwarning = show_once
    try:
        yield
    finally:
        warnings.showwarning = before


def _fault(error: BaseException) -> str:
    """An error in words; that of the system names the file first, and not its number."""
    if isinstance(error, OSError) and error.filename is not None and error.strerror:
        return f"{os.fsdecode(error.filename)}: {error.strerror}"
    return str(error)


def _usage_fault(error: Any) -> str:
    """The fault of a line that cannot be read, and where its right form is shown."""
    fault = error.format_message().rstrip(".")
    if hasattr(error, "param_type") and error.param is not None and error.param.help:  # of what is missing
        fault = f"{fault}: {error.param.help.rstrip('.')}"
    command = error.ctx.command_path if error.ctx is not None else "probatum"
    return f"{fault}{'' if fault.endswith('?') else ';'} see {command} --help"
