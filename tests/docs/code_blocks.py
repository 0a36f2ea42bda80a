"""The Python code of the documentation's pages, as a reader would copy it."""

import re
from pathlib import Path

PAGES = Path(__file__).parents[2] / "docs"


def python_blocks(page: str) -> list[str]:
    blocks = re.findall(r"^```python\n(.*?)^```$", (PAGES / page).read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    assert blocks, f"{page} has no Python code"
    return blocks
