"""Writes `docs/tutorial.ipynb` from `docs/tutorial.md`: the Python blocks are cells of code, the rest is text.

python docs/make_notebook.py
"""

import json
import re
from pathlib import Path
from typing import Any

PAGE = Path(__file__).parent / "tutorial.md"
NOTEBOOK = PAGE.with_suffix(".ipynb")
_BLOCK = re.compile(r"^```python\n(.*?)\n```$", re.MULTILINE | re.DOTALL)


def notebook(page: str) -> dict[str, Any]:
    """The notebook of a page, in version 4.5 of Jupyter's format."""
    parts = _BLOCK.split(page)  # text, code, text, code, ..., text
    cells = [_cell(number, part) for number, part in enumerate(parts) if part.strip()]
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    return {"cells": cells, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}


def _cell(number: int, part: str) -> dict[str, Any]:
    cell = {"id": f"part-{number}", "metadata": {}, "source": part.strip().splitlines(keepends=True)}
    if number % 2:
        return cell | {"cell_type": "code", "execution_count": None, "outputs": []}
    return cell | {"cell_type": "markdown"}


def written(page: str) -> str:
    """The file of a page's notebook."""
    return json.dumps(notebook(page), indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    NOTEBOOK.write_text(written(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
