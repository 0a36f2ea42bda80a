"""Names and files that a command line may hold: TAB completes them, and others are refused while the line is read.

So a misspelt name is answered before anything slow is imported. What only the registries know, such as the models of
an installed torchvision, is left to them.
"""

import os
from collections.abc import Callable, Container, Iterable, Sequence
from typing import Any, no_type_check

from probatum.errors import MissingFile, UnknownName, UnknownSource
from probatum.imports import is_import_path, refuse_bare_file
from probatum.names import figure_key
from probatum.terminal.catalog import Kind, figures, variants
from probatum.terminal.completion import Names, figures_of_paper, listed, one_of, some_of

Settings = dict[str, Any]
"""Arguments of `typer.Option` or `typer.Argument`."""


def split(text: str) -> tuple[str, ...]:
    """The names in a list that is separated by commas."""
    return tuple(name.strip() for name in text.split(",") if name.strip())


def one_name(what: str, known: Names, *, own: bool = False) -> Settings:
    """Of an option that takes one name, or of one that takes a name each time it is given.

    Args:
        what: the name stands for, in words.
        known: the names that exist.
        own: whether an object of the user's own code may be named, as module:name.
    """
    return {"autocompletion": one_of(known), "callback": _refusing(what, known, _given, own)}


def some_names(what: str, known: Names, *, own: bool = False) -> Settings:
    """Of an option that takes names separated by commas; see `one_name`."""
    return {"autocompletion": some_of(known), "callback": _refusing(what, known, lambda value: split(value or ""), own)}


def _given(value: Any) -> Sequence[str]:
    return () if value is None else (value,) if isinstance(value, str) else value


def _refusing(what: str, known: Names, given: Callable[[Any], Iterable[str]], own: bool) -> Callable[[Any], Any]:
    def check(value: Any) -> Any:
        for name in given(value):
            if not (own and is_import_path(name)):
                if own:
                    refuse_bare_file(name)
                _require(what, name, known())
        return value

    return check


def _require(what: str, name: str, known: Iterable[str]) -> None:
    if name not in (choices := list(known)):
        raise UnknownName(what, name, choices)


def image_sources() -> Settings:
    """Of an option that takes a data set by name, or files and folders."""
    known = listed(Kind.data)

    def check(value: Any) -> Any:
        for source in _given(value):
            if source not in known() and not os.path.exists(source):
                raise UnknownSource("data set, file or folder", source, known())
        return value

    return {"autocompletion": one_of(known), "callback": check}


def file_or(known: Container[str], what: str) -> Callable[[Any], Any]:
    """A callback of an option that takes a file, or one of a few words."""

    def check(value: Any) -> Any:
        if value is not None and value not in known and not os.path.exists(value):
            raise MissingFile(what, value)
        return value

    return check


def paper_figures() -> Settings:
    """Of an argument that takes figures of the paper that is named before it; variants are refused with them."""

    @no_type_check  # newer versions of typer pass a context of a class that they do not export
    def check(context, value):
        paper = context.params["paper"]
        known = figures(paper)
        for name in value or ():
            if figure_key(name) not in map(figure_key, known):
                raise UnknownName(f"figure of {paper}", name, known, alike=True)
        for name in context.params.get("variant") or ():  # options come before arguments
            _require(f"variant of {paper}", name, variants(paper))
        return value

    return {"autocompletion": figures_of_paper, "callback": check}
