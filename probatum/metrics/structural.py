"""The structural similarity index (SSIM), and the settings that papers used."""

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from probatum.errors import InvalidInput
from probatum.metrics.inputs import Features, extremes, score, working_precision
from probatum.metrics.vectors import SAFE_EXPONENTS

TRUNCATE = 3.5  # scikit-image truncates its Gaussian at this many sigma: 11 taps for sigma 1.5


@dataclass(frozen=True)
class SSIM:
    """The structural similarity index as a `Measure`.

    Args:
        data_range: the range of possible values, not of those observed.
        gaussian: weigh each window by a Gaussian instead of uniformly.
        window_size: odd side of the window in pixels; None is 7, or the width of the Gaussian.
        sigma: standard deviation of the Gaussian in pixels.
        sample_covariance: divide (co)variances by n − 1 instead of n, n being the pixels of a window.
        k1: stabilizes the comparison of small means; C1 = (k1 · data_range)².
        k2: stabilizes the comparison of small variances; C2 = (k2 · data_range)².
    """

    images: ClassVar[bool] = True
    data_range: float
    gaussian: bool = False
    window_size: int | None = None
    sigma: float = 1.5
    sample_covariance: bool = True
    k1: float = 0.01
    k2: float = 0.03

    def __post_init__(self) -> None:
        for name in ("data_range", "sigma", "k1", "k2"):
            if not 0 < getattr(self, name) < math.inf:
                raise InvalidInput(f"{name} of SSIM must be positive and finite, got {getattr(self, name)}")
        if self.window_size is not None and (self.window_size < 3 or self.window_size % 2 == 0):
            raise InvalidInput(f"window_size of SSIM must be odd and at least 3, got {self.window_size}")
        if self.window < 3:
            raise InvalidInput(
                f"sigma of SSIM must be at least 1/7 pixel, got {self.sigma}: the window is one pixel wide"
            )

    @property
    def window(self) -> int:
        """Side of the window in pixels."""
        if self.window_size is not None:
            return self.window_size
        return len(self._weights()) if self.gaussian else 7

    def features(self, maps: Tensor) -> Features:
        """Scale the maps by the data range and take the mean and variance of every window."""
        height, width = maps.shape[-2:]
        if self.window > min(height, width):
            largest = (min(height, width) - 1) // 2 * 2 + 1
            smaller = f"a window_size of at most {largest}{', with a smaller sigma,' if self.gaussian else ''} or "
            raise InvalidInput(
                f"maps of {height}x{width} pixels are smaller than the {self.window}x{self.window} window of SSIM; "
                f"use {smaller if largest >= 3 else ''}larger maps"
            )
        scaled = working_precision(maps) / self.data_range
        _require_within_range(scaled, self.data_range)
        mean = self._window_means(scaled)
        return scaled, mean, self._window_covariances(scaled, mean, scaled, mean)

    def similarity(self, features_a: Features, features_b: Features) -> Float[Tensor, " batch"]:
        """Compare the windows and take the mean over windows and channels."""
        a, mean_a, variance_a = features_a
        b, mean_b, variance_b = features_b
        covariance = self._window_covariances(a, mean_a, b, mean_b)
        c1, c2 = self.k1**2, self.k2**2  # the maps were divided by the data range
        if self.sample_covariance:
            pixels = self.window**2
            c2 *= (pixels - 1) / pixels  # equal to pixels / (pixels - 1) on all covariances, but cheaper
        luminance = (2 * mean_a * mean_b + c1) / (mean_a**2 + mean_b**2 + c1)
        structure = (2 * covariance + c2) / (variance_a + variance_b + c2)
        return (luminance * structure).mean(dim=(1, 2, 3))

    def _window_covariances(self, a: Tensor, mean_a: Tensor, b: Tensor, mean_b: Tensor) -> Tensor:
        """Covariance of two maps in every window, E[ab] − E[a]E[b]."""
        return torch.addcmul(self._window_means(a * b), mean_a, mean_b, value=-1)

    def _window_means(
        self, maps: Float[Tensor, "batch channel height width"]
    ) -> Float[Tensor, "batch channel window_row window_column"]:
        """Weighted mean of every window that lies within the map, by one sum of shifted maps along each side."""
        weights = self._weights()
        # In scikit-image, sigma alone shapes the Gaussian and window_size crops the result. A Gaussian wider than the
        # window reaches beyond the map, which is then mirrored; for a narrower one the map is cropped.
        margin = len(weights) // 2 - self.window // 2
        for side in (-1, -2):
            maps = _weighted_sum(_mirror(maps, margin, side), weights, side)
        return maps

    def _weights(self) -> list[float]:
        """Weights of a window along one side."""
        if not self.gaussian:
            return [1 / self.window] * self.window
        radius = int(TRUNCATE * self.sigma + 0.5)
        weights = [math.exp(-0.5 * (offset / self.sigma) ** 2) for offset in range(-radius, radius + 1)]
        return [weight / sum(weights) for weight in weights]


