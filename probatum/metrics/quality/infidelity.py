"""Infidelity and sensitivity-n: how well a map predicts the function's response to a perturbation of the input."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from probatum.errors import InvalidInput, UnknownName
from probatum.metrics.inputs import check_maps, working_precision
from probatum.metrics.quality.inputs import (
    Forward,
    Product,
    aligned,
    baseline_of,
    check_images,
    row_chunks,
    streams,
    values,
    values_at,
)
from probatum.metrics.quality.perturbations import GaussianNoise, Perturbation, Perturbed, SubsetRemoval
from probatum.metrics.vectors import directions

_PURPOSE = 0x1F1D


@dataclass(frozen=True, eq=False)
class Responses:
    """Response to each perturbation: as each map predicts it, and as measured on the function.

    Args:
        predicted: by method, (batch, samples): Iᵀ Φ, or its analog for global maps.
        measured: (batch, samples): f(x) − f(x − I).
    """

    predicted: Mapping[str, Float[Tensor, "batch samples"]]
    measured: Float[Tensor, "batch samples"]


def responses(
    forward: Forward,
    images: Tensor,
    maps: Mapping[str, Tensor],
    perturbation: Perturbation,
    *,
    product: Product | Mapping[str, Product] = "local",
    baseline: Tensor | None = None,
    feature_dim: int | None = 1,
    seed: int = 0,
    chunk: int | None = None,
) -> Responses:
    """Predict and measure the function's response to perturbations, for the maps of several methods at once.

    The prediction of a map Φ for the perturbation I is

        "local":   Σ_j I_j Φ_j
        "global":  Σ_j I_j / (x_j − x₀_j) Φ_j = Σ_j m_j Φ_j   where I = m ⊙ (x − x₀).

    A global map already contains the factor x − x₀, which a product with I would count twice. For noise the quotient
    is undefined where x = x₀, so a global map needs a perturbation that removes features.

    Args:
        forward: see `Forward`.
        images: (batch, ...), floating point, finite.
        maps: by method. Local maps have the images' shape; global maps may already be summed over `feature_dim`.
        perturbation: distribution of I.
        product: "local" or "global", for all maps or by method; see `Product`.
        baseline: x₀, of a shape that expands to the images'; None is zeros. Noise does not use it.
        feature_dim: see `SubsetRemoval`; the dimension over which global maps may be summed.
        seed: of the perturbations, which depend only on the image and the seed.
        chunk: maximum number of points in one call of `forward`; None limits the memory of the points instead.

    Raises:
        InvalidInput: shapes that do not match, values that are not finite, noise with global maps.
        ModelError: the function is not finite at a perturbed image.
    """
    images = check_images(images)
    baselines = baseline_of(images, baseline)
    local_or_global = {name: product if isinstance(product, str) else product[name] for name in maps}
    fitted = {name: _fitted(name, phi, images, local_or_global[name], feature_dim) for name, phi in maps.items()}
    keys = streams(images, seed, _PURPOSE)
    undisturbed = values_at(forward, images, chunk)
    predicted: dict[str, list[Tensor]] = {name: [] for name in maps}
    measured: list[Tensor] = []
    for image, sample in row_chunks(images, perturbation.samples, chunk):
        drawn = perturbation.draw(images[image], baselines[image], keys[image], sample)
        factors = {product: _factor(drawn, product) for product in set(local_or_global.values())}
        measured.append(undisturbed[image] - values(forward, drawn.points, image))
        for name, phi in fitted.items():
            factor = factors[local_or_global[name]]
            if any(own == 1 < size for own, size in zip(phi.shape[1:], factor.shape[1:], strict=True)):
                raise InvalidInput(
                    f"the map {name} of shape {tuple(phi.shape)} has one value where the perturbation changes "
                    f"{tuple(factor.shape[1:])} numbers separately; use one feature_dim for both"
                )
            predicted[name].append((factor * phi[image]).flatten(1).sum(1))
    shape = (len(images), perturbation.samples)
    return Responses(
        {name: torch.cat(parts).reshape(shape) for name, parts in predicted.items()},
        torch.cat(measured).reshape(shape),
    )


def mean_squared_gap(
    predicted: Float[Tensor, "batch samples"], measured: Float[Tensor, "batch samples"], scaled: bool = False
) -> Float[Tensor, " batch"]:
    """Mean over samples of (β a − b)², a being predicted and b measured.

    β is 1, or with `scaled` the optimal Σ a b / Σ a² of each image. Where all a are 0, β has no effect and is set to 0.
    """
    if scaled:
        squares = predicted.square().sum(1)
        scale = (predicted * measured).sum(1) / torch.where(squares > 0, squares, 1)
        predicted = predicted * scale[:, None]
    return (predicted - measured).square().mean(1)


def infidelity(
    forward: Forward,
    images: Tensor,
    maps: Tensor,
    perturbation: Perturbation | None = None,
    *,
    product: Product = "local",
    scaled: bool = False,
    baseline: Tensor | None = None,
    feature_dim: int | None = 1,
    seed: int = 0,
    chunk: int | None = None,
) -> Float[Tensor, " batch"]:
    """Infidelity: mean squared error of the map's prediction of the effect of perturbations.

        INFD(Φ, f, x) = E_I [(Iᵀ Φ(f, x) − (f(x) − f(x − I)))²]

    Source: Yeh et al. (2019), arXiv:1901.09392, equation 1, which is for local maps; see `responses` for global maps.
    With `Removal` and a global map it is the squared error of completeness. Kokhlikyan et al. (2021) use
    `GaussianNoise(0.03)` for local maps and `Removal` for global maps.

    In float32 the difference f(x) − f(x − I) contains the rounding error of the logits: infidelities below about
    1e-14 · f(x)² are rounding noise.

    Args:
        forward: see `responses`, also for `seed` and `chunk`.
        images: (batch, ...).
        maps: of one method, (batch, ...).
        perturbation: distribution of I; None is `GaussianNoise()`.
        product: "local" or "global"; see `Product`.
        scaled: scale each map by its optimal β, as Yeh et al. do to compare maps of different units. It needs at least
            two samples: with a single one, as under `Removal`, the scaled infidelity is always zero.
        baseline: x₀.
        feature_dim: of the features.
        seed: of the perturbations.
        chunk: maximum number of points in one call.

    Returns:
        (batch,) in the squared unit of f; lower is better.

    Raises:
        InvalidInput: `scaled` with one sample; see also `responses`.
        ModelError: see `responses`.
    """
    perturbation = perturbation or GaussianNoise()
    if scaled and perturbation.samples == 1:
        raise InvalidInput(
            "scaled infidelity needs at least two samples, since β fits one exactly; give more, or scaled=False"
        )
    found = responses(
        forward,
        images,
        {"given": maps},
        perturbation,
        product=product,
        baseline=baseline,
        feature_dim=feature_dim,
        seed=seed,
        chunk=chunk,
    )
    return mean_squared_gap(found.predicted["given"], found.measured, scaled)


def correlation(
    predicted: Float[Tensor, "batch samples"], measured: Float[Tensor, "batch samples"]
) -> Float[Tensor, " batch"]:
    """Pearson correlation over samples; NaN where either side is constant."""
    (a, constant_a), (b, constant_b) = (directions(each, centered=True) for each in (predicted, measured))
    return (a * b).sum(1).clamp(-1, 1).masked_fill(constant_a | constant_b, torch.nan)


def sensitivity_n(
    forward: Forward,
    images: Tensor,
    maps: Tensor,
    n: int,
    *,
    samples: int = 100,
    product: Product = "global",
    baseline: Tensor | None = None,
    feature_dim: int | None = 1,
    seed: int = 0,
    chunk: int | None = None,
) -> Float[Tensor, " batch"]:
    """Sensitivity-n: correlation of the summed attributions of n features with the effect of removing them.

        corr_S (Σ_{i ∈ S} R_i(x), f(x) − f(x with x_S = x₀_S)),   |S| = n

    Source: Ancona et al. (2018), arXiv:1711.06104, section 4, with 100 random subsets S.

    Args:
        forward: see `responses`.
        images: (batch, ...).
        maps: of one method; local maps are multiplied by x − x₀.
        n: number of features in a subset, from 1 to all but one.
        samples: number of subsets per image, at least 2.
        product: "local" or "global"; see `Product`.
        baseline: x₀.
        feature_dim: of the features; by default the pixels, over all channels.
        seed: of the subsets.
        chunk: maximum number of points in one call.

    Returns:
        (batch,) correlations in [−1, 1], higher is better; NaN where the map or the function does not vary.

    Raises:
        InvalidInput: fewer than two samples; see also `responses`.
        ModelError: see `responses`.
    """
    if samples < 2:
        raise InvalidInput(f"samples is {samples}; a correlation needs at least two")
    found = responses(
        forward,
        images,
        {"given": maps},
        SubsetRemoval(n, samples, feature_dim),
        product=product,
        baseline=baseline,
        feature_dim=feature_dim,
        seed=seed,
        chunk=chunk,
    )
    return correlation(found.predicted["given"], found.measured)


def _factor(drawn: Perturbed, product: Product) -> Tensor:
    """Factor by which the map is multiplied before it is summed."""
    if product == "local":
        return working_precision(drawn.change)
    if drawn.removed is None:
        raise InvalidInput(
            "global maps make no prediction for noise, as x − x₀ may be 0; use Removal or SubsetRemoval, "
            "or the local variant of the method"
        )
    return working_precision(drawn.removed.float())


def _fitted(name: str, maps: Tensor, images: Tensor, product: Product, feature_dim: int | None) -> Tensor:
    """Bring a map to a shape that can be multiplied by the factor."""
    if product == "global":
        return aligned(maps, images, feature_dim)
    if product != "local":
        raise UnknownName("product", product, ("local", "global"))
    if maps.shape != images.shape:
        raise InvalidInput(
            f"the local maps {name!r} have shape {tuple(maps.shape)}, the images {tuple(images.shape)}: the prediction "
            "multiplies them by the perturbation; take a metric that predicts nothing, such as max-sensitivity, or "
            "leave the method out"
        )
    return working_precision(check_maps(maps))
