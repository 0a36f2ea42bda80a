"""Deletion and insertion: how the function falls or rises as the map's features go or come in order of rank."""

import torch
from jaxtyping import Float
from torch import Tensor

from probatum.errors import InvalidInput
from probatum.metrics.quality.inputs import (
    Forward,
    baseline_of,
    check_images,
    feature_scores,
    feature_shape,
    row_chunks,
    values,
)


def exchange_curve(
    forward: Forward,
    images: Tensor,
    maps: Tensor,
    baseline: Tensor | None = None,
    *,
    insert: bool = False,
    steps: int = 100,
    feature_dim: int | None = 1,
    chunk: int | None = None,
) -> tuple[Float[Tensor, " points"], Float[Tensor, "batch points"]]:
    """Replace features by the baseline, or the baseline by features, the largest attributions first.

    Args:
        forward: see `Forward`; Petsiuk et al. look at the probability of the target, not at its logit.
        images: (batch, ...), floating point, finite.
        maps: (batch, ...), of the images' shape or already summed over `feature_dim`. The features go in falling order
            of their signed attributions, ties in order of place.
        baseline: of a shape that expands to the images'; None is zeros. Petsiuk et al. delete to zero and insert into a
            blurred image.
        insert: start from the baseline and bring features in, instead of taking them away.
        steps: how often some features are exchanged; each feature by itself where there are fewer.
        feature_dim: dimension of the batch whose entries go together, by default the channels; see `SubsetRemoval`.
        chunk: most points in one call of `forward`; None bounds the memory of the points instead.

    Returns:
        The exchanged share of the features, from 0 to 1 (steps + 1,), and the function there (batch, steps + 1).

    Raises:
        InvalidInput: for shapes that do not fit, values that are not finite, fewer than one step.
        ModelError: the function is not finite.
    """
    if steps < 1:
        raise InvalidInput(f"steps is {steps}; a curve needs at least one")
    images = check_images(images)
    old, new = images, baseline_of(images, baseline)
    if insert:
        old, new = new, old
    scores = feature_scores(maps, images, feature_dim)
    count = scores.shape[1]
    steps = min(steps, count)
    exchanged = torch.linspace(0, count, steps + 1, dtype=torch.float64, device=images.device).round().long()
    rank = scores.argsort(dim=1, descending=True, stable=True).argsort(dim=1)  # (batch, features), 0 goes first
    rank = rank.reshape(len(images), *feature_shape(images, feature_dim))
    found = []
    for image, step in row_chunks(images, steps + 1, chunk):
        limit = exchanged[step].reshape(-1, *[1] * (images.ndim - 1))
        found.append(values(forward, torch.where(rank[image] < limit, new[image], old[image]), image))
    curve = torch.cat(found).reshape(len(images), steps + 1)
    return exchanged.to(curve) / count, curve


def deletion(
    forward: Forward,
    images: Tensor,
    maps: Tensor,
    baseline: Tensor | None = None,
    *,
    steps: int = 100,
    feature_dim: int | None = 1,
    chunk: int | None = None,
) -> Float[Tensor, " batch"]:
    """Area under the curve of the function as the features of largest attribution are deleted first.

    Source: Petsiuk, Das & Saenko (2018), arXiv:1806.07421, section 4; by the trapezoidal rule over the deleted share.
    Arguments and errors as of `exchange_curve`.

    Returns:
        (batch,) mean heights of the curve in the unit of `forward`; lower is better.
    """
    return _area(
        *exchange_curve(forward, images, maps, baseline, steps=steps, feature_dim=feature_dim, chunk=chunk),
    )


def insertion(
    forward: Forward,
    images: Tensor,
    maps: Tensor,
    baseline: Tensor | None = None,
    *,
    steps: int = 100,
    feature_dim: int | None = 1,
    chunk: int | None = None,
) -> Float[Tensor, " batch"]:
    """The same as the features of largest attribution are inserted into the baseline first; higher is better."""
    return _area(
        *exchange_curve(
            forward, images, maps, baseline, insert=True, steps=steps, feature_dim=feature_dim, chunk=chunk
        ),
    )


def _area(shares: Float[Tensor, " points"], curve: Float[Tensor, "batch points"]) -> Float[Tensor, " batch"]:
    area: Tensor = torch.trapezoid(curve, shares, dim=1)
    return area
