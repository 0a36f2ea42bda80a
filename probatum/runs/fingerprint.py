"""Fingerprints of values: two values have the same one only if they compute the same."""

import builtins
import hashlib
import inspect
import sysconfig
import uuid
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from functools import lru_cache, partial
from pathlib import Path
from types import BuiltinFunctionType, CodeType, FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

_INSTALLED = tuple({str(Path(sysconfig.get_path(name))) for name in ("stdlib", "platstdlib", "purelib", "platlib")})
_PLAIN = (str, int, float, bool, type(None))
_PRINTED = (bytes, complex, slice, range, torch.dtype, torch.device, torch.layout, Path, np.dtype, np.generic, Enum)
_HOOKS = ("_forward_pre_hooks", "_forward_hooks", "_backward_pre_hooks", "_backward_hooks")
_BY_NUMBER = ("_forward_hooks_with_kwargs", "_forward_hooks_always_called", "_forward_pre_hooks_with_kwargs")
_OF_MODULES = {"_parameters", "_buffers", "_modules", "_non_persistent_buffers_set", *_HOOKS}
_IGNORED = {
    "__dict__",
    "__dataclass_fields__",
    "__dataclass_params__",
    "__weakref__",
    "__doc__",
    "__module__",
    "__qualname__",
    "__annotations__",
    "__firstlineno__",
    "__repr__",
}


def fingerprint(value: Any) -> Any:
    """Any value as JSON that another value shares only if the two compute the same.

    Tensors and weights become hashes; objects their class and attributes; functions and classes of installed libraries
    their name with a hash of their file; other functions their bytecode, defaults, closures and the globals that they
    name; other classes their members and bases. Modules have their hooks among their attributes. A value that has no
    such content, such as an open file, gets a new fingerprint each time, so that what depends on it is computed anew.
    """
    return _fingerprint(value, ())


def _fingerprint(value: Any, inside: tuple[int, ...]) -> Any:
    """As `fingerprint`; `inside` holds the ids of the values that this one is a part of."""
    if type(value) in _PLAIN:
        return value
    if isinstance(value, Tensor):
        return tensor_hash(value)
    if isinstance(value, np.ndarray) and not value.dtype.hasobject:
        return tensor_hash(torch.from_numpy(np.ascontiguousarray(value)))
    if isinstance(value, _PRINTED):
        return [type(value).__qualname__, repr(value)]
    if id(value) in inside:
        return ["part of itself", len(inside) - inside.index(id(value))]

    def part(item: Any) -> Any:
        return _fingerprint(item, (*inside, id(value)))

    for kinds, read in _READERS:
        if isinstance(value, kinds):
            return read(value, part)
    if is_dataclass(value):
        return {"class": part(type(value))} | {each.name: part(getattr(value, each.name)) for each in fields(value)}
    if _is_plain(value):
        return {"class": part(type(value)), "state": part(vars(value))}
    return uuid.uuid4().hex


def _is_plain(value: Any) -> bool:
    """True if the attributes of an object are all that it holds."""
    kind: Any = type(value)
    slots = any(vars(base).get("__slots__") for base in kind.__mro__)
    return hasattr(value, "__dict__") and not slots and kind.__reduce__ is object.__reduce__


def _of_mapping(value: Mapping[Any, Any], part: Callable[[Any], Any]) -> Any:
    if all(isinstance(key, str) for key in value):
        return {key: part(item) for key, item in value.items()}
    return [[part(key), part(item)] for key, item in value.items()]


def _of_set(value: set[Any] | frozenset[Any], part: Callable[[Any], Any]) -> Any:
    return ["set", *sorted((part(item) for item in value), key=repr)]


def _of_module(value: nn.Module, part: Callable[[Any], Any]) -> Any:
    """Layers, weights, and of each layer code, attributes and hooks."""
    if isinstance(value, (torch.jit.ScriptModule, torch.fx.GraphModule)):
        return [str(value), weights_hash(value), str(value.code)]
    return [str(value), weights_hash(value), {name: _of_layer(each, part) for name, each in value.named_modules()}]


def _of_layer(layer: nn.Module, part: Callable[[Any], Any]) -> Any:
    hooks = {name: [part(hook) for hook in getattr(layer, name).values()] for name in _HOOKS if getattr(layer, name)}
    unsaved = {name: part(layer._buffers[name]) for name in sorted(layer._non_persistent_buffers_set)}
    state = {
        # The options of hooks are stored by the numbers that torch gives to hooks.
        name: part(list(item.values()) if name in _BY_NUMBER else item)
        for name, item in vars(layer).items()
        if name not in _OF_MODULES
    }
    return [part(type(layer)), state, hooks, unsaved]


def _of_partial(value: "partial[Any]", part: Callable[[Any], Any]) -> Any:
    return ["partial", part(value.func), part(value.args), part(value.keywords)]


