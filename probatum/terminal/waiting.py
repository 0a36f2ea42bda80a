"""A word about work that says nothing by itself and may take long, such as an import."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Timer

from probatum.runs.ended import current_rank

PATIENCE = 2.0  # seconds, after which a user wonders


@contextmanager
def told_when_long(what: str, *, quiet: bool = False) -> Iterator[None]:
    """Names on standard error what takes longer than a user waits for without a word.

    Args:
        what: is being done, such as "loading PyTorch".
        quiet: whether nothing is said; nor is it in any process but the first of those that torchrun started.
    """
    if quiet or current_rank():
        yield
        return
    timer = Timer(PATIENCE, print, (f"{what} ...",), {"file": sys.stderr, "flush": True})
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
