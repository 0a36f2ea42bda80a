"""Smooth versions of a network: Softplus replaces ReLU and ReLU6, and LogSumExp pooling replaces max-pooling."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from probatum.engine import PreparedModel, copy_model, prepare
from probatum.engine.calls import Call, CallMode
from probatum.engine.copying import written_module
from probatum.engine.operations import known
from probatum.engine.precision import computing
from probatum.engine.rules.rectifiers import RectifierFinder
from probatum.errors import InvalidInput, ModelError, UnknownName

Activation = Literal["softplus"]
Pooling = Literal["logsumexp", "logmeanexp"]

_WINDOWED = {f"max_pool{dimensions}d": dimensions for dimensions in (1, 2, 3)}
_ADAPTIVE = {F.adaptive_max_pool1d: 1, F.adaptive_max_pool2d: 2, F.adaptive_max_pool3d: 3}
_OTHER_KINKS = {
    "hardtanh", "leaky_relu", "prelu", "rrelu", "threshold", "hardswish", "hardsigmoid", "hardshrink",
    "softshrink", "abs", "clamp", "clamp_min", "clamp_max", "clip", "max", "amax", "maximum", "fmax",
    "fractional_max_pool2d", "fractional_max_pool3d",
}  # fmt: skip
# Above this, softplus equals the identity to the last bit, even in float64; torch's threshold of 20 causes a jump.
_EXACT = 40.0


@dataclass(frozen=True)
class Smoothing:
    """Number of calls that one forward pass of a smooth network replaced.

    Args:
        activations: calls of ReLU replaced by Softplus, and those of ReLU6 by the difference of two.
        poolings: max-pooling calls replaced by LogSumExp pooling.
        kept: calls of other non-smooth operations, which are not replaced, by name.
    """

    activations: int
    poolings: int
    kept: Mapping[str, int] = field(default_factory=dict)

    def __str__(self) -> str:
        kept = "".join(f", {count} {name} calls kept" for name, count in self.kept.items())
        return f"{self.activations} ReLU calls and {self.poolings} max-poolings replaced{kept}"


def softplus(x: Float[Tensor, "*shape"], beta: float) -> Float[Tensor, "*shape"]:
    """log(1 + exp(β x)) / β: exceeds max(x, 0) by at most log 2 / β, at x = 0."""
    return F.softplus(x, beta=beta, threshold=_EXACT)


def softclamp(x: Float[Tensor, "*shape"], ceiling: float, beta: float) -> Float[Tensor, "*shape"]:
    """softplus(x) − softplus(x − ceiling): at most log 2 / β from min(max(x, 0), ceiling)."""
    smooth = softplus(x, beta)
    return smooth if ceiling == math.inf else smooth - softplus(x - ceiling, beta)


def smooth_pool(x: Tensor, windows: Sequence[Sequence[Sequence[int]]], sharpness: float, mean: bool = False) -> Tensor:
    """LogSumExp pooling, log Σ exp(t x) / t over every window, instead of the maximum.

    The sum over a window is computed one dimension at a time. Padding is not part of the sum.

    Args:
        x: (..., *sides).
        windows: for each of the last dimensions, the positions of each window along it, all inside the input.
        sharpness: t. The result exceeds the maximum by at most log n / t for a window of n values.
        mean: divide the sum by n, so that a constant window keeps its value; the result is then at most the maximum.
    """
    pooled = x * sharpness
    for dim, places in enumerate(windows, start=x.ndim - len(windows)):
        longest = max(map(len, places))
        index = torch.tensor([[*each, *[0] * (longest - len(each))] for each in places], device=x.device)
        length = torch.tensor([len(each) for each in places], device=x.device)
        gathered = pooled.index_select(dim, index.flatten())  # (..., window * position, ...)
        gathered = gathered.reshape(*pooled.shape[:dim], *index.shape, *pooled.shape[dim + 1 :])
        spread = [1] * (x.ndim - dim - 1)
        if min(map(len, places)) < longest:
            absent = torch.arange(longest, device=x.device) >= length[:, None]
            gathered = gathered.masked_fill(absent.reshape(*absent.shape, *spread), -math.inf)
        pooled = gathered.logsumexp(dim + 1)
        if mean:
            pooled = pooled - length.to(pooled).log().reshape(-1, *spread)
    return pooled / sharpness


class _SmoothCalls(CallMode):
    """Replaces and counts the calls of one forward pass."""

    def __init__(self, activation: str | None, beta: float, pooling: str | None, sharpness: float) -> None:
        super().__init__()
        self.activation, self.beta, self.pooling, self.sharpness = activation, beta, pooling, sharpness
        self.activations = self.poolings = 0
        self.kept: Counter[str] = Counter()
        self._finder = RectifierFinder()

    @property
    def smoothing(self) -> Smoothing:
        return Smoothing(self.activations, self.poolings, dict(self.kept))

    def intercept(self, call: Call) -> Any:
        """Answers for ReLUs and max-pooling; other calls are made as they are."""
        rectifier = self._finder.find(call) if self.activation is not None else None
        if rectifier is not None:
            self.activations += 1
            # Unlike ReLU, Softplus needs its input for the gradient, so the input must not be overwritten.
            x = rectifier.x.clone() if call.in_place else rectifier.x
            smooth = softclamp(x, rectifier.ceiling, self.beta)
            return call.args[0].copy_(smooth) if call.in_place else smooth
        name = known(call.function)[1]
        if self.pooling is not None and "max_pool" in name and "fractional" not in name:
            if name not in _WINDOWED and call.function not in _ADAPTIVE:
                raise ModelError(
                    f"{name} also returns the positions of its maxima, which smooth pooling does not have; "
                    "smooth the activations alone with pooling=None"
                )
            self.poolings += 1
            if name in _WINDOWED:
                x, windows = _max_pool_windows(_WINDOWED[name], *call.args, **call.kwargs)
            else:
                x, windows = _adaptive_windows(_ADAPTIVE[call.function], *call.args, **call.kwargs)
            return smooth_pool(x, windows, self.sharpness, mean=self.pooling == "logmeanexp")
        if call.name in _OTHER_KINKS:
            self.kept[call.name] += 1
        result = call.make()
        self._finder.note(call, result)
        return result


def smoothed(
    model: nn.Module,
    *,
    activation: Activation | None = "softplus",
    beta: float = 10.0,
    pooling: Pooling | None = "logsumexp",
    sharpness: float = 10.0,
) -> nn.Module:
    """Make a smooth version of a network: ReLU → Softplus, max-pooling → LogSumExp pooling.

        ReLU(x) → log(1 + exp(β x)) / β        max_j x_j → log Σ_j exp(t x_j) / t

    min(ReLU(x), c), which is ReLU6 for c = 6, becomes softplus(x) − softplus(x − c). Every call in the forward pass is
    replaced, whether made by a module, a function or a method, in place or not, written as a clamp or a `where`, and
    also in reused modules. Module objects, dotted paths and parameters do not change; parameters share storage with the
    model, buffers do not.

    Source: Kokhlikyan et al. (2021), section 3 and Figure 2; Softplus as Dombrowski et al. (2019), arXiv:1906.07983.
    The paper gives neither β nor t. Weights trained with ReLU need large values, unless activations are large: the
    accuracy of a basic CNN on rendered digits falls from 0.94 to 0.10 with β = t = 1, to 0.87 with 10 (0.93 with
    "logmeanexp") and to 0.93 with 50; SqueezeNet 1.0 predicts the same class for 23 of 24 photographs with 1, and for
    all with 2.

    Args:
        model: any module; not changed.
        activation: "softplus", or None to keep the ReLUs.
        beta: β > 0, the sharpness of Softplus.
        pooling: "logsumexp", "logmeanexp" (the mean instead of the sum, which preserves the level of the activations),
            or None to keep max-pooling.
        sharpness: t > 0, of the pooling.

    Returns:
        The smooth network, in the model's mode. A forward pass raises ModelError if it replaces no call, or if a
        max-pooling call also returns indices. Submodules called on their own are not smooth.

    Raises:
        InvalidInput: activation and pooling are both None, or a sharpness is not positive.
        ModelError: the model cannot be copied, or is already smooth.
    """
    for name, value, choices in (
        ("activation", activation, ("softplus",)),
        ("pooling", pooling, ("logsumexp", "logmeanexp")),
    ):
        if value is not None and value not in choices:
            raise UnknownName(f"smooth {name}", value, choices)
    if activation is None and pooling is None:
        raise InvalidInput("activation and pooling are both None, which replaces nothing")
    for name, number in (("beta", beta), ("sharpness", sharpness)):
        if not 0 < number < math.inf:
            raise InvalidInput(f"{name} is {number}; it must be above 0")
    original = written_module(model)
    base: Any = type(original)
    if hasattr(base, "_smooth_calls"):
        raise ModelError(f"{base.__name__} is already smooth; pass the model that it was made from")
    buffers = {name for name, _ in original.named_buffers(remove_duplicate=False)}
    copy = copy_model(original, own=buffers.__contains__)

    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        with _SmoothCalls(activation, beta, pooling, sharpness) as calls:
            result = base.__call__(self, *args, **kwargs)
        if calls.activations == calls.poolings == 0:
            wanted = " and ".join(["ReLU"] * (activation is not None) + ["max-pooling"] * (pooling is not None))
            raise ModelError(f"{base.__name__} makes no {wanted} call to replace ({calls.smoothing})")
        self._smoothing = calls.smoothing
        return result

    # A class for this copy alone: no module is wrapped, and every path and parameter keeps its name.
    copy.__class__ = type(f"Smooth{base.__name__}", (base,), {"__call__": call, "_smooth_calls": True})
    return copy


def smoothing_of(model: nn.Module | PreparedModel, images: Tensor) -> Smoothing:
    """Count the calls that one forward pass of a network made by `smoothed` replaces.

    Raises:
        ModelError: the network was not made by `smoothed`.
    """
    prepared = prepare(model)
    if not hasattr(type(prepared.model), "_smooth_calls"):
        raise ModelError(f"{prepared.name} is not a smooth network; make one with smoothed(model)")
    with computing(prepared.device), torch.no_grad():
        prepared.logits(prepared.accept(images[:1]).clone())
    found: Smoothing = prepared.model._smoothing  # type: ignore[assignment]
    return found


def _max_pool_windows(
    dimensions: int,
    input: Tensor,
    kernel_size: int | Sequence[int],
    stride: int | Sequence[int] | None = None,
    padding: int | Sequence[int] = 0,
    dilation: int | Sequence[int] = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> tuple[Tensor, list[list[list[int]]]]:
    """Return the windows of a max-pooling call along each dimension, without padding."""
    options = (kernel_size, kernel_size if stride is None or stride == [] else stride, padding, dilation)
    windows = []
    for side, *numbers in zip(
        input.shape[-dimensions:], *(_each(option, dimensions) for option in options), strict=True
    ):
        kernel, step, pad, gap = numbers
        reach = gap * (kernel - 1) + 1
        count = (side + 2 * pad - reach + (step - 1 if ceil_mode else 0)) // step + 1
        if ceil_mode and (count - 1) * step >= side + pad:  # a window starts in the input or in the padding before it
            count -= 1
        starts = range(-pad, -pad + count * step, step)
        windows.append([[place for place in range(s, s + reach, gap) if 0 <= place < side] for s in starts])
    return input, windows


def _adaptive_windows(
    dimensions: int,
    input: Tensor,
    output_size: int | Sequence[int | None],
    return_indices: bool = False,
) -> tuple[Tensor, list[list[list[int]]]]:
    """Return the windows of an adaptive max-pooling call along each dimension."""
    windows = []
    for side, wanted in zip(input.shape[-dimensions:], _each(output_size, dimensions), strict=True):
        count = side if wanted is None else wanted
        windows.append([list(range(w * side // count, -(-(w + 1) * side // count))) for w in range(count)])
    return input, windows


def _each(option: Any, dimensions: int) -> list[Any]:
    """Expand an option to one number per dimension."""
    listed = list(option) if isinstance(option, (tuple, list)) else [option]
    return listed * dimensions if len(listed) == 1 else listed
