"""The work of a computation, counted while it runs: floating-point operations, and bytes that its operators move."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry

_ATTENTION = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu  # torch counts the CUDA kernels alone
_ATTENTION_BACKWARD = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward
_UNWRITTEN = ("empty", "empty_like", "empty_strided", "new_empty", "new_empty_strided")


@dataclass(frozen=True)
class Work:
    """Work of one call.

    Args:
        flops: of matrix products, convolutions and attention, a multiply-add counted as two. Elementwise operators are
            not counted; they are bound by memory.
        traffic: bytes that the operators read and write, each tensor once per operator that takes or makes it. Caches
            may save some of it, fused kernels more.
    """

    flops: int
    traffic: int

    def seconds(self, flops_per_second: float, bytes_per_second: float) -> float:
        """The least time under the roofline model: the longer of computing and moving.

        Source: Williams, Waterman and Patterson, "Roofline", Communications of the ACM 52 (2009).
        """
        return max(self.flops / flops_per_second, self.traffic / bytes_per_second)


def count_work(call: Callable[[], object]) -> Work:
    """Runs a call once, forward and backward passes alike, and counts its work."""
    with _Counter() as counter:
        call()
    return Work(counter.flops, counter.traffic)


class _Counter(TorchDispatchMode):  # type: ignore[no-untyped-call]
    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.flops = self.traffic = 0

    def __torch_dispatch__(
        self, func: Any, types: Iterable[type], args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        kwargs = dict(kwargs or {})
        out = func(*args, **kwargs)
        self.flops += _flops(func.overloadpacket, args, kwargs, out)
        self.traffic += _traffic(func, args, kwargs, out)
        return out


def _flops(packet: Any, args: tuple[Any, ...], kwargs: dict[str, Any], out: Any) -> int:
    if packet in flop_registry:
        return int(flop_registry[packet](*args, **kwargs, out_val=out))
    if packet == _ATTENTION:
        return _attention(args[0], args[1])
    if packet == _ATTENTION_BACKWARD:  # the scores again, then the gradients of value, weights, query and key
        return 5 * _attention(args[1], args[2]) // 2
    return 0


def _attention(query: Tensor, key: Tensor) -> int:
    """Multiply-adds of the scores and of the weighted sum of values, counted as two each."""
    return 4 * prod(query.shape[:-1]) * key.shape[-2] * query.shape[-1]


def _traffic(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], out: Any) -> int:
    if func.overloadpacket.__name__ in _UNWRITTEN:
        return 0
    read = {_place(tensor): _size(tensor) for tensor in _tensors((args, kwargs))}
    made = {_place(tensor): _size(tensor) for tensor in _tensors(out)}
    changed = {
        _place(value)
        for argument, value in zip(func._schema.arguments, args, strict=False)
        if isinstance(value, Tensor) and argument.alias_info is not None and argument.alias_info.is_write
    }
    written = sum(size for place, size in made.items() if place not in read or place in changed)
    return sum(read.values()) + written if written else 0  # else it is a view, and nothing moves


def _tensors(values: Any) -> Iterator[Tensor]:
    return (leaf for leaf in tree_leaves(values) if isinstance(leaf, Tensor) and leaf.numel())


def _place(tensor: Tensor) -> int:
    return tensor.untyped_storage().data_ptr()


def _size(tensor: Tensor) -> int:
    """Bytes of a tensor; of one that is expanded, those that are stored."""
    return min(tensor.numel() * tensor.element_size(), tensor.untyped_storage().nbytes())
