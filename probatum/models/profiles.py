"""A model's logit along single input dimensions, which shows how smooth the network is."""

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
    """Compute the target's logit as one value of the image varies and all others are fixed.

    Source: Kokhlikyan et al. (2021), Figure 2.

    Args:
        model: any classifier, which is not changed, or a `PreparedModel`.
        image: one image without a batch dimension, preprocessed.
        target: class index.
        dimensions: indices of the varied values in the flattened image.
        span: smallest and largest offset from the image's own value.
        points: number of equally spaced offsets, both ends included.
        precision: "float32", "float64", or None for the model's own floating-point dtype.
        memory_budget: for the activations of one model call.

    Returns:
        The offsets (points,), and the logits at them (dimensions, points).

    Raises:
        InvalidInput: a dimension or a target out of range, fewer than two points, an empty span.
    """
    prepared = prepare(model, precision, memory_budget=memory_budget)
    start = prepared.accept(image[None])
    low, high = span
    if points < 2 or not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise InvalidInput(
            f"{points} points from {low} to {high} do not form a line; give at least two points and an increasing span"
        )
    if not dimensions or not all(0 <= dimension < image.numel() for dimension in dimensions):
        raise InvalidInput(f"dimensions {list(dimensions)} of an image of {image.numel()} values; indices start at 0")
    offsets = torch.linspace(low, high, points, dtype=start.dtype, device=start.device)
    curves = []
    for dimension in dimensions:
        moved = start.flatten(1).repeat(points, 1)
        moved[:, dimension] += offsets
        logits = all_logits(prepared, moved.reshape(points, *image.shape))
        if not 0 <= target < logits.shape[1]:
            raise InvalidInput(f"target {target} is out of range: the model has classes 0 to {logits.shape[1] - 1}")
        curves.append(logits[:, target])
    return offsets, torch.stack(curves)
