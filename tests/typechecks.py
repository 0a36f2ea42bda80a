"""Makes the checks of types cheap, without leaving a function unchecked.

The option --jaxtyping-packages puts `jaxtyping.jaxtyped` on every function of the package. That took a quarter of the
time of all tests, for two reasons. Around each call it binds the arguments and keeps the names of shapes: functions
that name no shape do without, for the type checker alone checks the same. And a function inside a function is
decorated whenever it is made, which takes a millisecond: here only the first one is.
"""

import functools
import inspect
from collections.abc import Callable
from dataclasses import is_dataclass
from types import CodeType
from typing import Any, get_args

import jaxtyping

_with_shapes = jaxtyping.jaxtyped
_inner: set[CodeType] = set()  # of functions inside functions, which have been made before


def use() -> None:
    """For all modules that are imported from now on."""
    jaxtyping.jaxtyped = lambda *, typechecker: functools.partial(_checked, typechecker)


def _checked(typechecker: Callable[..., Any], target: Any) -> Any:
    """What the decorator makes of a function or class."""
    if is_dataclass(target) and not _names_shapes(target.__init__):
        if not hasattr(target.__init__, "__wrapped__"):  # not inherited, nor one's own
            target.__init__ = _without_shapes(typechecker, target.__init__)
        return target
    if not inspect.isfunction(target):
        return _with_shapes(target, typechecker=typechecker)
    if "<locals>" in target.__qualname__:
        if target.__code__ in _inner or jaxtyping.config.jaxtyping_disable:
            return target
        _inner.add(target.__code__)
    if _names_shapes(target):
        return _with_shapes(target, typechecker=typechecker)
    return _without_shapes(typechecker, target)


def _without_shapes(typechecker: Callable[..., Any], function: Callable[..., Any]) -> Callable[..., Any]:
    checked = typechecker(function)

    @functools.wraps(function)
    def call(*arguments: Any, **named: Any) -> Any:
        return (function if jaxtyping.config.jaxtyping_disable else checked)(*arguments, **named)

    return call


def _names_shapes(function: Callable[..., Any]) -> bool:
    return any(map(_names_a_shape, function.__annotations__.values()))


def _names_a_shape(annotation: Any) -> bool:
    """Whether a type of jaxtyping occurs in an annotation; one that is text is not looked into."""
    kinds = (annotation, *getattr(annotation, "__mro__", ()))
    return (
        isinstance(annotation, str)
        or any(getattr(kind, "__module__", "").startswith("jaxtyping") for kind in kinds)
        or any(map(_names_a_shape, get_args(annotation)))
    )
