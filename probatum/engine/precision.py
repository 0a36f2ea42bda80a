"""The numerical state that attributions are computed in, and the caller's state put back afterwards."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

import torch

from probatum.errors import InvalidInput

Precision = Literal["float32", "float64"]
_DTYPES: dict[str, torch.dtype] = {"float32": torch.float32, "float64": torch.float64}


def dtype_of(precision: str) -> torch.dtype:
    """Returns the floating-point type that a precision computes in."""
    if precision not in _DTYPES:
        raise InvalidInput(f"precision {precision!r} does not exist; choose from {', '.join(_DTYPES)}")
    return _DTYPES[precision]


@contextmanager
def computing(device: torch.device) -> Iterator[None]:
    """Enables gradients, turns autocast and shortened float32 products off; restores all and the random state."""
    cuda_devices = [device] if device.type == "cuda" else []
    with (
        torch.random.fork_rng(cuda_devices),
        torch.inference_mode(False),
        torch.enable_grad(),
        torch.autocast(device.type, enabled=False),
        _full_float32(),
    ):
        yield


@contextmanager
def _full_float32() -> Iterator[None]:
    """Switches off the shortened float32 products of CUDA and oneDNN, by both of torch's interfaces to them."""
    cudnn: Any = torch.backends.cudnn
    operators = _operators()
    precisions = [operator.fp32_precision for operator in operators]
    try:
        flags = cudnn.allow_tf32, torch.get_float32_matmul_precision()
    except RuntimeError:  # the caller set operators one by one, in a way that the older flags cannot tell
        flags = None
    try:
        if flags is not None:
            cudnn.allow_tf32 = False
            torch.set_float32_matmul_precision("highest")
        for operator in operators:
            operator.fp32_precision = "ieee"
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
