"""Shared code of the quality metrics: callables, chunks of rows, noise streams, and shape checks."""

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Literal, TypeAlias

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from probatum.engine.noise import image_keys, splitmix64
from probatum.errors import InvalidInput, ModelError
from probatum.metrics.inputs import check_maps, working_precision

Forward: TypeAlias = Callable[[Tensor, Tensor], Tensor]
"""The explained function: (points (rows, ...), image (rows,)) -> (rows,).

`image` is the index of the image that each row is made from; it selects the row's target, as in
`lambda points, image: model(points).gather(1, targets[image, None])[:, 0]`.
"""

Explain: TypeAlias = Callable[[Tensor, Tensor], Mapping[str, Tensor]]
"""The explanations: (points (rows, ...), image (rows,)) -> maps (rows, ...) by method."""

Product: TypeAlias = Literal["local", "global"]
"""Kind of map.

"local": change of the function per unit of change of the input, such as the gradient. "global": a contribution, which
already contains the factor x − x₀, such as Input × Gradient and Integrated Gradients (Ancona et al. 2018).
"""

# Default number of image values per chunk: 32 MiB in float64 on the CPU, for each of a few such tensors.
_CHUNK_VALUES = {"cpu": 2**22}
_CHUNK_VALUES_ELSEWHERE = 2**26


def check_images(images: Tensor) -> Tensor:
    """Check that `images` is a batch of finite floating-point images (batch, ...)."""
    if not images.is_floating_point() or images.ndim < 2 or images.numel() == 0:
        raise InvalidInput(
            f"images must be floating point (batch, ...), got {images.dtype} of shape {tuple(images.shape)}"
        )
    bad = ~images.detach().isfinite().flatten(1).all(1)
    if bool(bad.any()):
        raise InvalidInput(f"image {int(bad.nonzero()[0])} of the batch has NaN or infinite values")
    return images.detach()


def check_samples(samples: int) -> None:
    """Check that there is at least one sample."""
    if samples < 1:
        raise InvalidInput(f"samples is {samples}; an estimate needs at least one")


def streams(images: Tensor, seed: int, purpose: int) -> Int64[Tensor, " batch"]:
    """Keys of noise streams that depend only on the image, the seed and the purpose.

    A method under test may draw noise from the same image and seed; the purpose makes a metric's noise independent.
    """
    return splitmix64(splitmix64(image_keys(images, seed)) + purpose)


def row_chunks(
    images: Tensor, per_image: int, chunk: int | None
) -> Iterator[tuple[Int64[Tensor, " rows"], Int64[Tensor, " rows"]]]:
    """Enumerate (image, sample) for `per_image` samples of each image, `chunk` rows at a time, image by image."""
    if chunk is None:
        values = _CHUNK_VALUES.get(images.device.type, _CHUNK_VALUES_ELSEWHERE)
        chunk = max(1, values // images[0].numel())
    if chunk < 1:
        raise InvalidInput(f"chunk is {chunk}; a call holds at least one row")
    total = len(images) * per_image
    for start in range(0, total, chunk):
        number = torch.arange(start, min(start + chunk, total), device=images.device)
        yield number // per_image, number % per_image


def values(forward: Forward, points: Tensor, image: Tensor) -> Float[Tensor, " rows"]:
    """Evaluate the function without autograd; check the shape and that values are finite."""
    with torch.no_grad():
        found = forward(points, image)
    if found.shape != (len(points),):
        raise InvalidInput(
            f"forward returned shape {tuple(found.shape)} for {len(points)} points; it must return one number per point"
        )
    if not bool(found.isfinite().all()):
        raise ModelError("the explained function has NaN or infinite values at a perturbed point")
    return working_precision(found.detach())


def values_at(forward: Forward, images: Tensor, chunk: int | None) -> Float[Tensor, " batch"]:
    """Evaluate the function at the images themselves."""
    return torch.cat([values(forward, images[image], image) for image, _ in row_chunks(images, 1, chunk)])


def baseline_of(images: Tensor, baseline: Tensor | None) -> Float[Tensor, "batch *shape"]:
    """One baseline per image; zeros if none is given."""
    if baseline is None:
        return torch.zeros_like(images)
    try:
        return baseline.detach().to(images).expand_as(images)
    except RuntimeError:
        raise InvalidInput(
            f"the baseline has shape {tuple(baseline.shape)}, which does not fit images of {tuple(images.shape)}"
        ) from None


def feature_shape(images: Tensor, feature_dim: int | None) -> torch.Size:
    """Shape of one image's features: the image's shape, with size 1 in the dimension `feature_dim`."""
    shape = list(images.shape)
    if feature_dim is not None:
        if not -images.ndim < feature_dim < images.ndim or feature_dim == 0:
            raise InvalidInput(
                f"feature_dim is {feature_dim}; images of shape {tuple(images.shape)} have dimensions 1 to "
                f"{images.ndim - 1}"
            )
        shape[feature_dim] = 1
    return torch.Size(shape[1:])


def aligned(maps: Tensor, images: Tensor, feature_dim: int | None) -> Float[Tensor, "batch *shape"]:
    """Bring contributions to the images' number of dimensions, in working precision.

    The maps have the images' shape, or are already summed over `feature_dim`, with that dimension kept or dropped.
    """
    checked = check_maps(maps)
    features = feature_shape(images, feature_dim)
    whole, summed = images.shape, torch.Size([len(images), *features])
    if checked.shape not in (whole, summed) and feature_dim is not None:
        dropped = list(whole)
        del dropped[feature_dim]
        if checked.shape == torch.Size(dropped):
            return working_precision(checked).reshape(summed)
    if checked.shape not in (whole, summed):
        raise InvalidInput(f"maps of shape {tuple(maps.shape)} do not fit images of shape {tuple(images.shape)}")
    return working_precision(checked)


def feature_scores(maps: Tensor, images: Tensor, feature_dim: int | None) -> Float[Tensor, "batch features"]:
    """One score per feature: the sum over `feature_dim`."""
    scores = aligned(maps, images, feature_dim)
    return (scores if feature_dim is None else scores.sum(feature_dim)).flatten(1)


def feature_count(images: Tensor, feature_dim: int | None) -> int:
    """Number of features of one image."""
    return math.prod(feature_shape(images, feature_dim))
