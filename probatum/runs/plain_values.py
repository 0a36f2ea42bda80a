"""Dataclasses as the plain values of JSON, and JSON values as the dataclass whose annotations they fit."""

import types
from collections.abc import Mapping
from dataclasses import MISSING, fields
from typing import Any, Literal, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from torch import Tensor

from probatum.errors import InvalidInput, UnknownName

T = TypeVar("T")

_WORDS = {
    str: "a text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    types.NoneType: "null",
}


def parse_dataclass(cls: type[T], values: Any, what: str) -> T:
    """Makes a dataclass from JSON values; lists become tuples.

    Args:
        cls: a dataclass whose fields are texts, numbers, choices, lists and objects of these, or Any.
        values: what was read, of whatever kind.
        what: they describe, for messages: "check".

    Raises:
        InvalidInput: no object, a field of another type, or one that is missing.
        UnknownName: a field that the class does not have.
    """
    if not isinstance(values, Mapping):
        raise InvalidInput(f"the settings of a {what} are {_shown(values)}, not an object")
    known = {field.name: field for field in fields(cast(Any, cls))}
    for name in values:
        if name not in known:
            raise UnknownName(f"setting of a {what}", str(name), known)
    for name, field in known.items():
        if name not in values and field.default is MISSING and field.default_factory is MISSING:
            raise InvalidInput(f"the settings of a {what} lack {name!r}")
    hints = get_type_hints(cls)
    for name, value in values.items():
        if not _fits(value, hints[name]):
            raise InvalidInput(f"the setting {name} of a {what} is {_shown(value)}; it must be {_words(hints[name])}")
    return cls(**{name: tuple(value) if isinstance(value, list) else value for name, value in values.items()})


def describe(value: Any) -> Any:
    """A method, metric or other dataclass as plain values, with the class by name."""
    if hasattr(value, "__dataclass_fields__"):
        return {"class": type(value).__name__} | {
            field.name: describe(getattr(value, field.name)) for field in fields(value) if field.repr
        }
    if isinstance(value, (tuple, list)):
        return [describe(item) for item in value]
    if isinstance(value, Tensor):
        return f"tensor {tuple(value.shape)}"
    return value if value is None or isinstance(value, (str, int, float, bool)) else str(value)


def _fits(value: Any, hint: Any) -> bool:
    kind, parts = get_origin(hint) or hint, get_args(hint)
    if hint is Any:
        return True
    if kind in (Union, types.UnionType):
        return any(_fits(value, part) for part in parts)
    if kind is Literal:
        return isinstance(value, str) and value in parts
    if kind is tuple:
        return isinstance(value, (list, tuple)) and all(_fits(one, parts[0]) for one in value)
    if isinstance(kind, type) and issubclass(kind, Mapping):
        return isinstance(value, dict) and all(_fits(one, parts[1]) for one in value.values())
    if kind is float:
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    return isinstance(value, kind) and not (kind is int and isinstance(value, bool))


def _words(hint: Any) -> str:
    kind, parts = get_origin(hint) or hint, get_args(hint)
    if kind in (Union, types.UnionType):
        return " or ".join(map(_words, parts))
    if kind is Literal:
        return " or ".join(map(repr, parts))
    if kind is tuple:
        return f"a list, each {_words(parts[0])}"
    return _WORDS.get(kind, "an object")


def _shown(value: Any) -> str:
    if isinstance(value, (Mapping, list, tuple)):  # whose text may be nested as deeply as the file is long
        return "an object" if isinstance(value, Mapping) else "a list"
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:40]}…"
