"""Runs readers on hostile inputs: each gives a sound object or an error of the package, without much time or memory."""

import resource
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import jaxtyping
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from probatum.errors import ProbatumError

MOST_MEMORY = 1 << 30  # bytes that a process may grow by: one photograph of 120 million pixels, and its copy
SLOWEST = timedelta(seconds=30)  # one case, where other things run beside


@dataclass(frozen=True)
class Reader:
    """A reader to be tested.

    Args:
        make: prepares an empty folder; gives hostile inputs and the function that reads one.
        short: cases in every run of the tests.
        long: cases with -m long.
    """

    make: Callable[[Path], tuple[st.SearchStrategy[Any], Callable[[Any], object]]]
    short: int
    long: int

    def fuzz(self, folder: Path, *, thorough: bool) -> tuple[int, int]:
        """Reads many inputs as a user does, without the type checks of the tests; how many were sound, and refused."""
        cases, read = self.make(folder)
        counts = {True: 0, False: 0}

        @settings(
            max_examples=self.long if thorough else self.short,
            deadline=SLOWEST,
            derandomize=not thorough,
            database=None,
            suppress_health_check=list(HealthCheck),
        )
        @given(cases)
        def every_case(case: Any) -> None:
            try:
                read(case)
            except ProbatumError:
                counts[False] += 1
            else:
                counts[True] += 1

        before = _peak()
        jaxtyping.config.update("jaxtyping_disable", True)
        try:
            every_case()
        finally:
            jaxtyping.config.update("jaxtyping_disable", False)
        assert _peak() - before < MOST_MEMORY
        return counts[True], counts[False]


def reader(readers: dict[str, Reader], short: int = 40, long: int = 800) -> Callable[[Any], Any]:
    """Puts a function into a table of readers."""

    def put(make: Any) -> Any:
        readers[make.__name__.replace("_", " ")] = Reader(make, short, long)
        return make

    return put


def _peak() -> int:
    """Most bytes of memory that this process ever had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10
