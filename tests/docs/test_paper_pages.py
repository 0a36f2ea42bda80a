"""The written page of each paper: its question, what it found, and how to read its figures."""

import re

import pytest
from docs.code_blocks import PAGES, text_of

from probatum.reproductions import PAPERS


def test_every_paper_has_a_page_and_every_page_a_paper():
    assert sorted(path.stem for path in (PAGES / "papers").glob("*.md")) == sorted(PAPERS)


@pytest.mark.parametrize("name", PAPERS)
def test_it_has_its_sections(name):
    first, *_, last = re.findall(r"^## (.+)$", text_of(f"papers/{name}.md"), re.MULTILINE)
    assert first == "The question"
    assert last == "How to read the figures"
