"""What all benchmark tests share."""

import pytest


@pytest.fixture(autouse=True)
def no_collection(monkeypatch):
    """Collecting the garbage of a whole test session takes longer than the tiny contests."""
    monkeypatch.setattr("probatum.benchmarks.timing.gc.collect", lambda: None)
