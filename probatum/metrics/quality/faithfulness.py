"""Deletion and insertion curves: the function's value as features are removed or added in order of attribution."""

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
    """Evaluate the function as features are replaced by the baseline, or the reverse, largest attributions first.

    Args:
        forward: see `Forward`; Petsiuk et al. use the probability of the target, not its logit.
        images: (batch, ...), floating point, finite.
        maps: (batch, ...), of the images' shape or already summed over `feature_dim`. Features are exchanged in
            descending order of their signed attributions, ties in order of position.
        baseline: of a shape that expands to the images'; None is zeros. Petsiuk et al. delete to zero and insert into a
            blurred image.
        insert: start from the baseline and insert features, instead of deleting them from the image.
        steps: number of exchanges; at most one per feature.
        feature_dim: dimension whose entries are exchanged together, by default the channels; see `SubsetRemoval`.
        chunk: maximum number of points in one call of `forward`; None limits the memory of the points instead.

    Returns:
        The exchanged share of the features, from 0 to 1 (steps + 1,), and the function's values (batch, steps + 1).

    Raises:
        InvalidInput: shapes that do not match, values that are not finite, fewer than one step.
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
    rank = scores.argsort(dim=1, descending=True, stable=True).argsort(dim=1)  # (batch, features), 0 is exchanged first
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
    Arguments and errors are those of `exchange_curve`.

    Returns:
        (batch,) areas, equal to the mean height of the curve, in the unit of `forward`; lower is better.
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
    """Area under the insertion curve: features enter the baseline, largest attribution first; higher is better.

    Arguments and errors are those of `exchange_curve`.
    """
    return _area(
        *exchange_curve(
            forward, images, maps, baseline, insert=True, steps=steps, feature_dim=feature_dim, chunk=chunk
        ),
    )


def _area(shares: Float[Tensor, " points"], curve: Float[Tensor, "batch points"]) -> Float[Tensor, " batch"]:
    area: Tensor = torch.trapezoid(curve, shares, dim=1)
    return area