def _require_within_range(scaled: Tensor, data_range: float) -> None:
    """Raise InvalidInput for maps so far outside their data range that their squares overflow."""
    largest = float(torch.maximum(*(each.abs().max() for each in extremes(scaled))))
    if math.frexp(largest)[1] > SAFE_EXPONENTS[scaled.dtype]:
        raise InvalidInput(
            f"maps reach {largest * data_range:.3g}, far beyond SSIM's data_range of {data_range:g}; "
            "normalize the maps first, or set the data_range to theirs"
        )


def _weighted_sum(maps: Tensor, weights: list[float], side: int) -> Tensor:
    """Correlate the maps with the weights along one side, where they overlap fully."""
    length = maps.shape[side] - len(weights) + 1
    total = maps.narrow(side, 0, length) * weights[0]
    for offset, weight in enumerate(weights[1:], start=1):
        total.add_(maps.narrow(side, offset, length), alpha=weight)
    return total


def _mirror(maps: Tensor, margin: int, side: int) -> Tensor:
    """Mirror one side at both ends (repeating the edge pixel), or crop it if the margin is negative."""
    length = maps.shape[side]
    if margin <= 0:
        return maps.narrow(side, -margin, length + 2 * margin)
    positions = torch.arange(-margin, length + margin, device=maps.device) % (2 * length)
    return maps.index_select(side, torch.minimum(positions, 2 * length - 1 - positions))


def ssim(
    a: Tensor,
    b: Tensor,
    *,
    data_range: float,
    gaussian: bool = False,
    window_size: int | None = None,
    sigma: float = 1.5,
    sample_covariance: bool = True,
    k1: float = 0.01,
    k2: float = 0.03,
) -> Float[Tensor, " batch"]:
    """Structural similarity: the mean of this index over all windows and channels.

        (2 μa μb + C1) (2 σab + C2) / ((μa² + μb² + C1) (σa² + σb² + C2)).

    Source: Wang, Bovik, Sheikh & Simoncelli (2004, IEEE TIP 13(4)); equal to scikit-image's `structural_similarity`.
    It is defined for constant maps: two equal ones score 1.

    Args:
        a: maps (batch, channel, height, width), floating point, finite.
        b: maps of the same shape.
        data_range: see `SSIM` for this and the other settings; `SSIM_PRESETS` names those of the papers.
        gaussian: see `SSIM`.
        window_size: see `SSIM`.
        sigma: see `SSIM`.
        sample_covariance: see `SSIM`.
        k1: see `SSIM`.
        k2: see `SSIM`.

    Returns:
        (batch,) similarities, at most 1.

    Raises:
        InvalidInput: maps of different shapes or smaller than the window, or invalid settings; see also `check_maps`.
    """
    return score(SSIM(data_range, gaussian, window_size, sigma, sample_covariance, k1, k2), a, b)


@dataclass(frozen=True)
class SSIMPreset:
    """SSIM as one paper computed it.

    Args:
        measure: the settings.
        reduction: name of the map reduction that comes first.
        source: paper or code that gives the settings.
    """

    measure: SSIM
    reduction: str
    source: str


# The notebook and Wienecke & Hinrichs passed no data range, and scikit-image then took the range of floating-point
# images, −1 to 1, although their maps lay in [0, 1].
SSIM_PRESETS = {
    "adebayo-notebook": SSIMPreset(
        SSIM(data_range=2.0, gaussian=True),
        "min-max",
        "Adebayo et al. 2018 (arXiv:1810.03292), the authors' notebook on cascading randomization of Inception v3",
    ),
    "adebayo-issue": SSIMPreset(
        SSIM(data_range=2.0, window_size=5),
        "diverging",
        "Adebayo et al. 2018 (arXiv:1810.03292), the first author in issue 2 of sanity_checks_saliency",
    ),
    "wienecke": SSIMPreset(
        SSIM(data_range=2.0),
        "min-max",
        "Wienecke & Hinrichs 2021, section 4.4",
    ),
}
