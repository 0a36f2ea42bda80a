"""Preprocessing of pixels into network inputs, its inverse, and the value of black."""

import math
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor
from torchvision.transforms import InterpolationMode
from torchvision.transforms import functional as tvf

from probatum.errors import InvalidInput

_LONGEST_RATIO = 100  # maximum aspect ratio of a resized image, since the longer side grows along


@dataclass(frozen=True)
class Preprocessing:
    """Resize, center crop, scale to [0, 1], then (x - mean) / std in every channel.

    Args:
        mean: one value per channel, on the [0, 1] scale; its length is the number of channels.
        std: one value per channel, above 0.
        resize: length in pixels of the shorter side after resizing (antialiased); None does not resize.
        crop: side in pixels of the central square that is kept; None does not crop.
        interpolation: of the resizing, "bilinear" or "bicubic".
        keep_ratio: False resizes both sides to `resize`, so that photographs that are not square are squeezed.

    Raises:
        InvalidInput: a value out of range.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]
    resize: int | None = None
    crop: int | None = None
    interpolation: Literal["bilinear", "bicubic"] = "bilinear"
    keep_ratio: bool = True

    def __post_init__(self) -> None:
        if not self.mean or len(self.mean) != len(self.std):
            raise InvalidInput(
                f"mean has {len(self.mean)} and std {len(self.std)} values; give one of each per channel"
            )
        if not all(map(math.isfinite, (*self.mean, *self.std))) or min(self.std) <= 0:
            raise InvalidInput(f"mean is {self.mean} and std is {self.std}; both must be finite, and std above 0")
        if (self.resize is not None and self.resize < 1) or (self.crop is not None and self.crop < 1):
            raise InvalidInput(f"resize is {self.resize} and crop is {self.crop}; both must be at least 1 pixel")
        if self.resize is not None and self.crop is not None and self.crop > self.resize:
            raise InvalidInput(f"crop {self.crop} is larger than the resized images ({self.resize}); increase resize")
        if self.interpolation not in ("bilinear", "bicubic"):
            raise InvalidInput(f"interpolation is {self.interpolation!r}; choose bilinear or bicubic")

    @property
    def channels(self) -> int:
        """Number of channels of the result."""
        return len(self.mean)

    @property
    def black(self) -> tuple[float, ...]:
        """Value of a black pixel in every channel, -mean / std: a baseline for Integrated Gradients."""
        return tuple(-mean / std for mean, std in zip(self.mean, self.std, strict=True))

    def apply(self, image: Tensor | Image.Image) -> Float[Tensor, "*batch channel height width"]:
        """Preprocess 8-bit pixels; gray images are repeated for networks with three input channels.

        Args:
            image: uint8 tensor (..., channel, height, width) in 0..255, or a PIL image of mode L or RGB.

        Returns:
            float32 tensor of the same leading shape. PIL resizes PIL images, and torch resizes tensors; the results may
            differ by one of 255 levels before the normalization.

        Raises:
            InvalidInput: wrong type, number of channels or size.
        """
        resized = self._resized(image) if isinstance(image, Image.Image) else self._resized(_checked(image))
        pixels = tvf.pil_to_tensor(resized) if isinstance(resized, Image.Image) else resized
        if pixels.shape[-3] == 1 and self.channels > 1:
            pixels = pixels.expand(*pixels.shape[:-3], self.channels, -1, -1)
        if pixels.shape[-3] != self.channels:
            raise InvalidInput(f"the image has {pixels.shape[-3]} channels where {self.channels} are expected")
        if self.crop is not None:
            if min(pixels.shape[-2:]) < self.crop:
                height, width = pixels.shape[-2:]
                raise InvalidInput(f"an image of {height}x{width} pixels is smaller than the crop {self.crop}")
            pixels = tvf.center_crop(pixels, [self.crop, self.crop])
        mean, std = self._moments(pixels.device)
        return pixels.to(torch.float32).div_(255).sub_(mean).div_(std)

    def undo(
        self, inputs: Float[Tensor, "*batch channel height width"]
    ) -> Float[Tensor, "*batch channel height width"]:
        """Turn network inputs (..., channel, height, width) back into images in [0, 1]; resize and crop stay."""
        if inputs.shape[-3] != self.channels:
            raise InvalidInput(f"the inputs have {inputs.shape[-3]} channels where {self.channels} are expected")
        mean, std = self._moments(inputs.device)
        return (inputs * std + mean).clamp_(0, 1)

    def _resized(self, image: Tensor | Image.Image) -> Tensor | Image.Image:
        if isinstance(image, Image.Image) and image.mode not in ("L", "RGB"):
            raise InvalidInput(f"a PIL image of mode {image.mode} cannot be preprocessed; convert it to L or RGB first")
        if self.resize is None:
            return image
        height, width = image.shape[-2:] if isinstance(image, Tensor) else image.size[::-1]
        if max(height, width) > _LONGEST_RATIO * min(height, width):
            raise InvalidInput(f"an image of {height}x{width} pixels is too long and thin to be resized")
        size = [self.resize] if self.keep_ratio else [self.resize, self.resize]
        resized: Tensor | Image.Image = tvf.resize(image, size, InterpolationMode(self.interpolation))
        return resized

    def _moments(self, device: torch.device) -> tuple[Tensor, Tensor]:
        """Mean and std (channel, 1, 1)."""
        moments = torch.tensor([self.mean, self.std], dtype=torch.float32, device=device)
        return moments[0, :, None, None], moments[1, :, None, None]


def _checked(image: Tensor) -> Tensor:
    if image.dtype != torch.uint8 or image.ndim < 3:
        raise InvalidInput(
            f"preprocessing takes uint8 pixels (..., channel, height, width); "
            f"this is {str(image.dtype).removeprefix('torch.')} of shape {tuple(image.shape)}"
        )
    return image


_IMAGENET_MEAN = (0.485, 0.456, 0.406)
_IMAGENET_STD = (0.229, 0.224, 0.225)

IMAGENET = Preprocessing(_IMAGENET_MEAN, _IMAGENET_STD, resize=256, crop=224)
IMAGENET_INCEPTION = Preprocessing(_IMAGENET_MEAN, _IMAGENET_STD, resize=342, crop=299)
MNIST = Preprocessing((0.1307,), (0.3081,))
MNIST_RGB_64 = Preprocessing((0.1307,) * 3, (0.3081,) * 3, resize=64)  # Shin & Nemeth 2021, appendix B.5
UNIT_RANGE = Preprocessing((0.0,), (1.0,))
