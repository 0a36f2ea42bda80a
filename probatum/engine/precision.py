"""The numerical state that attributions are computed in, and the caller's state put back afterwards."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal, get_args

import torch
from torch import nn

from probatum.errors import InvalidInput

Precision = Literal["float32", "tf32", "bfloat16", "float64"]
PRECISIONS = get_args(Precision)
_TURN = threading.RLock()
_AMPERE = (8, 0)  # the first compute capability with units for tf32 and bfloat16


def dtype_of(precision: str) -> torch.dtype:
    """Returns the floating-point type of weights, points and maps under a precision.

    "tf32" and "bfloat16" shorten the factors of products, within convolutions and matrices, and hold float32.
    """
    if precision not in PRECISIONS:
        raise InvalidInput(f"precision {precision!r} does not exist; choose from {', '.join(PRECISIONS)}")
    return torch.float64 if precision == "float64" else torch.float32


def require_precision(precision: str, device: torch.device) -> None:
    """Raises InvalidInput where a device lacks a precision."""
    offered: tuple[str, ...] = ("float32",)
    if device.type == "cuda":
        modern = torch.cuda.get_device_capability(device) >= _AMPERE
        offered = PRECISIONS if modern else ("float32", "float64")
    elif device.type == "cpu":
        offered = ("float32", "bfloat16", "float64")
    if precision not in offered:
        raise InvalidInput(f"{device.type} here has no precision {precision!r}; choose from {', '.join(offered)}")


@contextmanager
def computing(device: torch.device, precision: str | None = None) -> Iterator[None]:
    """Enables gradients, sets float32 products to those of a precision, autocast off; restores all afterwards.

    Autocast to bfloat16 is for the model alone (`View.logits`), not for what methods do with its gradients. Some of
    this state belongs to the whole process, so threads take turns.
    """
    cuda_devices = [device] if device.type == "cuda" else []
    with (
        _TURN,
        torch.random.fork_rng(cuda_devices),
        torch.inference_mode(False),
        torch.enable_grad(),
        torch.autocast(device.type, enabled=False),
        _float32_products(short=precision == "tf32"),
    ):
        yield


@contextmanager
def cudnn_off_for_recurrent(model: nn.Module, device: torch.device) -> Iterator[None]:
    """Switches cuDNN off where a model on CUDA has recurrent layers: in eval mode it has no backward pass for them."""
    backend: Any = torch.backends.cudnn
    enabled = backend.enabled
    if device.type == "cuda" and any(isinstance(module, nn.RNNBase) for module in model.modules()):
        backend.enabled = False
    try:
        yield
    finally:
        backend.enabled = enabled


@contextmanager
def _float32_products(short: bool) -> Iterator[None]:
    """Sets the float32 products of CUDA and oneDNN to full or to TensorFloat-32, by both of torch's interfaces."""
    cudnn: Any = torch.backends.cudnn
    operators = _operators()
    precisions = [operator.fp32_precision for operator in operators]
    try:
        flags = cudnn.allow_tf32, torch.get_float32_matmul_precision()
    except RuntimeError:  # the caller set operators one by one, in a way that the older flags cannot tell
        flags = None
    try:
        if flags is not None:
            cudnn.allow_tf32 = short
            torch.set_float32_matmul_precision("high" if short else "highest")
        for operator in operators:
            operator.fp32_precision = "tf32" if short else "ieee"
        yield
    finally:
        if flags is not None:
            cudnn.allow_tf32 = flags[0]
            torch.set_float32_matmul_precision(flags[1])
        for operator, precision in zip(operators, precisions, strict=True):
            operator.fp32_precision = "none"  # as its backend says
            if operator.fp32_precision != precision:
                operator.fp32_precision = precision


def _operators() -> list[Any]:
    """The operators with a float32 precision of their own: none before torch 2.9."""
    cudnn: Any = torch.backends.cudnn  # its operators are attributes that the stubs do not know
    mkldnn: Any = torch.backends.mkldnn
    if not hasattr(torch.backends, "fp32_precision"):
        return []
    return [cudnn.conv, cudnn.rnn, torch.backends.cuda.matmul, mkldnn.conv, mkldnn.rnn, mkldnn.matmul]
