"""Commands that answer at once where help is asked for or TAB is pressed, and the names that TAB completes.

Newer versions of typer convert values by pydantic, whose import takes as long as all others together.
"""

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from probatum.terminal.catalog import Kind, choices, figures, names, variants

Names = Callable[[], Iterable[str]]


class Group(TyperGroup):
    """A group of commands that starts without importing pydantic; see `_decided`."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Returns the parameters, with a default for every switch; called by click."""
        return _decided(super().get_params(ctx))


class Command(TyperCommand):
    """A command that shows its help, and completes its line, without importing pydantic."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Returns the parameters, with a default for every switch; called by click."""
        return _decided(super().get_params(ctx))

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Reads the words of a line; called by click. While a line is completed, all values stay texts."""
        if not ctx.resilient_parsing:
            return super().parse_args(ctx, args)
        given, ctx.args, _ = self.make_parser(ctx).parse_args(args=args)
        for parameter in self.get_params(ctx):
            ctx.params[parameter.name], source = parameter.consume_value(ctx, given)
            ctx.set_parameter_source(parameter.name, source)
        return ctx.args  # type: ignore[no-any-return]


def _decided(parameters: list[Any]) -> list[Any]:
    """Turns switches off that have no default: typer would import pydantic to convert the missing value."""
    for parameter in parameters:
        if getattr(parameter, "is_flag", False) and parameter.default is None:
            parameter.default = False
    return parameters


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
