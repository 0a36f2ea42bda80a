"""Fixtures of the reproductions."""

from collections.abc import Iterator

import pytest
from attributions.unchecked import unchecked


@pytest.fixture
def whole_run() -> Iterator[None]:
    """Without the checks of types, a quarter of the time of whole runs; the tests of each room make them."""
    with unchecked():
        yield
