"""The callback that long work reports to."""

from collections.abc import Callable

Progress = Callable[[int, int, str], None]
"""Called with (steps done, steps in all, what is being done)."""
