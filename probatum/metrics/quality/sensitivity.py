"""Max-sensitivity: the largest change of a map under small perturbations of the image."""

import math
from collections.abc import Callable, Mapping

import torch
from jaxtyping import Float
from torch import Tensor

from probatum.engine.noise import standard_normal
from probatum.errors import InvalidInput
from probatum.metrics.inputs import check_maps, working_precision
from probatum.metrics.quality.inputs import Explain, check_images, check_samples, row_chunks, streams
from probatum.metrics.vectors import distances, lengths

_PURPOSE = 0x5E45


def max_sensitivities(
    explain: Explain,
    images: Tensor,
    *,
    reference: Mapping[str, Tensor] | None = None,
    radius: float = 0.02,
    samples: int = 5,
    seed: int = 0,
    chunk: int | None = None,
) -> dict[str, Float[Tensor, " batch"]]:
    """Max-sensitivity of several methods, whose maps are computed together at the same perturbed images.

    Args:
        explain: see `Explain`.
        images: (batch, ...), floating point, finite.
        reference: the methods' maps of the images, if they are known.
        radius: of the L∞ ball, in the units of the input.
        samples: perturbed versions per image.
        seed: of the perturbations, which depend only on the image and the seed.
        chunk: maximum number of points in one call of `explain`; None limits the memory of the points instead.

    Returns:
        Scores by method; see `max_sensitivity`.

    Raises:
        InvalidInput: values out of range or not finite, or maps of an unexpected number or shape.
    """
    check_samples(samples)
    if not 0 < radius < math.inf:
        raise InvalidInput(f"radius is {radius}; it must be above 0")
    images = check_images(images)
    if reference is None:
        parts = [explain(images[image], image) for image, _ in row_chunks(images, 1, chunk)]
        reference = {name: torch.cat([part[name] for part in parts]) for name in parts[0]}
    unmoved = {name: working_precision(check_maps(maps)).flatten(1) for name, maps in reference.items()}
    keys = streams(images, seed, _PURPOSE)
    largest = {name: maps.new_zeros(len(images)) for name, maps in unmoved.items()}
    for image, sample in row_chunks(images, samples, chunk):
        normal = standard_normal(keys[image], sample, images.shape[1:], images.dtype)
        moved = explain(images[image] + radius * torch.erf(normal / math.sqrt(2)), image)  # erf: uniform on (−1, 1)
        for name, maps in unmoved.items():
            change = working_precision(check_maps(moved[name])).flatten(1)
            if change.shape != (len(image), maps.shape[1]):
                raise InvalidInput(
                    f"explain returned {name} maps of shape {tuple(moved[name].shape)} for {len(image)} points, "
                    f"{tuple(reference[name].shape)} for {len(images)} images"
                )
            distance = distances(change, maps[image])
            largest[name].scatter_reduce_(0, image, distance, "amax")
    return {name: largest[name] / _norm(maps) for name, maps in unmoved.items()}


def max_sensitivity(
    explain: Callable[[Tensor, Tensor], Tensor],
    images: Tensor,
    *,
    reference: Tensor | None = None,
    radius: float = 0.02,
    samples: int = 5,
    seed: int = 0,
    chunk: int | None = None,
) -> Float[Tensor, " batch"]:
    """Max-sensitivity: the largest change of a map within a ball, relative to the map.

        max_δ ‖Φ(x + δ) − Φ(x)‖₂ / ‖Φ(x)‖₂   over samples δ, uniform in ‖δ‖∞ ≤ radius

    Source: Yeh et al. (2019), arXiv:1901.09392, estimated by Monte Carlo; radius 0.02, five samples and the L2 norm are
    those of Kokhlikyan et al. (2021). A stochastic method draws different noise for every perturbed image, which counts
    as change.

    Args:
        explain: one method, (points (rows, ...), image (rows,)) -> maps (rows, ...); `image` is the index of the image
            that a row is made from and selects its target.
        images: (batch, ...); see `max_sensitivities` for this and the following.
        reference: the maps of the images.
        radius: of the ball.
        samples: per image.
        seed: of the perturbations.
        chunk: maximum number of points in one call.

    Returns:
        (batch,) ratios, at least 0; lower is better. NaN where the image's map is zero.

    Raises:
        InvalidInput: see `max_sensitivities`.

    Differs from the paper: the paper has no denominator. Without it, methods with different units are not comparable.
    """
    return max_sensitivities(
        lambda points, image: {"given": explain(points, image)},
        images,
        reference=None if reference is None else {"given": reference},
        radius=radius,
        samples=samples,
        seed=seed,
        chunk=chunk,
    )["given"]


def _norm(maps: Float[Tensor, "batch size"]) -> Float[Tensor, " batch"]:
    """Euclidean norms, with NaN for zero."""
    norms = lengths(maps)
    return norms.masked_fill(norms == 0, torch.nan)
