"""Images with a part replaced: what those methods look at that ask for logits alone."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Int64
from torch import Tensor

from probatum.engine.sampling import Rows, accepted_baselines, per_row


@dataclass(frozen=True)
class SlidingWindow:
    """The image, and a copy of it for each place of a window that shows the baseline there.

    Each row has shares of its logit for each input value, and a sign as its weight. The sum of weight · logit · shares
    over all rows is, at each value, the mean of S(x) − S(x_k) over the windows k that cover it: the image has shares of
    1, and the k-th copy has a weight of −1 and shares of 1 / (number of windows that cover the value) in its window.

    Args:
        shape: of an image.
        window: its size along each axis of the shape.
        stride: from one place to the next, along each axis. A last window that reaches beyond the edge is cut off.
        baseline: makes x′ from the batch of images, (batch, ...) -> (batch, ...).
    """

    shape: tuple[int, ...]
    window: tuple[int, ...]
    stride: tuple[int, ...]
    baseline: Callable[[Tensor], Tensor]

    @property
    def places(self) -> tuple[int, ...]:
        """How many places the window has along each axis."""
        axes = zip(self.shape, self.window, self.stride, strict=True)
        return tuple(math.ceil((length - window) / stride) + 1 for length, window, stride in axes)

    @property
    def count(self) -> int:
        """The image and every place of the window."""
        return 1 + math.prod(self.places)

    def prepare(self, images: Tensor) -> Tensor:
        """The baseline of each image."""
        return accepted_baselines(self.baseline(images), images).expand_as(images)

    def expand(self, rows: Rows, prepared: Tensor, sample: Tensor) -> Rows:
        """Puts the window with each row's number over the image; number 0 is the image itself."""
        image = per_row(sample == 0, prepared)
        occluded = self._window(sample - 1) & ~image
        shares = (occluded / self._covered(sample.device)).masked_fill_(image, 1.0)
        return replace(
            rows,
            points=torch.where(occluded, prepared, rows.origins),
            baselines=prepared,
            shares=shares.to(prepared.dtype),
            weights=torch.where(sample == 0, rows.weights, -rows.weights),
        )

    def _window(self, number: Int64[Tensor, " rows"]) -> Bool[Tensor, "rows *shape"]:
        """Where the window with each number lies; the last axis runs fastest."""
        inside = torch.ones(len(number), *[1] * len(self.shape), dtype=torch.bool, device=number.device)
        for axis in reversed(range(len(self.shape))):
            place, number = number % self.places[axis], number // self.places[axis]
            inside = inside & self._along(axis, place).reshape(-1, *self._only(axis))
        return inside

    def _covered(self, device: torch.device) -> Tensor:
        """How many windows cover each value: the product of how many do so along each axis, (1, ...)."""
        covered = torch.ones(1, *[1] * len(self.shape), dtype=torch.float64, device=device)
        for axis, places in enumerate(self.places):
            along = self._along(axis, torch.arange(places, device=device)).sum(0, keepdim=True)
            covered = covered * along.reshape(-1, *self._only(axis))
        return covered

    def _along(self, axis: int, place: Int64[Tensor, " places"]) -> Bool[Tensor, "places length"]:
        """Which positions on one axis each place of the window covers."""
        start = self.stride[axis] * place[:, None]
        position = torch.arange(self.shape[axis], device=place.device)
        return (start <= position) & (position < start + self.window[axis])

    def _only(self, axis: int) -> tuple[int, ...]:
        """The shape of an image that has a length along one axis alone."""
        return tuple(length if each == axis else 1 for each, length in enumerate(self.shape))
