"""Checks of arguments that many functions take."""

import math
import re
from numbers import Integral

from probatum.errors import InvalidInput

_UNITS = {"b": 1, "kib": 1 << 10, "mib": 1 << 20, "gib": 1 << 30, "kb": 10**3, "mb": 10**6, "gb": 10**9}
_UNITS |= {"k": 1 << 10, "m": 1 << 20, "g": 1 << 30}  # a letter alone is binary, as in the options of other programs


def require_count(what: str, value: object, least: int = 1) -> None:
    """Raises InvalidInput unless a number is an int of at least `least`."""
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise InvalidInput(f"{what} is {value!r}; give a whole number (int) of at least {least}")
    if int(value) < least:
        raise InvalidInput(f"{what} is {value}; give at least {least}")


def parse_bytes(size: int | float | str) -> int:
    """Reads a number of bytes, or a text such as "2 GiB", "2G", "512MiB" or "1.5 GB"."""
    if isinstance(size, str):
        match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([a-z]*)\s*", size.lower())
        if match is None or (match[2] or "b") not in _UNITS:
            raise InvalidInput(f"memory budget {size!r} is not a size; write '512 MiB', '2 GiB' or a number of bytes")
        size = float(match[1]) * _UNITS[match[2] or "b"]
    if not 1 <= size < math.inf:
        raise InvalidInput(f"memory budget {size} is no positive number of bytes")
    return int(size)
