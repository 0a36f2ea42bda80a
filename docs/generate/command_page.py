"""The reference of the command line, read from the commands themselves."""

from collections.abc import Iterator
from typing import Any

import typer
from markup import table

from probatum.cli import app


def reference() -> str:
    """A section for each command: usage, arguments, options, example."""
    group: Any = typer.main.get_command(app)
    return "\n\n".join(_command(name, command) for name, command in _commands(group))


def _commands(group: Any, before: str = "") -> Iterator[tuple[str, Any]]:
    """The commands of a group by name, those of the groups in it too."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from _commands(command, f"{before}{name} ")
        else:
            yield f"{before}{name}", command


def _command(name: str, command: Any) -> str:
    arguments = [p for p in command.params if p.param_type_name == "argument"]
    options = [p for p in command.params if p.param_type_name == "option" and not getattr(p, "hidden", False)]
    words = ["probatum", name, *(_shown(argument) for argument in arguments), "[OPTIONS]"]
    parts = [f"## probatum {name}", " ".join((command.help or "").split()), f"```text\n{' '.join(words)}\n```"]
    if command.epilog:
        parts.append(f"```sh\n{command.epilog.removeprefix('Example: ')}\n```")
    if arguments:
        parts.append(table(("argument", ""), [(f"`{_shown(p)}`", p.help or "") for p in arguments]))
    rows = [(", ".join(f"`{flag}`" for flag in p.opts), p.help or "", _default(p)) for p in options]
    return "\n\n".join([*parts, table(("option", "", "default"), rows)] if rows else parts)


def _shown(argument: Any) -> str:
    text = argument.name.upper() + ("..." if argument.nargs == -1 else "")
    return text if argument.required else f"[{text}]"


def _default(option: Any) -> str:
    if option.required:
        return "required"
    return "" if option.default is None or option.default is False else f"`{option.default}`"
