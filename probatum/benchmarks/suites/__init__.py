"""The suites of benchmarks, one a file: what is compared as data, and the function that compares it."""

from probatum.benchmarks.suites.table import SUITES, USUAL, Suite, get_suite

__all__ = ["SUITES", "USUAL", "Suite", "get_suite"]
