"""Causal effect of the model on a map, and the share of a map inside a region."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from probatum.errors import InvalidInput
from probatum.metrics.inputs import working_precision
from probatum.metrics.vectors import lengths, power_of_two_scale, times_power_of_two


def unit_maps(maps: Float[Tensor, "*batch channel height width"]) -> Float[Tensor, "*batch channel height width"]:
    """Divide each map by its Euclidean norm, in float64; a map of zeros becomes NaN, as does any distance to it."""
    values = working_precision(maps)
    vectors = values.reshape(-1, values.shape[-3:].numel())
    exponent = power_of_two_scale(vectors)
    if exponent is not None:
        vectors = times_power_of_two(vectors, -exponent)
    return (vectors / lengths(vectors)[:, None]).view(values.shape)


def causal_effect(
    trained: Float[Tensor, "task batch channel height width"],
    untrained: Float[Tensor, "model _ _ _ _"],
    weights: Float[Tensor, "_ _"],
) -> Float[Tensor, "model batch"]:
    r"""Size of the causal effect of training on a map, relative to each untrained model.

        ‖Λ(x)‖₂ with Λ(x) = Σ_t (S(x; M_t) − S(x; M′)) Pr(T = t | X = x)

    Source: Yona & Greenfeld 2021, equation 1; the paper shows Λ itself, the norm is ours.

    Args:
        trained: the maps S(x; M_t) of the model trained on each task. With maps of norm 1 (`unit_maps`) the effect is
            at most 2, and at most √2 where no value is negative.
        untrained: the maps S(x; M′) of each untrained model.
        weights: Pr(T = t | X = x), summing to 1 for each image.

    Raises:
        InvalidInput: shapes that do not match, or weights that are not probabilities.
    """
    if trained.shape[1:] != untrained.shape[1:] or weights.shape != (trained.shape[1], trained.shape[0]):
        raise InvalidInput(
            f"maps {tuple(trained.shape)} and {tuple(untrained.shape)} with weights {tuple(weights.shape)} do not "
            "match; give (task, batch, ...), (model, batch, ...) and (batch, task)"
        )
    total = weights.sum(dim=1)
    if (weights < 0).any() or (total - 1).abs().max() > 1e-6:
        raise InvalidInput("the weights Pr(T = t | X = x) must be at least 0 and sum to 1 for every image")
    mixture = torch.zeros_like(trained[0])
    for maps, weight in zip(trained, weights.unbind(1), strict=True):
        # A task of probability 0 adds nothing, even where its map is undefined.
        mixture += torch.where(weight[:, None, None, None] > 0, maps * weight[:, None, None, None], 0)
    sizes: Tensor = torch.linalg.vector_norm(mixture - untrained, dim=(-3, -2, -1))
    return sizes


def region_share(
    maps: Float[Tensor, "batch channel height width"], regions: Bool[Tensor, "batch height width"]
) -> Float[Tensor, " batch"]:
    """Share of a map's magnitude that lies inside a region, Σ_region |S| / Σ |S|.

    Args:
        maps: with or without signs; the magnitude is summed over channels.
        regions: True inside the region.

    Returns:
        (batch,) shares in [0, 1]; NaN where the map is zero or the region empty.
    """
    values = working_precision(maps)
    exponent = power_of_two_scale(values.flatten(1))
    if exponent is not None:
        values = times_power_of_two(values, -exponent)
    magnitude = values.abs().sum(dim=1)  # (batch, height, width)
    inside = torch.where(regions, magnitude, 0).sum(dim=(1, 2)) / magnitude.sum(dim=(1, 2))
    return torch.where(regions.any(dim=2).any(dim=1), inside, torch.nan)
