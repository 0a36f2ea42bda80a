"""A model's logit along single input dimensions: what a smooth network is smooth in."""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from probatum.engine import PreparedModel, all_logits, prepare
from probatum.errors import InvalidInput


def function_along(
    model: nn.Module | PreparedModel,
    image: Tensor,
    target: int,
    dimensions: Sequence[int],
    span: tuple[float, float] = (-1.0, 1.0),
    points: int = 101,
    *,
    precision: str | None = None,
    memory_budget: int | str | None = None,
) -> tuple[Float[Tensor, " points"], Float[Tensor, "dimensions points"]]:
    """The target's logit while one number of the image moves and all others stay.

    Source: Kokhlikyan et al. (2021), Figure 2.

    Args:
        model: any classifier, left as it is, or a view of it.
        image: one image without a batch dimension, preprocessed.
        target: class index.
        dimensions: which numbers of the image move, by their place in the flattened image.
        span: from where to where, relative to the image's own value.
        points: equally spaced, both ends included.
        precision: "float32", "float64", or None for the model's own floating-point type.
        memory_budget: for the activations of one model call.

    Returns:
        The offsets (points,), and the logits there (dimensions, points).

    Raises:
        InvalidInput: a dimension or a target that does not exist, fewer than two points, an empty span.
    """
    prepared = prepare(model, precision)
    start = prepared.accept(image[None])
    low, high = span
    if points < 2 or not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise InvalidInput(f"{points} points from {low} to {high} are no line; give two or more, and a span that rises")
    if not dimensions or not all(0 <= dimension < image.numel() for dimension in dimensions):
        raise InvalidInput(f"dimensions {list(dimensions)} of an image of {image.numel()} numbers; count from 0")
    offsets = torch.linspace(low, high, points, dtype=start.dtype, device=start.device)
    curves = []
    for dimension in dimensions:
        moved = start.flatten(1).repeat(points, 1)
        moved[:, dimension] += offsets
        logits = all_logits(prepared, moved.reshape(points, *image.shape), memory_budget=memory_budget)
        if not 0 <= target < logits.shape[1]:
            raise InvalidInput(f"target {target} is out of range: the model has classes 0 to {logits.shape[1] - 1}")
        curves.append(logits[:, target])
    return offsets, torch.stack(curves)
