"""Benchmarks: speed, memory and agreement, each beside its error, against the bare model and other libraries."""

from probatum.benchmarks.config import BenchConfig
from probatum.benchmarks.plots import figure
from probatum.benchmarks.record import Entry, Record, read_records, write_records
from probatum.benchmarks.rivals import RIVALS
from probatum.benchmarks.run import run_suite
from probatum.benchmarks.suites import SUITES, USUAL, Suite, get_suite
from probatum.benchmarks.tables import markdown, protocol, table

__all__ = [
    "RIVALS",
    "SUITES",
    "USUAL",
    "BenchConfig",
    "Entry",
    "Record",
    "Suite",
    "figure",
    "get_suite",
    "markdown",
    "protocol",
    "read_records",
    "run_suite",
    "table",
    "write_records",
]
