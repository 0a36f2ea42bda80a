"""Baselines: the inputs that stand for "nothing there", each a function of the batch of images."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from probatum.engine import Distribution, GivenBaselines, NoisyBaselines
from probatum.errors import InvalidInput, UnknownName

Baseline = Callable[[Tensor], Tensor]
Baselines = NoisyBaselines | Tensor | Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Zero:
    """Zero in the model's input space: after the usual normalization, the mean color of the training images."""

    def __call__(self, images: Tensor) -> Tensor:
        """(batch, ...) of zeros."""
        return torch.zeros_like(images)


@dataclass(frozen=True)
class Black:
    """A black picture after the model's preprocessing.

    Args:
        level: the value of a black pixel after preprocessing, for each channel or for all: −1 where pixels are scaled
            to [−1, 1], −mean/std where they are normalized (`Preprocessing.black`).
    """

    level: tuple[float, ...] | float

    def __call__(self, images: Tensor) -> Tensor:
        """(batch, channel, height, width) of the black level."""
        levels = images.new_tensor(self.level).reshape(-1)
        if len(levels) not in (1, images.shape[1]):
            raise InvalidInput(f"the black level has {len(levels)} channels, the images have {images.shape[1]}")
        return levels.reshape(1, -1, *[1] * (images.ndim - 2)).expand_as(images)


@dataclass(frozen=True)
class Blurred:
    """The image itself, blurred beyond recognition.

    Args:
        sigma: standard deviation of the Gaussian in pixels; the kernel reaches three of them, as far as the image
            allows.
    """

    sigma: float = 10.0

    def __post_init__(self) -> None:
        if self.sigma <= 0:
            raise InvalidInput(f"a blur of sigma {self.sigma} is none; give a positive number of pixels")

    def __call__(self, images: Tensor) -> Tensor:
        """(batch, channel, height, width), each blurred."""
        if images.ndim != 4:
            raise InvalidInput(f"a blurred baseline needs (batch, channel, height, width), got {tuple(images.shape)}")
        # Here, because importing torchvision takes as long as importing torch.
        from torchvision.transforms.functional import gaussian_blur

        height, width = (2 * min(round(3 * self.sigma), size - 1) + 1 for size in images.shape[2:])
        blurred: Tensor = gaussian_blur(images, [width, height], [self.sigma, self.sigma])
        return blurred


@dataclass(frozen=True)
class Mean:
    """Each image's own mean, channel by channel."""

    def __call__(self, images: Tensor) -> Tensor:
        """(batch, channel, ...), constant within each channel."""
        flat = images.flatten(2) if images.ndim > 2 else images[:, None]
        means = flat.mean(2).reshape(len(images), -1, *[1] * (images.ndim - 2))
        return means.expand_as(images)


@dataclass(frozen=True, eq=False)
class Given:
    """A tensor: one baseline for all images, (1, ...) or (...), or one for each, (batch, ...)."""

    tensor: Tensor

    def __call__(self, images: Tensor) -> Tensor:
        """The tensor, one row an image."""
        try:
            return self.tensor.to(images).expand_as(images)
        except RuntimeError:
            raise InvalidInput(
                f"the baseline has shape {tuple(self.tensor.shape)}, which does not fit images of {tuple(images.shape)}"
            ) from None


_NAMED: dict[str, Baseline] = {"zero": Zero(), "blurred": Blurred(), "mean": Mean()}


def as_baseline(baseline: "Baseline | Tensor | str") -> Baseline:
    """Reads "zero", "blurred", "mean", a tensor or a function of the images."""
    if isinstance(baseline, Tensor):
        return Given(baseline)
    if not isinstance(baseline, str):
        if not callable(baseline):
            kind = type(baseline).__name__
            raise InvalidInput(f"the baseline is a {kind}; give a name, a tensor, or a function of the images")
        return baseline
    if baseline == "black":
        raise InvalidInput(
            "what black means depends on the preprocessing; give Black(level=...), the value of a black pixel after it"
        )
    if baseline not in _NAMED:
        raise UnknownName("baseline", baseline, [*_NAMED, "black"])
    return _NAMED[baseline]


def as_distribution(baselines: Baselines, images: Tensor) -> Distribution:
    """Reads several baselines: `NoisyBaselines`, a tensor (K, ...), or a function (batch, ...) -> (batch, K, ...)."""
    if isinstance(baselines, NoisyBaselines):
        return baselines
    given = baselines[None] if isinstance(baselines, Tensor) else baselines(images)
    if given.ndim != images.ndim + 1 or given.shape[1] < 1 or given.shape[2:] != images.shape[1:]:
        raise InvalidInput(
            f"the baselines have shape {tuple(given.shape[1:])}; give (K, {', '.join(map(str, images.shape[1:]))}), "
            "one or more baselines for all images, or a function that makes (batch, K, ...) of the images"
        )
    return GivenBaselines(given.detach().to(images))
