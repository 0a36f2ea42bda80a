"""Reductions and normalizations that turn attributions into the maps which papers show and compare.

Each is a pure function of one image at a time: no statistic is taken over the batch.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from probatum.errors import InvalidInput, UnknownName

ADEBAYO = "Adebayo et al. 2018, arXiv:1810.03292, and the authors' notebook"


def channel_sum(maps: Tensor) -> Float[Tensor, "batch *shape"]:
    """Sum over channels.

    Sums are formed without overflow. A sum that the result's type cannot hold becomes the largest number that it can.

    Args:
        maps: (batch, channel, ...), floating point, finite: pictures, series, volumes, or tables (batch, feature),
            whose features are channels that are not summed.

    Returns:
        (batch, 1, ...); tables as they are. Float32 for half-precision maps.

    Raises:
        InvalidInput: for another dtype or number of dimensions, for empty maps, for NaN or infinity.
    """
    values, scale = _scaled(maps)
    return _rescaled(_channel_sum(values), scale)


def absolute_sum(maps: Tensor) -> Float[Tensor, "batch *shape"]:
    """Sum the absolute values over channels; arguments, result and errors as for `channel_sum`."""
    values, scale = _scaled(maps)
    return _rescaled(_channel_sum(values.abs()), scale)


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
    values, scale = _scaled(maps)
    return _rescaled(_clipped(values, percentile), scale)


def min_max(maps: Tensor) -> Float[Tensor, "*shape"]:
    """Map the smallest value of each image, over all its channels, to 0 and the largest to 1; a constant map to zeros.

    Args:
        maps: (batch, ...), floating point, finite.

    Raises:
        InvalidInput: as for `channel_sum`.
    """
    return _stretched(_scaled(maps)[0])


def identity(maps: Tensor) -> Float[Tensor, "*shape"]:
    """Return the maps (batch, ...) as they are, once checked."""
    _extremes(maps)
    return maps


def abs_normalized(maps: Tensor) -> Float[Tensor, "batch *shape"]:
    """Magnitude of the attribution in [0, 1], the "ABS" of Adebayo et al.

    Absolute values, summed over channels, clipped at the 99th percentile, from their minimum to their maximum. A
    constant map becomes zeros. Arguments and errors as for `channel_sum`.

    Differs from the notebook of Adebayo et al.: maps of one channel (Grad-CAM) are clipped there only by their maximum.
    """
    return _stretched(_clipped(_channel_sum(_scaled(maps)[0].abs()), 99.0))


def diverging(maps: Tensor) -> Float[Tensor, "batch *shape"]:
    """Signed attribution in [−1, 1], zero staying zero.

    The sum over channels, divided by the 99th percentile of its absolute value, clipped to [−1, 1]. A map of zeros
    stays one. Arguments and errors as for `channel_sum`.

    Differs from the notebook of Adebayo et al.: there the percentile is of the signed values, and zero goes to 0.5.
    """
    total = _channel_sum(_scaled(maps)[0])
    span = _ceiling(total.abs(), 99.0)
    return torch.where(span > 0, total / span, 0).clamp(-1, 1)


def _extremes(maps: Tensor) -> tuple[Float[Tensor, " batch"], Float[Tensor, " batch"]]:
    """The smallest and largest value of each map; InvalidInput for what is not a batch of finite maps."""
    if not maps.is_floating_point():
        raise InvalidInput(f"maps must be floating point, got {maps.dtype}; convert them with maps.float()")
    if maps.ndim < 2 or maps.numel() == 0:
        raise InvalidInput(f"maps must be (batch, ...) with at least one map and value, got shape {tuple(maps.shape)}")
    low, high = torch.aminmax(maps.flatten(1), dim=1)
    finite = low.isfinite() & high.isfinite()
    if not finite.all():
        raise InvalidInput(f"map {int(finite.logical_not().nonzero()[0])} of the batch has NaN or infinite values")
    return low, high


def _scaled(maps: Tensor) -> tuple[Tensor, Tensor]:
    """Checked maps in float32 or wider, divided by `scale` so that no sum over channels and no difference overflows.

    The scale of an image is 1, or where its values are huge the power of two that leaves room; neither changes a digit.
    """
    low, high = _extremes(maps)
    dtype = torch.promote_types(maps.dtype, torch.float32)
    room = 2.0 ** (2 + math.ceil(math.log2(maps.shape[1])))  # differences of sums over dimension 1, and some more
    huge = torch.maximum(high, -low).to(dtype) > torch.finfo(dtype).max / room
    scale = torch.where(huge, room, 1.0).to(dtype).view(-1, *[1] * (maps.ndim - 1))
    return maps.to(dtype) / scale, scale


def _rescaled(values: Tensor, scale: Tensor) -> Tensor:
    """Values times their scale, as far as their type reaches."""
    limit = torch.finfo(values.dtype).max / scale
    return torch.minimum(torch.maximum(values, -limit), limit) * scale


def _channel_sum(values: Tensor) -> Tensor:
    return values if values.ndim == 2 else values.sum(dim=1, keepdim=True)


def _clipped(values: Tensor, percentile: float) -> Tensor:
    return torch.minimum(values, _ceiling(values, percentile))


def _stretched(values: Tensor) -> Tensor:
    """Each image from its smallest to its largest value."""
    low, high = _per_image(values, torch.amin), _per_image(values, torch.amax)
    return torch.where(high > low, (values - low) / (high - low), 0)


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
        Reduction("abs-normalized", "ABS", abs_normalized, (0.0, 1.0), ADEBAYO),
        Reduction("diverging", "diverging", diverging, (-1.0, 1.0), ADEBAYO),
        Reduction("min-max", "all channels, normalized to [0, 1]", min_max, (0.0, 1.0), ADEBAYO),
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
