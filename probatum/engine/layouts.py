"""Layouts of feature maps: which axis of a layer's output holds the channels, and which hold the places."""

import math
from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from probatum.errors import InvalidInput


@dataclass(frozen=True)
class Tokens:
    """Tokens (batch, prefix + places, channel), the feature maps of vision transformers; written tokens:1:14x14.

    Args:
        prefix: tokens before those of the places: class tokens and registers.
        grid: number of places along each axis of the image; tokens follow it row by row.

    Raises:
        InvalidInput: a negative prefix or an empty grid.
    """

    prefix: int
    grid: tuple[int, ...]

    def __post_init__(self) -> None:
        if self.prefix < 0 or not self.grid or min(self.grid) < 1:
            raise InvalidInput(f"{self} does not exist; the prefix is at least 0, the grid positive as in (14, 14)")

    @property
    def count(self) -> int:
        """How many tokens there are."""
        return self.prefix + math.prod(self.grid)

    def __str__(self) -> str:
        return f"tokens:{self.prefix}:{'x'.join(map(str, self.grid))}"


Layout = Literal["nchw", "nhwc"] | Tokens
"""Channels in front of one, two or three axes of space, channels behind them, or tokens."""


def as_layout(value: str | Tokens) -> Layout | None:
    """Reads a layout; None is "auto", the layout that the forward pass shows.

    Raises:
        InvalidInput: no such layout.
    """
    if isinstance(value, Tokens):
        return value
    if value in ("nchw", "nhwc"):
        return "nchw" if value == "nchw" else "nhwc"
    kind, _, rest = str(value).partition(":")
    prefix, _, grid = rest.partition(":")
    sizes = grid.split("x")
    if kind == "tokens" and prefix.isdecimal() and all(size.isdecimal() for size in sizes):
        return Tokens(int(prefix), tuple(map(int, sizes)))
    if value != "auto":
        raise InvalidInput(
            f"layout {value!r} does not exist; choose from auto, nchw, nhwc, or tokens as tokens:1:14x14"
        )
    return None


def space_of(shape: tuple[int, ...], layout: Layout) -> tuple[int, ...] | None:
    """The sizes of the axes of space of an output (batch, ...); None where its shape does not fit the layout."""
    if isinstance(layout, Tokens):
        fits = len(shape) == 3 and shape[1] == layout.count
        return layout.grid if fits else None
    if not 3 <= len(shape) <= 5:
        return None
    return shape[2:] if layout == "nchw" else shape[1:-1]


def channels_first(values: Tensor, layout: Layout) -> Tensor:
    """Brings a layer's output, or its gradient, to (batch, channel, *space)."""
    if isinstance(layout, Tokens):
        places = values[:, layout.prefix :].transpose(1, 2)
        return places.reshape(*places.shape[:2], *layout.grid)
    return values if layout == "nchw" else values.movedim(-1, 1)
