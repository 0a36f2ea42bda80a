"""The `Measure` protocol of all similarity metrics, input checks, and computation in chunks."""

from collections.abc import Callable, Sequence
from typing import ClassVar, Protocol, TypeAlias, runtime_checkable

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from probatum.errors import InvalidInput

Features: TypeAlias = tuple[Tensor, ...]
"""Features of a batch of maps: tensors whose first dimension is the batch."""

# Values per chunk. On the CPU one map of 224×224, so that intermediate results stay in the cache.
CHUNK_VALUES = {"cpu": 2**16}
CHUNK_VALUES_ELSEWHERE = 2**24


@runtime_checkable
class Measure(Protocol):
    """A similarity split into features and comparison, so that a reference's features are computed once.

    Its fields are settings.
    """

    images: ClassVar[bool]
    """True if maps must be (batch, channel, height, width); False if any (batch, ...) works."""

    def features(self, maps: Tensor) -> Features:
        """Compute everything that depends on one map alone. The maps have been checked."""

    def similarity(self, features_a: Features, features_b: Features) -> Float[Tensor, " batch"]:
        """Score each pair."""


def prepare(measure: Measure, maps: Tensor) -> Features:
    """Check a batch of maps and compute its features."""
    return in_chunks(measure.features, check_maps(maps, images=measure.images))


def compare(measure: Measure, features_a: Features, features_b: Features) -> Float[Tensor, " batch"]:
    """Score each pair of prepared maps."""
    _require_match(features_a, features_b)
    count = len(features_a)
    return in_chunks(lambda *pair: (measure.similarity(pair[:count], pair[count:]),), *features_a, *features_b)[0]


def compare_maps(measure: Measure, features_a: Features, maps: Tensor) -> Float[Tensor, " batch"]:
    """Score each pair of a prepared map and a new one, without keeping the new map's features."""
    return compare_with_all(measure, [features_a], maps)[0]


def compare_with_all(
    measure: Measure, references: Sequence[Features], maps: Tensor
) -> tuple[Float[Tensor, " batch"], ...]:
    """Score maps against several batches of prepared maps; the features of `maps` are computed once.

    Args:
        measure: the computation.
        references: prepared batches, each of the same size as `maps`.
        maps: (batch, ...).

    Returns:
        the scores (batch,) against each reference.

    Raises:
        InvalidInput: batches of different sizes, devices or map shapes; see also `check_maps`.
    """
    maps = check_maps(maps, images=measure.images)
    for features in references:
        if len(maps) != len(features[0]) or maps.device != features[0].device:
            raise InvalidInput(
                f"{len(features[0])} prepared maps on {features[0].device} cannot be compared with {len(maps)} maps on "
                f"{maps.device}"
            )
    size = len(references[0])  # tensors of one batch

    def similarities(part: Tensor, *prepared: Tensor) -> Features:
        features = measure.features(part)
        batches = [prepared[first : first + size] for first in range(0, len(prepared), size)]
        for reference in batches:
            _require_match(reference, features)
        return tuple(measure.similarity(reference, features) for reference in batches)

    return in_chunks(similarities, maps, *(tensor for features in references for tensor in features))


def _require_match(features_a: Features, features_b: Features) -> None:
    for a, b in zip(features_a, features_b, strict=True):
        if a.shape != b.shape or a.device != b.device:
            raise InvalidInput(
                f"prepared maps do not match: {tuple(a.shape)} on {a.device} and {tuple(b.shape)} on {b.device}; "
                "prepare both from maps of one shape, on one device"
            )


def score(measure: Measure, a: Tensor, b: Tensor) -> Float[Tensor, " batch"]:
    """Score each pair of maps without keeping features."""
    a, b = check_maps(a, images=measure.images), check_maps(b, images=measure.images)
    if a.shape != b.shape or a.device != b.device:
        raise InvalidInput(
            f"cannot compare maps of shape {tuple(a.shape)} on {a.device} with {tuple(b.shape)} on {b.device}"
        )
    return in_chunks(lambda *pair: (measure.similarity(*map(measure.features, pair)),), a, b)[0]


def in_chunks(function: Callable[..., Features], *batches: Tensor) -> Features:
    """Apply a function that is independent across maps to chunks of the batches, and concatenate the results."""
    size = len(batches[0])
    limit = CHUNK_VALUES.get(batches[0].device.type, CHUNK_VALUES_ELSEWHERE)
    step = max(1, limit // batches[0][0].numel())
    joined: Features = ()
    for start in range(0, size, step):
        parts = function(*(batch[start : start + step] for batch in batches))
        if step >= size:
            return parts
        joined = joined or tuple(part.new_empty(size, *part.shape[1:]) for part in parts)
        for whole, part in zip(joined, parts, strict=True):
            whole[start : start + step] = part
    return joined


def check_maps(maps: Tensor, *, images: bool = False) -> Tensor:
    """Check that `maps` is a batch of finite floating-point maps.

    Args:
        maps: (batch, ...), or (batch, channel, height, width) where `images` is set.
        images: True if the metric needs the two dimensions of an image.

    Returns:
        The maps, detached.

    Raises:
        InvalidInput: another dtype or number of dimensions, an empty batch or map, NaN or infinity.
    """
    if not maps.is_floating_point():
        raise InvalidInput(f"maps must be floating point, got {maps.dtype}; convert them with maps.double()")
    if images and maps.ndim != 4:
        raise InvalidInput(f"maps must be (batch, channel, height, width), got shape {tuple(maps.shape)}")
    if maps.ndim < 2 or maps.numel() == 0:
        raise InvalidInput(f"maps must be (batch, ...) with at least one map and value, got shape {tuple(maps.shape)}")
    maps = maps.detach()
    low, high = extremes(maps)
    bad = ~(low.isfinite() & high.isfinite())
    if bad.any():
        raise InvalidInput(
            f"map {int(bad.nonzero()[0])} of the batch has NaN or infinite values; fix it or leave it out"
        )
    return maps


def extremes(maps: Float[Tensor, "batch ..."]) -> tuple[Float[Tensor, " batch"], Float[Tensor, " batch"]]:
    """Smallest and largest value of each map; NaN if the map contains NaN."""
    vectors = maps.flatten(1)
    return vectors.amin(dim=1), vectors.amax(dim=1)


def is_constant(maps: Tensor) -> Bool[Tensor, " batch"]:
    """Find the maps that hold a single value, with which correlations are undefined.

    Args:
        maps: (batch, ...), floating point, finite.

    Returns:
        (batch,) True where the largest value equals the smallest.

    Raises:
        InvalidInput: see `check_maps`.
    """
    low, high = extremes(check_maps(maps))
    return low == high


def working_precision(maps: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """Convert maps to float64, or to float32 on devices without float64."""
    return maps.to(torch.float32 if maps.device.type == "mps" else torch.float64)
