"""Correlation of the histograms of oriented gradients (HOG) of two maps."""

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from probatum.errors import InvalidInput
from probatum.metrics.inputs import Features, check_maps, in_chunks, score, working_precision
from probatum.metrics.ranks import rank_directions
from probatum.metrics.vectors import (
    SAFE_EXPONENTS,
    correlate,
    directions,
    power_of_two_scale,
    times_power_of_two,
)

EPSILON = 1e-5  # of Dalal & Triggs' block normalization; scikit-image's value
CEILING = 0.2  # the "Hys" of L2-Hys: values of a block are clipped here


def hog(
    maps: Tensor, *, orientations: int = 9, cell_size: int = 16, block_size: int = 3
) -> Float[Tensor, "batch features"]:
    """Histograms of oriented gradients: gradient magnitudes of each cell, summed by orientation, normalized by block.

    Gradients are central differences; at each pixel, the channel with the largest gradient counts. Orientations are
    unsigned (0° to 180°), in bins of equal width. Each block of cells is divided by its L2 norm, clipped at 0.2, and
    divided again (L2-Hys). Source: Dalal & Triggs (2005, CVPR), as implemented by `skimage.feature.hog`.

    Args:
        maps: (batch, channel, height, width), floating point, finite.
        orientations: number of bins.
        cell_size: side of a cell in pixels; incomplete cells at the right and lower border are left out.
        block_size: side of a block in cells; 1 normalizes each cell by itself.

    Returns:
        (batch, features) in scikit-image's order.

    Raises:
        InvalidInput: maps smaller than one block; see also `check_maps`.

    Differs from scikit-image:
        1. scikit-image sums each cell in float32, this function in float64; they agree to about 3e-7 of the largest
           feature.
        2. A gradient whose angle rounds to 180° counts in the last bin; scikit-image drops it.
    """
    measure = HOGCorrelation(False, orientations, cell_size, block_size)
    (features,) = in_chunks(lambda chunk: (measure.histograms(chunk),), check_maps(maps, images=True))
    return features


def _dominant_gradient(
    maps: Float[Tensor, "batch channel height width"],
) -> tuple[Float[Tensor, "batch height width"], Float[Tensor, "batch height width"]]:
    """Central differences along y and x (zero at the border), of the channel with the largest gradient."""
    gradient_y, gradient_x = torch.zeros_like(maps), torch.zeros_like(maps)
    torch.sub(maps[..., 2:, :], maps[..., :-2, :], out=gradient_y[..., 1:-1, :])
    torch.sub(maps[..., 2:], maps[..., :-2], out=gradient_x[..., 1:-1])
    if maps.shape[1] == 1:
        return gradient_y[:, 0], gradient_x[:, 0]
    channel = torch.hypot(gradient_y, gradient_x).argmax(dim=1, keepdim=True)
    return gradient_y.gather(1, channel)[:, 0], gradient_x.gather(1, channel)[:, 0]


def _without_overflow(maps: Float[Tensor, "batch *shape"]) -> Float[Tensor, "batch *shape"]:
    """Scale huge maps down by a power of two that keeps EPSILON negligible; leave others unchanged."""
    exponent = power_of_two_scale(maps.flatten(1))
    if exponent is None:
        return maps
    return times_power_of_two(maps, -(exponent - SAFE_EXPONENTS[maps.dtype]).clamp(min=0))


def _normalize(blocks: Float[Tensor, "batch row column y x bin"]) -> Float[Tensor, "batch row column y x bin"]:
    """Divide each block by its L2 norm."""
    return blocks / (blocks.square().sum(dim=(3, 4, 5), keepdim=True) + EPSILON**2).sqrt()


