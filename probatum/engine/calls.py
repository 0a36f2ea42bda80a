"""Calls of torch functions during a forward pass, one by one, as the backward rules see them."""

import inspect
from abc import abstractmethod
from collections.abc import Callable, Iterable
from functools import lru_cache, partial
from traceback import walk_tb
from types import FrameType, FunctionType
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.autograd.function import BackwardCFunction
from torch.overrides import TorchFunctionMode

# Questions about a tensor, which are most calls of a forward pass, and carry no values on.
_ATTRIBUTES = (
    "shape dtype device ndim layout requires_grad is_nested is_sparse is_quantized is_cuda is_cpu is_mps is_meta"
)
_QUESTIONS = {getattr(Tensor, name).__get__ for name in _ATTRIBUTES.split()}
_QUESTIONS |= {Tensor.dim, Tensor.ndimension, Tensor.size, Tensor.numel, Tensor.stride, Tensor.__len__}
_QUESTIONS |= {Tensor.is_floating_point, Tensor.is_complex, Tensor.is_contiguous, Tensor.storage_offset}
_NUMPY_KEYWORDS = {"dim": "axis", "keepdim": "keepdims", "other": "x2"}  # which torch takes for its own


class RuleFunction(torch.autograd.Function):
    """Base of the functions that a rule puts into the graph, which hide nothing from it."""


class Call(NamedTuple):
    """A call of a torch function: a function of `torch.nn.functional`, a method, an operator or a built-in.

    Args:
        name: the bare name: "relu" for `F.relu`, `Tensor.relu_` and `torch.ops.aten.relu.default`.
        function: what is called.
        args: its positional arguments; the first is the input, also where the model gives it by keyword.
        kwargs: its keyword arguments.
    """

    name: str
    function: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]

    @property
    def in_place(self) -> bool:
        """True if the call overwrites its first argument."""
        return is_in_place(_name(self.function), self.kwargs)

    def argument(self, position: int, keyword: str = "input", default: Any = None) -> Any:
        """An argument that may come by position or by keyword, also by NumPy's."""
        if len(self.args) > position:
            return self.args[position]
        return self.kwargs.get(keyword, self.kwargs.get(_NUMPY_KEYWORDS.get(keyword, ""), default))

    def tensors(self) -> list[Tensor]:
        """All tensors among the arguments."""
        return tensors_in((*self.args, *self.kwargs.values()))

    def with_others(self, pairs: Iterable[tuple[Tensor, Tensor]]) -> "Call":
        """The call with other tensors in the place of some; where it has one twice, the first pair is for the first."""
        waiting = list(pairs)
        if not waiting:
            return self
        args = tuple([_other(value, waiting) for value in self.args])
        kwargs = {key: _other(value, waiting) for key, value in self.kwargs.items()} if waiting else self.kwargs
        return Call(self.name, self.function, args, kwargs)

    def make(self) -> Any:
        """Makes the call."""
        return self.function(*self.args, **self.kwargs)


def _other(value: Any, waiting: list[tuple[Tensor, Tensor]]) -> Any:
    """An argument with other tensors in it; each pair is used once."""
    if isinstance(value, Tensor):
        for place, (old, other) in enumerate(waiting):
            if old is value:
                del waiting[place]
                return other
        return value
    if isinstance(value, (tuple, list)) and tensors_in(value):
        return type(value)(_other(each, waiting) for each in value)
    return value


class CallMode(TorchFunctionMode):
    """Hands each call of a torch function inside the block to `intercept`, which answers for it.

    Modules, functionals, methods, operators of exported models, reused and in-place layers all end in such calls. Only
    questions about a tensor, such as its shape, are answered at once.
    """

    @abstractmethod
    def intercept(self, call: Call) -> Any:
        """Returns what the model gets from the call; `call.make()` makes it as it is."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Iterable[type], args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        if func in _QUESTIONS:
            return func(*args, **(kwargs or {}))
        kwargs = dict(kwargs) if kwargs else {}
        if not args and "input" in kwargs:
            args = (kwargs.pop("input"),)
        return self.intercept(Call(_name(func).strip("_"), func, args, kwargs))


def body_of(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function itself, without the question whether a mode wants to answer for it: its parts are asked for."""
    assert isinstance(function, FunctionType)
    names = ("has_torch_function", "has_torch_function_unary", "has_torch_function_variadic")
    scope = function.__globals__ | dict.fromkeys(names, lambda *tensors: False)
    body = FunctionType(function.__code__, scope, function.__name__, function.__defaults__, function.__closure__)
    body.__kwdefaults__ = function.__kwdefaults__
    return body


def calling_module() -> Callable[[], str]:
    """The innermost module whose forward pass is under way; what is returned finds its path in the outermost one.

    The path takes a walk through all modules, which is too much for each call of a forward pass.
    """
    modules: list[nn.Module] = []
    frame = inspect.currentframe()
    while frame is not None:
        modules += _owner(frame)
        frame = frame.f_back
    return partial(_path, modules[0], modules[-1]) if modules else lambda: "the model"


def raising_module(error: Exception) -> str:
    """The path of the innermost module in whose forward pass an error was raised."""
    modules = [owner for frame, _ in walk_tb(error.__traceback__) for owner in _owner(frame)]
    return _path(modules[-1], modules[0]) if modules else "the model"


def raised_in(source: str, error: Exception) -> bool:
    """True if a function of this Python module was under way when an error was raised."""
    return any(frame.f_globals.get("__name__") == source for frame, _ in walk_tb(error.__traceback__))


def custom_function(tensor: Tensor) -> str | None:
    """The name of the custom autograd function that made a tensor, a call that no mode sees; None for others."""
    node = tensor.grad_fn
    if not isinstance(node, BackwardCFunction) or type(node).__name__.startswith("GeneratedBackwardFor"):
        return None  # a custom operator is a call like others
    if issubclass(getattr(node, "_forward_cls", object), RuleFunction):
        return None
    return type(node).__name__.removesuffix("Backward")


def _owner(frame: FrameType) -> list[nn.Module]:
    """The module whose method a frame runs, if any."""
    owner = frame.f_locals.get("self")
    return [owner] if isinstance(owner, nn.Module) else []


def _path(module: nn.Module, whole: nn.Module) -> str:
    found = next((path for path, each in whole.named_modules() if each is module), "")
    return repr(found) if found else type(module).__name__


def is_in_place(name: str, kwargs: dict[str, Any]) -> bool:
    """True if a function of this name overwrites its first argument: `relu_`, `x[...] = 0`, `inplace=True`."""
    spelled = name == "__setitem__" or (name.endswith("_") and not name.endswith("__"))
    return spelled or bool(kwargs.get("inplace", False))


def tensors_in(values: Iterable[Any]) -> list[Tensor]:
    """All tensors in nested arguments."""
    found: list[Tensor] = []
    for value in values:
        if isinstance(value, Tensor):
            found.append(value)
        elif isinstance(value, (tuple, list)):
            found += tensors_in(value)
    return found


@lru_cache(1024)
def _name(function: Callable[..., Any]) -> str:
    name: str = getattr(getattr(function, "overloadpacket", function), "__name__", "")
    return name
