"""Infidelity and sensitivity-n: does the map foretell how the function answers to a disturbance of the input?"""

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
    """What each map foretells of each disturbance, and what the function does.

    Args:
        predicted: by method, (batch, samples): Iᵀ Φ, or its like for global maps.
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
    """Compare what several methods' maps foretell with what the function does, at the same disturbed images.

    The prediction of a map Φ for the disturbance I is

        "local":   Σ_j I_j Φ_j
        "global":  Σ_j I_j / (x_j − x₀_j) Φ_j = Σ_j m_j Φ_j   where I = m ⊙ (x − x₀).

    A global map holds the factor x − x₀ already: multiplied by I it would count twice. Noise is no such I, and the
    quotient has no value where x = x₀, so a global map needs a perturbation that removes.

    Args:
        forward: see `Forward`.
        images: (batch, ...), floating point, finite.
        maps: by method; local ones of the images' shape. Global ones may be summed over `feature_dim` already.
        perturbation: which I.
        product: what the maps are, all of them or by method; see `Product`.
        baseline: x₀, of a shape that expands to the images'; None is zeros. Noise does not ask for it.
        feature_dim: see `SubsetRemoval`; the dimension over which global maps may be summed.
        seed: of the disturbances, which depend on the image and the seed alone.
        chunk: most points in one call of `forward`; None bounds the memory of the points instead.

    Raises:
        InvalidInput: for shapes that do not fit, for values that are not finite, for noise with global maps.
        ModelError: the function is not finite at a disturbed image.
    """
    images = check_images(images)
    baselines = baseline_of(images, baseline)
    local_or_global = {name: product if isinstance(product, str) else product[name] for name in maps}
    fitted = {name: _fitted(phi, images, local_or_global[name], feature_dim) for name, phi in maps.items()}
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
                    f"the map {name} of shape {tuple(phi.shape)} has one value where the perturbation treats "
                    f"{tuple(factor.shape[1:])} numbers one by one; set together alike for both"
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

    β is 1, or where `scaled` the optimal Σ a b / Σ a² of each image (0 where all a are 0, as any other would do).
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
    """Infidelity: how far the map is from foretelling the effect of disturbances.

        INFD(Φ, f, x) = E_I [(Iᵀ Φ(f, x) − (f(x) − f(x − I)))²]

    Source: Yeh et al. (2019), arXiv:1901.09392, equation 1, which is for local maps; of global maps see `responses`.
    With `Removal` and a global map it is the squared error of completeness. Kokhlikyan et al. (2021) disturb local maps
    by `GaussianNoise(0.03)` and global ones by `Removal`.

    In float32 the difference f(x) − f(x − I) carries the rounding error of the logits, so that infidelities of some
    1e-14 · f(x)² and below are noise.

    Args:
        forward: like all but the following, as in `responses`.
        images: (batch, ...).
        maps: of one method, (batch, ...).
        perturbation: which I; None is `GaussianNoise()`.
        product: what the maps are.
        scaled: scale each map by the β that serves it best, as Yeh et al. do to compare maps of different units. With
            one sample, as under `Removal`, that leaves nothing: a scaled infidelity of zero.
        baseline: x₀.
        feature_dim: of the features.
        seed: of the disturbances.
        chunk: most points in one call.

    Returns:
        (batch,) squares of the unit of f; lower is better.

    Raises:
        InvalidInput: as `responses`; `scaled` with one sample.
        ModelError: as `responses`.
    """
    perturbation = perturbation or GaussianNoise()
    if scaled and perturbation.samples == 1:
        raise InvalidInput("one sample is always met exactly by the best scale; give more samples, or scaled=False")
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
    """Sensitivity-n: do the attributions of n features add up to the effect of removing them?

        corr_S (Σ_{i ∈ S} R_i(x), f(x) − f(x with x_S = x₀_S)),   |S| = n

    Source: Ancona et al. (2018), arXiv:1711.06104, section 4, with 100 random subsets S.

    Args:
        forward: as in `responses`, like what is not said here.
        images: (batch, ...).
        maps: of one method; local ones are multiplied by x − x₀.
        n: features in a subset, 1 to all but one.
        samples: subsets of each image, at least 2.
        product: what the maps are.
        baseline: x₀.
        feature_dim: of the features; by default the pixels, over all channels.
        seed: of the subsets.
        chunk: most points in one call.

    Returns:
        (batch,) correlations in [−1, 1], higher is better; NaN where the map or the function does not vary.

    Raises:
        InvalidInput, ModelError: as `responses`; fewer than two samples.
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
    """What the map is multiplied by before it is summed."""
    if product == "local":
        return working_precision(drawn.change)
    if drawn.removed is None:
        raise InvalidInput(
            "noise cannot be expressed in a global map, whose factor x − x₀ may be zero; use Removal or SubsetRemoval, "
            "or the local variant of the method"
        )
    return working_precision(drawn.removed.float())


def _fitted(maps: Tensor, images: Tensor, product: Product, feature_dim: int | None) -> Tensor:
    """A map that can be multiplied by the factor."""
    if product == "global":
        return aligned(maps, images, feature_dim)
    if product != "local":
        raise UnknownName("product", product, ("local", "global"))
    if maps.shape != images.shape:
        raise InvalidInput(
            f"local maps must have the shape {tuple(images.shape)} of the images, got {tuple(maps.shape)}: "
            "the product with the disturbance needs all of it"
        )
    return working_precision(check_maps(maps))
