"""The Python code of the documentation's pages, as a reader would copy it."""

import re
from pathlib import Path

PAGES = Path(__file__).parents[2] / "docs"
_BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_PAIR = re.compile(r"^## (\w+)\n\n```python\n(.*?)^```$\n\nLargest difference: (\d\S*\d)\.", re.MULTILINE | re.DOTALL)


def text_of(page: str) -> str:
    return (PAGES / page).read_text(encoding="utf-8")


def python_blocks(page: str) -> list[str]:
    blocks = _BLOCK.findall(text_of(page))
    assert blocks, f"{page} has no Python code"
    return blocks


def pairs(page: str) -> list[tuple[str, str, float]]:
    """Headings whose code makes `theirs` and `ours`, with that code and the largest difference the page states."""
    return [(name, block, float(bound)) for name, block, bound in _PAIR.findall(text_of(page))]
