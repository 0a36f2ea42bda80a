"""Running statistics over the samples of each image, so that samples are never all in memory."""

from typing import Literal, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

Statistic = Literal["mean", "square", "variance"]


@runtime_checkable
class Accumulator(Protocol):
    """Takes weighted maps of points in the stream's order and gives one map an image."""

    def add(self, maps: Tensor, image: Tensor, weights: Tensor) -> None:
        """Adds a chunk: (rows, ...) maps, the image of each row, and the row's weight."""

    def result(self) -> Tensor:
        """The statistic, (batch, ...)."""


def accumulation_dtype(dtype: torch.dtype) -> torch.dtype:
    """Type of accumulators: float32 at least, because bfloat16 sums lose small addends."""
    return torch.promote_types(dtype, torch.float32)


class WeightedSum:
    """Σ_j w_j m_j over all points of an image: what a mean and a quadrature are.

    Args:
        batch: number of images.
    """

    def __init__(self, batch: int) -> None:
        self._batch = batch
        self._sum: Tensor | None = None
        self._dtype = torch.float32  # of the maps

    def add(self, maps: Float[Tensor, "rows *shape"], image: Tensor, weights: Tensor) -> None:
        """Adds the weighted maps of a chunk to their images."""
        if self._sum is None:
            self._sum = maps.new_zeros(self._batch, *maps.shape[1:], dtype=accumulation_dtype(maps.dtype))
            self._dtype = maps.dtype
        self._sum.index_add_(0, image, maps * weights.reshape(-1, *[1] * (maps.ndim - 1)))

    def result(self) -> Tensor:
        """The sums."""
        assert self._sum is not None, "the stream had no points"
        return self._sum.to(self._dtype)


class SeveralSums:
    """Σ_j w_jk m_j over all points of an image, for several weightings k of them at once.

    Args:
        batch: number of images.
        count: how many weightings.
    """

    def __init__(self, batch: int, count: int) -> None:
        self._each = [WeightedSum(batch) for _ in range(count)]

    def add(self, maps: Float[Tensor, "rows *shape"], image: Tensor, weights: Float[Tensor, "rows sums"]) -> None:
        """Adds the maps of a chunk under each weighting."""
        for total, column in zip(self._each, weights.unbind(1), strict=True):
            total.add(maps, image, column)

    def result(self) -> Float[Tensor, "batch sums *shape"]:
        """The sums so far."""
        return torch.stack([total.result() for total in self._each], dim=1)


class SampleMoments:
    """Mean of squares or variance over an image's samples, where each sample is itself a sum over `inner` points.

    The variance follows Welford (1962): it is a sum of squares of differences and so cannot turn negative.

    Args:
        batch: number of images.
        samples: samples of each image.
        inner: points of each sample.
        variance: the variance Σ (s − mean)² / samples instead of the mean of squares.
    """

    def __init__(self, batch: int, samples: int, inner: int, variance: bool) -> None:
        self._batch, self._samples, self._inner, self._variance = batch, samples, inner, variance
        self._points = 0  # seen so far, over all images
        self._dtype = torch.float32  # of the maps
        self._sample: Tensor | None = None  # the sum of the sample in work
        self._mean: Tensor | None = None
        self._squares: Tensor | None = None

    def add(self, maps: Float[Tensor, "rows *shape"], image: Tensor, weights: Tensor) -> None:
        """Adds a chunk; a sample may begin in one chunk and end in another."""
        if self._mean is None or self._squares is None:
            self._mean = maps.new_zeros(self._batch, *maps.shape[1:], dtype=accumulation_dtype(maps.dtype))
            self._dtype = maps.dtype
            self._squares = torch.zeros_like(self._mean)
        # The stream's weights hold 1/samples already; a sample's own value has the inner weights alone.
        weighted = maps * (weights * self._samples).reshape(-1, *[1] * (maps.ndim - 1))
        for part in torch.split(weighted, self._lengths(len(maps))):
            total = part.sum(0)
            self._sample = total if self._sample is None else self._sample + total
            self._points += len(part)
            if self._points % self._inner == 0:
                sample, self._sample = self._sample, None
                number = self._points // self._inner - 1
                self._update(number // self._samples, number % self._samples, sample)

    def _lengths(self, rows: int) -> list[int]:
        """Cuts a chunk where samples end."""
        lengths: list[int] = []
        first = min(rows, self._inner - self._points % self._inner)
        while rows > 0:
            lengths.append(min(first if not lengths else self._inner, rows))
            rows -= lengths[-1]
        return lengths

    def _update(self, image: int, number: int, sample: Tensor) -> None:
        assert self._mean is not None
        assert self._squares is not None
        if not self._variance:
            self._squares[image] += sample.square() / self._samples
            return
        difference = sample - self._mean[image]
        self._mean[image] += difference / (number + 1)
        self._squares[image] += difference * (sample - self._mean[image]) / self._samples

    def result(self) -> Tensor:
        """The mean of squares or the variance."""
        assert self._squares is not None, "the stream had no points"
        return self._squares.to(self._dtype)
