"""Options of methods: one sets every field of its name, in a method and in the parts that it holds."""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any

from probatum.attributions import METHODS, Method, get_method
from probatum.attributions.base import MethodsLike, named_methods
from probatum.attributions.baselines import as_baseline
from probatum.errors import InvalidInput

# For methods that are only tried.
SHORT: dict[str, Any] = {"samples": 2, "steps": 2, "tolerance": None, "ceiling": None}
# What fields of `NoisyBaselines` are called as options.
_OPTION_OF = {"center": "baseline", "count": "samples"}


def methods_with_options(
    methods: MethodsLike, given: Mapping[str, Any], usual: Mapping[str, Any] | None = None
) -> dict[str, Method]:
    """Sets options in place of the methods' own settings.

    Args:
        methods: names of the table, or methods, as in `attribute`.
        given: what the user asked for, by the name of the field; None stands for the methods' own defaults.
        usual: likewise, where the user asked for nothing: a field that need not exist.

    Raises:
        UnknownName: no such method.
        InvalidInput: an option that no chosen method has a field for.
    """
    wanted = {name: value for name, value in given.items() if value is not None}
    values = {name: value for name, value in (usual or {}).items() if value is not None} | wanted
    changed, used = dict[str, Method](), set[str]()
    for name, method in named_methods(methods).items():
        changed[name], found = set_fields(method, values)
        used |= found
    for option in (name for name in wanted if name not in used):
        able = [name for name in METHODS if set_fields(get_method(name), {option: wanted[option]})[1]]
        raise InvalidInput(
            f"--{option} fits none of the chosen methods ({', '.join(changed)}); leave it out, or choose one of "
            f"{', '.join(able)}"
        )
    return changed


def set_fields(part: Any, values: Mapping[str, Any]) -> tuple[Any, set[str]]:
    """Sets the fields of a dataclass and of the dataclasses in it; also returns the options that were used.

    The parts of a method take only what the method itself has no field for; a method within a method takes all.
    """
    if not hasattr(part, "__dataclass_fields__"):  # a method of somebody's own need not be one
        return part, set()
    changes: dict[str, Any] = {}
    used: set[str] = set()
    for field in fields(part):
        option = _OPTION_OF.get(field.name, field.name)
        if option in values:
            changes[field.name] = as_baseline(values[option]) if field.name == "center" else values[option]
            used.add(option)
    for field in fields(part):
        inner = getattr(part, field.name)
        if field.name not in changes and is_dataclass(inner):
            left = values if isinstance(inner, Method) else {k: v for k, v in values.items() if k not in used}
            changed, found = set_fields(inner, left)
            if found:
                changes[field.name] = changed
                used |= found
    return replace(part, **changes) if changes else part, used
