"""Reductions and normalisations that turn attributions into the maps which papers show and compare.

Each is a pure function of one image at a time: no statistic is taken over the batch.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from probatum.errors import InvalidInput, UnknownName

ADEBAYO = "Adebayo et al. 2018, arXiv:1810.03292, and the authors' notebook"


def channel_sum(maps: Tensor) -> Float[Tensor, "batch 1 height width"]:
    """Sum over channels.

    Args:
        maps: (batch, channel, height, width), floating point, finite.

    Raises:
        InvalidInput: for another dtype or number of dimensions, for empty maps, for NaN or infinity.
    """
    maps = _checked(maps)
    if maps.ndim != 4:
        raise InvalidInput(f"maps must be (batch, channel, height, width), got shape {tuple(maps.shape)}")
    return maps.sum(dim=1, keepdim=True)


def percentile_clip(maps: Tensor, percentile: float = 99.0) -> Float[Tensor, "*shape"]:
    """Lower all values above a percentile of their map to that percentile.

    A map whose percentile is also its smallest value (less than 1 % of the pixels stand out) is left as it is, since
    clipping would wipe it out.

    Args:
        maps: (batch, ...), floating point, finite.
        percentile: 0 to 100, interpolated linearly as `numpy.percentile` does.

    Raises:
        InvalidInput: for a percentile out of range, and as for `channel_sum`.
    """
    maps = _checked(maps)
    return torch.minimum(maps, _ceiling(maps, percentile))


def min_max(maps: Tensor) -> Float[Tensor, "*shape"]:
    """Map the smallest value of each image, over all its channels, to 0 and the largest to 1; a constant map to zeros.

    Args:
        maps: (batch, ...), floating point, finite.

    Raises:
        InvalidInput: as for `channel_sum`.
    """
    maps = _checked(maps)
    low, high = _per_image(maps, torch.amin), _per_image(maps, torch.amax)
    return torch.where(high > low, (maps - low) / (high - low), 0)


def identity(maps: Tensor) -> Float[Tensor, "*shape"]:
    """Return the maps (batch, ...) as they are, once checked."""
    return _checked(maps)


def absolute_sum(maps: Tensor) -> Float[Tensor, "batch 1 height width"]:
    """Sum the absolute values over channels; arguments and errors as for `channel_sum`."""
    return channel_sum(maps.abs())


def absolute(maps: Tensor) -> Float[Tensor, "batch 1 height width"]:
    """Magnitude of the attribution in [0, 1], the "ABS" of Adebayo et al.

    Absolute values, summed over channels, clipped at the 99th percentile, from their minimum to their maximum. A
    constant map becomes zeros. Arguments and errors as for `channel_sum`.

    Differs from the notebook of Adebayo et al.: maps of one channel (Grad-CAM) are clipped there only by their maximum.
    """
    return min_max(percentile_clip(absolute_sum(maps)))


def diverging(maps: Tensor) -> Float[Tensor, "batch 1 height width"]:
    """Signed attribution in [−1, 1], zero staying zero.

    The sum over channels, divided by the 99th percentile of its absolute value, clipped to [−1, 1]. A map of zeros
    stays one. Arguments and errors as for `channel_sum`.

    Differs from the notebook of Adebayo et al.: there the percentile is of the signed values, and zero goes to 0.5.
    """
    total = channel_sum(maps)
    span = _ceiling(total.abs(), 99.0)
    return torch.where(span > 0, total / span, 0).clamp(-1, 1)


def _checked(maps: Tensor) -> Tensor:
    """Refuse what is not a batch of finite floating-point maps."""
    if not maps.is_floating_point():
        raise InvalidInput(f"maps must be floating point, got {maps.dtype}; convert them with maps.float()")
    if maps.ndim < 2 or maps.numel() == 0:
        raise InvalidInput(f"maps must be (batch, ...) with at least one map and value, got shape {tuple(maps.shape)}")
    finite = maps.flatten(1).isfinite().all(dim=1)
    if not finite.all():
        raise InvalidInput(f"map {int(finite.logical_not().nonzero()[0])} of the batch has NaN or infinite values")
    return maps


def _per_image(maps: Tensor, statistic: Callable[..., Tensor]) -> Tensor:
    """Statistic of each image, shaped to broadcast against the maps."""
    return statistic(maps.flatten(1), dim=1).view(-1, *[1] * (maps.ndim - 1))


def _ceiling(maps: Tensor, percentile: float) -> Tensor:
    """Percentile of each image, or its largest value where the percentile is the smallest, to broadcast."""
    if not 0 <= percentile <= 100:
        raise InvalidInput(f"percentile must be from 0 to 100, got {percentile}")
    vectors = maps.flatten(1)
    position = percentile / 100 * (vectors.shape[1] - 1)
    below = int(position)
    # The order statistics on both sides of the position end a list of the largest values.
    top = vectors.topk(vectors.shape[1] - below, dim=1).values
    value = torch.lerp(top[:, -1], top[:, max(-2, -top.shape[1])], position - below).view(-1, *[1] * (maps.ndim - 1))
    return torch.where(value > _per_image(maps, torch.amin), value, _per_image(maps, torch.amax))


@dataclass(frozen=True)
class Reduction:
    """A named way from attributions to maps; called as reduction(attributions) -> maps.

    Args:
        name: key in `REDUCTIONS`, recorded in results.
        title: in words, for figures.
        function: the reduction.
        value_range: smallest and largest possible value; None where the values are unbounded.
        source: who used it.
    """

    name: str
    title: str
    function: Callable[[Tensor], Tensor]
    value_range: tuple[float, float] | None
    source: str

    def __call__(self, maps: Tensor) -> Tensor:
        """Reduce a batch of attributions."""
        return self.function(maps)


REDUCTIONS = {
    reduction.name: reduction
    for reduction in (
        Reduction("signed", "sum over channels", channel_sum, None, "common practice"),
        Reduction("absolute", "ABS", absolute, (0.0, 1.0), ADEBAYO),
        Reduction("diverging", "diverging", diverging, (-1.0, 1.0), ADEBAYO),
        Reduction("min-max", "all channels, normalised to [0, 1]", min_max, (0.0, 1.0), ADEBAYO),
        Reduction("absolute-sum", "absolute values summed over channels", absolute_sum, None, "common practice"),
        Reduction("identity", "as attributed", identity, None, "common practice"),
    )
}


def get_reduction(name: str) -> Reduction:
    """Look up a reduction.

    Args:
        name: key in `REDUCTIONS`.

    Raises:
        UnknownName: suggesting near names.
    """
    if name not in REDUCTIONS:
        raise UnknownName("map reduction", name, REDUCTIONS)
    return REDUCTIONS[name]
