"""Tables that sources of pages hold beside their marks are those that the site is built with."""

import importlib

import pytest
from docs.code_blocks import PAGES


@pytest.fixture
def fact_tables(monkeypatch):
    monkeypatch.syspath_prepend(PAGES / "generate")
    return importlib.import_module("fact_tables")


def test_pages_hold_the_tables_of_the_site(fact_tables):
    for name, kept in fact_tables.KEPT.items():
        source = (PAGES / name).read_text(encoding="utf-8")
        assert source == fact_tables.with_kept_tables(source, kept), "run: python docs/generate/fact_tables.py"
        bare = fact_tables.with_kept_tables(source, ())
        assert len(bare) < len(source)
        assert fact_tables.fill(source) == fact_tables.fill(bare)
