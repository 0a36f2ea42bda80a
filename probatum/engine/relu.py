"""Guided ReLU by a backward hook on every ReLU call of a forward pass, however the model spells the call."""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from probatum.errors import ModelError

# nn.ReLU and its subclasses call F.relu, so modules need no case of their own; exported models call the operators.
_RELU = {F.relu, torch.relu, Tensor.relu, torch.ops.aten.relu, torch.ops.aten.relu.default}
_RELU_IN_PLACE = {F.relu_, torch.relu_, Tensor.relu_, torch.ops.aten.relu_, torch.ops.aten.relu_.default}
_CLAMPS = {"clamp", "clamp_min", "clip"}  # a ReLU where they bound by 0 from below alone
_OTHER_RECTIFIERS = {
    *("relu6", "hardtanh", "leaky_relu", "prelu", "rrelu", "elu", "selu", "celu", "gelu", "silu", "mish", "hardswish"),
    *("softplus", "threshold"),
}
# What such calls leave in the graph. Their backward makes a new tensor, which nobody else holds yet.
_NODES = ("ReluBackward", "ClampBackward", "ClampMinBackward")


@dataclass(frozen=True)
class ReLUCoverage:
    """How many ReLU calls one forward pass makes, all of which are guided, and what else it rectifies with.

    Args:
        guided: ReLU calls of any kind: module, functional, method, in-place, reused.
        others: calls of activations for which Guided Backprop has no rule and passes the plain gradient, by name.
    """

    guided: int
    others: dict[str, int] = field(default_factory=dict)

    def require(self, model_name: str) -> None:
        """Raises ModelError where nothing was guided: the map would be the plain gradient under another name."""
        if self.guided == 0:
            found = ", ".join(f"{count} {name}" for name, count in self.others.items()) or "no other activation"
            raise ModelError(
                f"{model_name} makes no ReLU call (found: {found}); Guided Backprop is defined for ReLU networks, "
                "so use another method"
            )

    def __str__(self) -> str:
        others = "".join(f", {count} {name} calls have no guided rule" for name, count in self.others.items())
        return f"{self.guided} of {self.guided} ReLU calls guided{others}"


class GuidedReLU(TorchFunctionMode):
    """Hooks the place of each ReLU call in the graph, so that a backward pass can be guided there.

    The rule of Springenberg et al. (2014, arXiv:1412.6806): R_in = 1[x > 0] · 1[R_out > 0] · R_out. The call's own
    backward makes 1[x > 0] · R_out; the hook then drops what is negative, in that new tensor, which saves a copy.

    The mode is entered for the forward pass alone. Backward passes through that graph are plain, or guided inside
    `mode.backward(...)`, so one forward pass serves both. An in-place call overwrites its input: what reads that tensor
    afterwards reads the ReLU's output, and its gradient passes through the hook. A full backward hook of a module
    (`register_full_backward_hook`) sees the same gradients, but modules only, and it copies tensors at each call.
    """

    def __init__(self) -> None:
        super().__init__()
        self._guiding = False
        self._calls = 0
        self._others: Counter[str] = Counter()

    @property
    def coverage(self) -> ReLUCoverage:
        """The calls counted so far."""
        return ReLUCoverage(self._calls, dict(self._others))

    def backward(self, gradient: Callable[[], Any]) -> Any:
        """Runs a backward pass under the guided rule and returns what it returns."""
        self._guiding = True
        try:
            return gradient()
        finally:
            self._guiding = False

    def __torch_function__(
        self, func: Callable[..., Any], types: Iterable[type], args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        if func in _RELU or func in _RELU_IN_PLACE:
            x = args[0] if args else kwargs["input"]
            in_place = func in _RELU_IN_PLACE or kwargs.get("inplace", args[1] if len(args) > 1 else False)
            # A part of another tensor has no node of its own for a call in place, so its result is written back.
            copied = in_place and x._is_view()
            y: Tensor = torch.relu_(x) if in_place and not copied else torch.relu(x)
            self._hook(y)
            return x.copy_(y) if copied else y
        name = _name(func)
        result = func(*args, **kwargs)
        if name in _CLAMPS and _bounds_by_zero(name, args, kwargs):
            if not self._hook(result):
                self._others[name] += 1
        elif name in _OTHER_RECTIFIERS:
            is_relu6 = (kwargs.get("min_val"), kwargs.get("max_val")) == (0, 6)  # nn.ReLU6 calls F.hardtanh
            self._others["relu6" if is_relu6 else name] += 1
        return result

    def _hook(self, y: Tensor) -> bool:
        """Whether the result of a ReLU call is guided: not where the call is hidden from autograd, or on a part."""
        guided = y.grad_fn is not None and type(y.grad_fn).__name__.startswith(_NODES)
        if guided:
            assert y.grad_fn is not None
            y.grad_fn.register_hook(self._guide)
        self._calls += guided or y.grad_fn is None  # without a graph there is nothing to guide
        return guided or y.grad_fn is None

    def _guide(self, inputs: tuple[Tensor | None, ...], outputs: tuple[Tensor, ...]) -> None:
        if self._guiding and inputs[0] is not None:  # as it is where nothing arrives from above
            inputs[0].clamp_(min=0)


def _name(func: Callable[..., Any]) -> str:
    """The name of a function, of its spelling in place and of its operators."""
    name: str = getattr(getattr(func, "overloadpacket", func), "__name__", "")
    return name.strip("_")


def _bounds_by_zero(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    low = kwargs.get("min", args[1] if len(args) > 1 else None)
    high = None if name == "clamp_min" else kwargs.get("max", args[2] if len(args) > 2 else None)
    return isinstance(low, (int, float)) and low == 0 and high is None
