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
    """Enables gradients, turns autocast and TensorFloat-32 off, and restores them and the random state on exit."""
    cuda_devices = [device] if device.type == "cuda" else []
    with (
        torch.random.fork_rng(cuda_devices),
        torch.inference_mode(False),
        torch.enable_grad(),
        torch.autocast(device.type, enabled=False),
        _without_tf32(),
    ):
        yield


@contextmanager
def _without_tf32() -> Iterator[None]:
    cudnn, matmul = torch.backends.cudnn, torch.backends.cuda.matmul
    try:
        saved = cudnn.allow_tf32, matmul.allow_tf32
    except RuntimeError:  # the caller uses torch's newer per-operator settings, which the older ones refuse to read
        with _ieee():
            yield
        return
    cudnn.allow_tf32 = matmul.allow_tf32 = False
    try:
        yield
    finally:
        cudnn.allow_tf32, matmul.allow_tf32 = saved


@contextmanager
def _ieee() -> Iterator[None]:
    cudnn: Any = torch.backends.cudnn  # its operators are attributes that the stubs do not know
    operators = [cudnn.conv, cudnn.rnn, torch.backends.cuda.matmul]
    saved = [operator.fp32_precision for operator in operators]
    for operator in operators:
        operator.fp32_precision = "ieee"
    try:
        yield
    finally:
        for operator, precision in zip(operators, saved, strict=True):
            operator.fp32_precision = precision
