"""Batch norm folded into the convolution before it: one layer does the work of two, up to rounding."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)  # subclasses may compute something else
_BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


@dataclass(frozen=True)
class Fold:
    """A convolution whose output one batch norm reads and nothing else.

    Args:
        convolution: its dotted path.
        batch_norm: its dotted path; its output stays what it was.
        hidden: paths of all modules that return the convolution's output, which no longer exists.
    """

    convolution: str
    batch_norm: str
    hidden: tuple[str, ...]


class _Readers(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts how many operations read each tensor."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.count: Counter[int] = Counter()
        self._alive: list[Tensor] = []  # so that no tensor takes over the identity of another

    def __torch_dispatch__(
        self, func: Callable[..., Any], types: Iterable[type], args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        for tensor in tree_leaves((args, kwargs)):
            if isinstance(tensor, Tensor):
                self.count[id(tensor)] += 1
                self._alive.append(tensor)
        return func(*args, **(kwargs or {}))


def find_folds(model: nn.Module, example: Tensor, extra: Sequence[Tensor] = ()) -> tuple[Fold, ...]:
    """Finds what can be folded by watching a forward pass of a frozen copy: which batch norm reads which output.

    Args:
        model: the frozen copy.
        example: an image, (1, ...).
        extra: its further inputs.
    """
    inputs: dict[str, list[Tensor]] = {}
    outputs: dict[str, list[Tensor]] = {}

    def keep(path: str, module: nn.Module, arguments: tuple[Any, ...], output: Any) -> None:
        if isinstance(output, Tensor):
            outputs.setdefault(path, []).append(output)
            inputs.setdefault(path, []).extend(arguments[:1])

    modules = dict(model.named_modules())
    free = {path for path, module in modules.items() if not (module._forward_hooks or module._forward_pre_hooks)}
    handles = [module.register_forward_hook(partial(keep, path)) for path, module in modules.items()]
    try:
        with torch.random.fork_rng([example.device] if example.is_cuda else []), torch.no_grad(), _Readers() as readers:
            model(example.clone(), *extra)
    finally:
        for handle in handles:
            handle.remove()

    once = [path for path, made in outputs.items() if len(made) == 1 and path in free]
    convolutions = {id(outputs[path][0]): path for path in once if type(modules[path]) in _CONVOLUTIONS}
    folds = []
    for path in once:
        module = modules[path]
        if type(module) not in _BATCH_NORMS or module.running_mean is None or not inputs[path]:
            continue
        read = id(inputs[path][0])
        convolution = convolutions.get(read)
        if convolution is not None and readers.count[read] == 1:
            hidden = tuple(each for each, made in outputs.items() if any(id(tensor) == read for tensor in made))
            folds.append(Fold(convolution, path, hidden))
    return tuple(folds)


def fold(model: nn.Module, folds: Iterable[Fold]) -> None:
    """Changes a model so that each convolution does the work of its batch norm, which then passes its input on.

    Parameters are replaced and not written to, as others may share them.
    """
    for each in folds:
        convolution, norm = model.get_submodule(each.convolution), model.get_submodule(each.batch_norm)
        assert isinstance(convolution, _CONVOLUTIONS)
        assert isinstance(norm, _BATCH_NORMS)
        assert norm.running_mean is not None
        assert norm.running_var is not None
        folded, shift = folded_parameters(
            convolution.weight,
            convolution.bias,
            NormParameters(norm.running_mean, norm.running_var, norm.weight, norm.bias, norm.eps),
        )
        convolution.weight = nn.Parameter(folded, requires_grad=False)
        convolution.bias = nn.Parameter(shift, requires_grad=False)
        vars(norm)["forward"] = _same  # in place of the module, whose path hooks and other attributes may know


class NormParameters(NamedTuple):
    """What a batch norm in eval mode computes with.

    Args:
        mean: μ, its running mean.
        variance: v, its running variance.
        weight: γ; None is one.
        bias: β; None is zero.
        eps: ε.
    """

    mean: Tensor
    variance: Tensor
    weight: Tensor | None
    bias: Tensor | None
    eps: float


def folded_parameters(weight: Tensor, bias: Tensor | None, norm: NormParameters) -> tuple[Tensor, Tensor]:
    """The weight and the bias of a layer that does the work of its batch norm, computed in float64.

    BN(W * x + b) = (s W) * x + s (b − μ) + β,  s = γ / √(v + ε)
    """
    weight = weight.detach()
    scale = (norm.variance.double() + norm.eps).rsqrt()
    if norm.weight is not None:
        scale = scale * norm.weight.detach().double()
    shift = -norm.mean.double() * scale
    if bias is not None:
        shift = shift + bias.detach().double() * scale
    if norm.bias is not None:
        shift = shift + norm.bias.detach().double()
    folded = weight.double() * scale.reshape(-1, *[1] * (weight.ndim - 1))
    return folded.to(weight.dtype), shift.to(weight.dtype)


def _same(input: Tensor) -> Tensor:
    return input
