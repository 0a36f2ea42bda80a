"""The safetensors format: a JSON header that lists tensors, followed by their bytes.

Source: the format's description, https://github.com/huggingface/safetensors#format.
"""

import json
import math
from pathlib import Path
from typing import Any, BinaryIO

import torch
from torch import Tensor

from probatum.errors import InvalidInput

_LONGEST_HEADER = 100_000_000  # bytes, the format's own limit
_TYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}


def is_safetensors(start: bytes) -> bool:
    """True if a file with these first bytes has a safetensors header: its length, then JSON."""
    return len(start) > 8 and start[8:9] == b"{" and 2 <= int.from_bytes(start[:8], "little") <= _LONGEST_HEADER


def read_safetensors(path: Path) -> dict[str, Tensor]:
    """Read all tensors of a safetensors file.

    Raises:
        InvalidInput: the file is damaged, or has a number type that torch or this reader lacks.
    """
    size = path.stat().st_size
    try:
        with open(path, "rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if length > min(size, _LONGEST_HEADER):
                raise ValueError("the header is longer than the file")
            header = json.loads(file.read(length))
            header.pop("__metadata__", None)
            start, state = 0, {}
            for key, facts in sorted(header.items(), key=lambda item: item[1]["data_offsets"]):
                begin, end = facts["data_offsets"]
                # Gaps and overlaps are forbidden, so that tensors cannot take more memory than the file has bytes.
                if begin != start or not begin <= end <= size - 8 - length:
                    raise ValueError(f"{key} lies outside of its place")
                state[key], start = _read_tensor(file, facts, end - begin), end
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, OverflowError) as error:
        raise InvalidInput(f"{path} is a damaged safetensors file ({error}); download it again") from error
    return state


def _read_tensor(file: BinaryIO, facts: dict[str, Any], size: int) -> Tensor:
    dtype, shape = _TYPES[facts["dtype"]], [int(length) for length in facts["shape"]]
    if min(shape, default=0) < 0 or math.prod(shape) * dtype.itemsize != size:
        raise ValueError(f"a tensor of shape {shape} does not have {size} bytes")
    content = bytearray(file.read(size))
    return torch.frombuffer(content, dtype=dtype).reshape(shape) if content else torch.empty(shape, dtype=dtype)
