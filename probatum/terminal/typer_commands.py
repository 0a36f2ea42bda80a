"""Commands that answer at once: help, completion and wrong words need nothing slow, and long loading is announced.

Newer versions of typer convert values by pydantic, whose import takes as long as all others together.
"""

from typing import Any

from typer.core import TyperCommand, TyperGroup

from probatum.errors import ProbatumError
from probatum.terminal.waiting import told_when_long


class Group(TyperGroup):
    """A group of commands that starts without importing pydantic; see `_decided`."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Returns the parameters, with a default for every switch; called by click."""
        return _decided(super().get_params(ctx))

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Reads the words of a line; called by click. Without any word the help is shown, and nothing is wrong."""
        return super().parse_args(ctx, args or ([] if ctx.resilient_parsing else ["--help"]))


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

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Writes arguments and options into the help, those of each group under its title; called by click."""
        sections: dict[str, list[tuple[str, str]]] = {"Arguments": [], "Options": []}
        for parameter in self.get_params(ctx):
            title = "Arguments" if parameter.param_type_name == "argument" else section_of(parameter)
            if (record := parameter.get_help_record(ctx)) is not None:
                sections.setdefault(title, []).append(record)
        for title, records in sections.items():
            if records:
                with formatter.section(title):
                    formatter.write_dl(records)


class Work(Command):
    """A command that computes, for which PyTorch is loaded once its line is understood."""

    def invoke(self, ctx: Any) -> Any:
        """Runs the command; called by click."""
        with told_when_long("loading PyTorch", quiet=ctx.params.get("quiet", False)):
            try:
                from probatum.terminal import commands  # noqa: F401  (this is what takes long)
            except ImportError as error:
                raise ProbatumError(f"an installed package cannot be loaded: {error}; install it again") from error
        return super().invoke(ctx)


def section_of(option: Any) -> str:
    """The title of the group that an option belongs to, or "Options"."""
    return getattr(option, "rich_help_panel", None) or "Options"


def _decided(parameters: list[Any]) -> list[Any]:
    """Turns switches off that have no default: typer would import pydantic to convert the missing value."""
    for parameter in parameters:
        if getattr(parameter, "is_flag", False) and parameter.default is None:
            parameter.default = False
    return parameters
