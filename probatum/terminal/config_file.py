"""Options of a command in a file, TOML or JSON; what stands on the command line is stronger."""

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

from probatum.errors import InvalidInput, MissingFile, UnknownName

_LARGEST = 1 << 20  # bytes
_WORDS = {int: "a whole number", float: "a number", bool: "true or false"}


def use_config_file(context: Any, path: Path, hints: Mapping[str, Any]) -> None:
    """Makes the options in a file the defaults of a command.

    Keys are the names of options, with - or _: `data-dir`, `data_dir`. A table that is called like a command holds
    options of that command alone; the other commands pass it over.

    Args:
        context: typer's, of the command, before its options are read.
        path: of the file.
        hints: the types of the command's parameters by name.

    Raises:
        InvalidInput: no such file, no TOML or JSON, or a value of another kind than the option's.
        UnknownName: a key is no option of the command.
    """
    known = {
        flag.removeprefix("--").replace("-", "_"): str(parameter.name)
        for parameter in context.command.params
        if parameter.param_type_name == "option" and parameter.name in hints
        for flag in parameter.opts
        if flag.startswith("--")
    }
    defaults = {}
    for name, value in _options(context, read_options(path)).items():
        option = known[_known_key(name, known, context)]
        defaults[option] = _accepted(name, value, hints[option], path)
    context.default_map = defaults


def read_options(path: Path) -> Mapping[str, Any]:
    """Reads a TOML or JSON file by its extension.

    Raises:
        InvalidInput: there is no such file, or it holds something else.
    """
    if not os.path.exists(path):
        raise MissingFile("configuration file", path)
    try:
        if path.stat().st_size > _LARGEST:
            raise InvalidInput(f"{path} has more than {_LARGEST >> 20} MiB")
        content = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(f"the configuration {path} cannot be read: {error}") from error
    try:
        values = _toml(path, content) if path.suffix.lower() == ".toml" else json.loads(content)
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"{path} is no valid {path.suffix.lower().removeprefix('.') or 'JSON'}: {error}") from error
    if not isinstance(values, dict):
        raise InvalidInput(f"{path} holds no table of options")
    return values


def _toml(path: Path, content: str) -> Any:
    if sys.version_info < (3, 11):
        raise InvalidInput(f"{path}: TOML is read from Python 3.11 on; write the same options as JSON")
    import tomllib

    return tomllib.loads(content)


def _options(context: Any, values: Mapping[str, Any]) -> dict[str, Any]:
    """The options of this command: those outside of all tables, and those of its own table."""
    parent: Any = context.parent and context.parent.command
    commands = set(getattr(parent, "commands", ()))
    chosen: dict[str, Any] = {
        name: value for name, value in values.items() if not (name in commands and isinstance(value, dict))
    }
    own = values.get(str(context.info_name), {})
    return chosen | own if isinstance(own, dict) else chosen


def _known_key(name: str, known: Mapping[str, Any], context: Any) -> str:
    key = name.replace("-", "_")
    if key not in known:
        raise UnknownName(f"option of {context.info_name}", name, [each.replace("_", "-") for each in known])
    return key


def _accepted(name: str, value: Any, hint: Any, path: Path) -> Any:
    """A value as the option takes it: a list becomes names that are separated by commas."""
    kind = next((kind for kind in (bool, int, float) if kind in (hint, *get_args(hint))), str)
    if kind is str and isinstance(value, list) and all(isinstance(each, (str, int, float)) for each in value):
        return ",".join(map(str, value))
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    fits = {bool: isinstance(value, bool), int: number and isinstance(value, int), float: number}
    if not fits.get(kind, number or isinstance(value, str)):
        raise InvalidInput(f"{path}: {name} is {value!r}; it must be {_WORDS.get(kind, 'a text')}")
    return str(value) if kind is str else value
