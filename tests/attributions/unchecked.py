"""Calls as a user makes them: without the type checks that this test suite switches on."""

from contextlib import contextmanager

import jaxtyping


@contextmanager
def unchecked():
    """Lets wrong types through, so that the package's own refusals can be seen."""
    jaxtyping.config.update("jaxtyping_disable", True)
    try:
        yield
    finally:
        jaxtyping.config.update("jaxtyping_disable", False)
