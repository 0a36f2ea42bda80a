"""Markdown that the generated pages share."""

import re
from collections.abc import Iterable, Sequence

_ARXIV = re.compile(r"\barXiv[: ](\d{4}\.\d{4,5})")


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join("| " + " | ".join(_cell(cell) for cell in line) + " |" for line in lines)


def linked(source: str) -> str:
    """Text with links to the arXiv papers that it names."""
    return _ARXIV.sub(r"[arXiv:\1](https://arxiv.org/abs/\1)", source)


def file_of(module: str, package: bool = False) -> str:
    """The source file of a module, from the root of the repository."""
    return f"`{module.replace('.', '/')}{'/__init__.py' if package else '.py'}`"


def first_line(docstring: str | None) -> str:
    """The first sentence of a docstring, which may take several lines."""
    return " ".join((docstring or "").strip().split("\n\n")[0].split())


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
