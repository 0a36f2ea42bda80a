"""Names and tables that lists, help and completion show, read from `catalog.json` so that nothing slow is imported.

The registries themselves are the source: `python -m probatum.terminal.lists` writes the file from them, and a test
compares the two.
"""

import json
from collections.abc import Sequence
from enum import Enum
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from probatum.plugins import Group

CATALOG = Path(__file__).with_name("catalog.json")
Table = tuple[Sequence[str], Sequence[Sequence[str]]]


class Kind(str, Enum):
    """Tables that `probatum list` prints."""

    methods = "methods"
    metrics = "metrics"
    quality = "quality"
    models = "models"
    data = "data"
    papers = "papers"
    presets = "presets"
    initializers = "initializers"
    suites = "suites"
    laws = "laws"


_GROUPS: dict[Kind, "Group"] = {Kind.methods: "methods", Kind.metrics: "metrics", Kind.models: "models"}


@cache
def _catalog() -> dict[str, Any]:
    content: dict[str, Any] = json.loads(CATALOG.read_text(encoding="utf-8"))
    return content


def table_of(kind: Kind) -> Table:
    """Columns and rows of one list; the rows of what installed packages register come last."""
    columns, rows = columns_of(kind), _catalog()["tables"][kind.value]["rows"]
    group = _GROUPS.get(kind)
    if group is None:
        return columns, rows
    from probatum.plugins import registered  # reading the metadata of packages takes as long as the rest

    found = registered(group, {row[0] for row in rows}).values()
    known = [{"name": e.name, "title": e.name, "source": f"{e.package} {e.version}", "module": e.path} for e in found]
    return columns, [*rows, *([facts.get(column, "") for column in columns] for facts in known)]


def columns_of(kind: Kind) -> Sequence[str]:
    """The heads of the columns of one list."""
    columns: list[str] = _catalog()["tables"][kind.value]["columns"]
    return columns


def names(kind: Kind) -> list[str]:
    """The names in the first column of one list."""
    return [row[0] for row in table_of(kind)[1]]


def figures(paper: str) -> list[str]:
    """The names of a paper's figures; none where there is no such paper."""
    return _of_paper(paper, "figures")


def variants(paper: str) -> list[str]:
    """The variants of a paper's protocol; none where there is no such paper."""
    return _of_paper(paper, "variants")


def _of_paper(paper: str, what: str) -> list[str]:
    columns, rows = table_of(Kind.papers)
    column = columns.index(what)
    return [name for row in rows if row[0] == paper for name in row[column].split(", ") if name]


def choices(option: str) -> list[str]:
    """The values that an option may have."""
    return list(_catalog()["choices"][option])


def defaults(option: str) -> list[str]:
    """The names that an option stands for where it is not given."""
    return list(_catalog()["defaults"][option])
