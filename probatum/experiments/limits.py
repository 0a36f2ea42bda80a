"""Limits of a configuration's numbers, checked before any work begins."""

from typing import Any

from probatum.engine.arguments import parse_bytes
from probatum.errors import InvalidInput

SEEDS = 2**63  # torch's generators take no larger ones


def check_seed(seed: int) -> None:
    """Raises InvalidInput where a seed is negative or has more than 63 bits."""
    if not 0 <= seed < SEEDS:
        raise InvalidInput(f"seed is {seed}; it must be from 0 to {SEEDS - 1}")


def check_numbers(config: Any, *counts: str) -> None:
    """Checks what configurations have in common.

    Args:
        config: has a `seed`, and a `memory_budget` where it has one.
        counts: fields that are at least 1, or None.

    Raises:
        InvalidInput: a value out of range, or a memory budget that is no size.
    """
    check_seed(config.seed)
    for name in counts:
        value = getattr(config, name)
        if value is not None and value < 1:
            raise InvalidInput(f"{name} is {value}; it must be at least 1")
    if getattr(config, "memory_budget", None) is not None:
        parse_bytes(config.memory_budget)