@dataclass(frozen=True)
class HOGCorrelation:
    """Correlation of the HOGs of two maps as a `Measure`.

    Args:
        by_rank: use Spearman's correlation instead of Pearson's.
        orientations: see `hog`.
        cell_size: see `hog`.
        block_size: see `hog`.
    """

    images: ClassVar[bool] = True
    by_rank: bool = False
    orientations: int = 9
    cell_size: int = 16
    block_size: int = 3

    def __post_init__(self) -> None:
        for name in ("orientations", "cell_size", "block_size"):
            if getattr(self, name) < 1:
                raise InvalidInput(f"{name} of HOG must be 1 or more, got {getattr(self, name)}")

    def features(self, maps: Tensor) -> Features:
        """Describe each map by its HOG, ranked or centered."""
        histograms = self.histograms(maps)
        return rank_directions(histograms) if self.by_rank else directions(histograms, centered=True)

    def similarity(self, features_a: Features, features_b: Features) -> Float[Tensor, " batch"]:
        """Correlate the HOGs."""
        return correlate(features_a, features_b)

    def histograms(self, maps: Float[Tensor, "batch channel height width"]) -> Float[Tensor, "batch features"]:
        """Compute the HOG of each map."""
        rows, columns = (side // self.cell_size for side in maps.shape[-2:])
        if min(rows, columns) < self.block_size:
            raise InvalidInput(
                f"maps of {maps.shape[-2]}x{maps.shape[-1]} pixels are smaller than one HOG block of "
                f"{self.block_size}x{self.block_size} cells of {self.cell_size}x{self.cell_size} pixels; "
                "use a smaller cell_size or block_size, or larger maps"
            )
        gradient_y, gradient_x = (
            gradient[:, : rows * self.cell_size, : columns * self.cell_size]
            for gradient in _dominant_gradient(_without_overflow(working_precision(maps)))
        )
        # Angles run from −180° to 180°; the remainder maps opposite directions to one orientation.
        angle = torch.atan2(gradient_y, gradient_x) * (180 / math.pi)
        orientation = (angle / (180 / self.orientations)).floor().long() % self.orientations
        row, column = (
            torch.arange(cells, device=maps.device).repeat_interleave(self.cell_size) for cells in (rows, columns)
        )
        place = (row[:, None] * columns + column) * self.orientations + orientation  # (batch, height, width)
        sums = angle.new_zeros(len(maps), rows * columns * self.orientations)
        sums.scatter_add_(1, place.flatten(1), torch.hypot(gradient_y, gradient_x).flatten(1))
        cells = sums.view(-1, rows, columns, self.orientations) / self.cell_size**2
        # (batch, row, column, orientation) -> (batch, block row, block column, cell row, cell column, orientation)
        blocks = cells.unfold(1, self.block_size, 1).unfold(2, self.block_size, 1).permute(0, 1, 2, 4, 5, 3)
        return _normalize(_normalize(blocks).clamp(max=CEILING)).flatten(1)


def hog_pearson(
    a: Tensor, b: Tensor, *, orientations: int = 9, cell_size: int = 16, block_size: int = 3
) -> Float[Tensor, " batch"]:
    """Pearson correlation of the HOGs of two maps, the metric that Adebayo et al. (2018, arXiv:1810.03292) describe.

    The paper does not give the parameters. The defaults are those of its authors' notebook: cells of 16×16 pixels,
    everything else as in scikit-image. See `correlate` for undefined correlations.

    Args:
        a: maps (batch, channel, height, width), floating point, finite.
        b: maps of the same shape.
        orientations: see `hog`.
        cell_size: see `hog`; images of 28×28 need a smaller one than the default.
        block_size: see `hog`.

    Returns:
        (batch,) correlations in [−1, 1].

    Raises:
        InvalidInput: maps of different shapes; see also `hog`.
    """
    return score(HOGCorrelation(False, orientations, cell_size, block_size), a, b)


def hog_spearman(
    a: Tensor, b: Tensor, *, orientations: int = 9, cell_size: int = 16, block_size: int = 3
) -> Float[Tensor, " batch"]:
    """Spearman's rank correlation of the HOGs of two maps, the metric of the notebook of Adebayo et al.

    Arguments, return value and errors are those of `hog_pearson`.
    """
    return score(HOGCorrelation(True, orientations, cell_size, block_size), a, b)