def _of_method(value: MethodType, part: Callable[[Any], Any]) -> Any:
    return ["method", part(value.__func__), part(value.__self__)]


def _of_function(value: FunctionType, part: Callable[[Any], Any]) -> Any:
    """Bytecode, and everything that it computes with besides its arguments."""
    if _is_installed(value):
        return _named(value)
    cells = [cell.cell_contents for cell in value.__closure__ or () if _is_filled(cell)]
    named = {name: value.__globals__[name] for name in _names(value.__code__) if name in value.__globals__}
    known = [part(value.__defaults__), part(value.__kwdefaults__), part(cells), part(named)]
    return ["function", _of_code(value.__code__), *known]


def _of_code(code: CodeType) -> list[Any]:
    constants = [_of_code(each) if isinstance(each, CodeType) else repr(each) for each in code.co_consts]
    names = [*code.co_names, *code.co_varnames, *code.co_freevars]
    return [hashlib.sha256(code.co_code).hexdigest(), constants, names, code.co_flags]


def _names(code: CodeType) -> list[str]:
    """The names that a function and those inside it look up, in a fixed order."""
    inner = [name for each in code.co_consts if isinstance(each, CodeType) for name in _names(each)]
    return list(dict.fromkeys((*code.co_names, *inner)))


def _is_filled(cell: Any) -> bool:
    try:
        return cell.cell_contents is not cell
    except ValueError:  # of a name that is assigned later
        return False


def _of_class(value: type, part: Callable[[Any], Any]) -> Any:
    if _is_installed(value):
        return _named(value)
    members = {name: part(item) for name, item in vars(value).items() if name not in _IGNORED and _computes(item)}
    return ["class", value.__qualname__, [part(base) for base in value.__bases__], members]


def _computes(member: Any) -> bool:
    """True if a member of a class has content that its bases and fields do not have."""
    described = inspect.ismemberdescriptor(member) or inspect.isgetsetdescriptor(member)
    generated = isinstance(member, FunctionType) and member.__code__.co_filename == "<string>"  # by `dataclass`
    return not (described or generated or type(member).__module__ == "_abc")


def _of_wrapper(value: Any, part: Callable[[Any], Any]) -> Any:
    return [type(value).__name__, part(value.__func__)]


def _of_property(value: property, part: Callable[[Any], Any]) -> Any:
    return ["property", part(value.fget), part(value.fset)]


def _of_name(value: Any, part: Callable[[Any], Any]) -> Any:
    """Libraries and functions of C, which the versions of the software cover."""
    return f"{getattr(value, '__module__', None) or ''}.{value.__name__}"


def _of_library(value: ModuleType, part: Callable[[Any], Any]) -> Any:
    return [value.__name__, _file_hash(getattr(value, "__file__", None) or "")]


_READERS: tuple[tuple[Any, Callable[[Any, Callable[[Any], Any]], Any]], ...] = (
    (nn.Module, _of_module),
    (Mapping, _of_mapping),
    ((tuple, list), lambda value, part: [part(item) for item in value]),
    ((set, frozenset), _of_set),
    (partial, _of_partial),
    (MethodType, _of_method),
    (FunctionType, _of_function),
    (type, _of_class),
    ((staticmethod, classmethod), _of_wrapper),
    (property, _of_property),
    (BuiltinFunctionType, _of_name),
    (ModuleType, _of_library),
)


def _is_installed(thing: Any) -> bool:
    """True if a class or function stands, by its name, in a library, the package or Python itself."""
    module = str(thing.__module__)
    if "<" in thing.__qualname__ or module == "__main__":
        return False
    if module == builtins.__name__ or module.partition(".")[0] in ("probatum", "torch"):
        return True
    file = inspect.getmodule(thing)
    return str(getattr(file, "__file__", None) or "").startswith(_INSTALLED)


def _named(thing: Any) -> str:
    module = inspect.getmodule(thing)
    name = f"{thing.__module__}.{thing.__qualname__}"
    # The identity of the software covers the package and torch.
    if name.partition(".")[0] in ("probatum", "torch", "builtins"):
        return name
    return f"{name} {_file_hash(getattr(module, '__file__', None) or '')}"


@lru_cache(maxsize=256)
def _file_hash(path: str) -> str:
    try:
        return hashlib.sha256(Path(path).read_bytes()).hexdigest()
    except OSError:  # of C, or typed into a notebook
        return ""


def weights_hash(model: nn.Module) -> str:
    """SHA-256 of all parameters and buffers, their names, types and shapes."""
    digest = hashlib.sha256()
    for name, tensor in model.state_dict().items():
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        # A tensor without axes, such as batch norm's counter, has no bytes to view until it has one.
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def tensor_hash(tensor: Tensor) -> str:
    """SHA-256 of a tensor's type, shape and numbers."""
    digest = hashlib.sha256(f"{tensor.dtype} {tuple(tensor.shape)}\n".encode())
    digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
