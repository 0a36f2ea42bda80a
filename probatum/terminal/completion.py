"""The names that TAB completes, read from the catalog."""

from collections.abc import Callable, Iterable
from functools import partial

import typer

from probatum.terminal.catalog import Kind, choices, figures, names, variants

Names = Callable[[], Iterable[str]]


def one_of(known: Names) -> Callable[[str], list[str]]:
    """Completes a name."""

    def complete(incomplete: str) -> list[str]:
        return [name for name in known() if name.startswith(incomplete)]

    return complete


def some_of(known: Names) -> Callable[[str], list[str]]:
    """Completes the last name of a list that is separated by commas."""

    def complete(incomplete: str) -> list[str]:
        before, comma, last = incomplete.rpartition(",")
        return [f"{before}{comma}{name}" for name in known() if name.startswith(last) and name not in before.split(",")]

    return complete


def figures_of_paper(context: typer.Context, incomplete: str) -> list[str]:
    """Completes a figure of the paper that is named before it."""
    given = context.params.get("figures") or ()
    found = figures(str(context.params.get("paper")))
    return [name for name in found if name.startswith(incomplete) and name not in given]


def variants_of_paper(context: typer.Context, incomplete: str) -> list[str]:
    """Completes a variant of the paper that is named before it."""
    given = context.params.get("variant") or ()
    found = variants(str(context.params.get("paper")))
    return [name for name in found if name.startswith(incomplete) and name not in given]


def listed(kind: Kind) -> Names:
    """The names that `probatum list` shows."""
    return partial(names, kind)


def offered(option: str) -> Names:
    """The values that an option may have."""
    return partial(choices, option)
