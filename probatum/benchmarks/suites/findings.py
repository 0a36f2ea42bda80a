"""Results of a suite."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from probatum.benchmarks.record import Entry


@dataclass
class Findings:
    """Entries and remarks, collected as a suite goes on."""

    entries: list[Entry] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)

    def add(self, found: tuple[Iterable[Entry], Iterable[str]]) -> None:
        """Takes what a contest returns."""
        entries, lines = found
        self.entries += entries
        self.lines += lines
