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
_OTHER_RECTIFIERS = {
    F.relu6, F.hardtanh, F.leaky_relu, F.prelu, F.rrelu, F.elu, F.selu, F.celu, F.gelu, F.silu, F.mish, F.hardswish,
    F.softplus, F.threshold,
}  # fmt: skip


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
    `mode.backward(...)`, so one forward pass serves both. In-place calls stay in place: who reads that tensor later
    reads the rectified, guided one. A full backward hook of a module sees the same gradients, but copies them at each
    call, and the activations too where the call is in place.
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
            self._calls += 1
            in_place = func in _RELU_IN_PLACE or kwargs.get("inplace", args[1] if len(args) > 1 else False)
            # A part of another tensor has no node of its own for a call in place, so its result is written back.
            copied = in_place and x._is_view()
            y: Tensor = torch.relu_(x) if in_place and not copied else torch.relu(x)
            if y.grad_fn is not None:
                y.grad_fn.register_hook(self._guide)
            return x.copy_(y) if copied else y
        if func in _OTHER_RECTIFIERS:
            is_relu6 = (kwargs.get("min_val"), kwargs.get("max_val")) == (0, 6)  # nn.ReLU6 calls F.hardtanh
            self._others["relu6" if is_relu6 else func.__name__.lstrip("_")] += 1
        return func(*args, **kwargs)

    def _guide(self, inputs: tuple[Tensor | None, ...], outputs: tuple[Tensor, ...]) -> None:
        if self._guiding and inputs[0] is not None:  # as it is where nothing arrives from above
            inputs[0].clamp_(min=0)
