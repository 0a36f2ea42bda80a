"""The suites of benchmarks, one a file: what is compared as data, and the function that compares it."""

from probatum.benchmarks.suites.table import SUITES, Suite, get_suite

__all__ = ["SUITES", "Suite", "get_suite"]
