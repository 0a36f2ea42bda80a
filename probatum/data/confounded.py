"""Two classes of digits next to a texture that correlates with the class: a task with a known, adjustable bias."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Int64, UInt8
from torch import Tensor

from probatum.errors import InvalidInput

SIDE = 48  # pixels of an image
PATCH = 16  # pixels of the texture, a ninth of the image
_DIGIT = 28
_PERIOD = 4  # period of the stripes in pixels


@dataclass(frozen=True, eq=False)
class ConfoundedDigits:
    """Images of a digit and a texture that do not overlap.

    Args:
        images: (image, 1, 48, 48), white on black.
        labels: (image,) 0 or 1, the class of the digit.
        textures: (image,) 0 or 1, the class of the texture: horizontal stripes for 0, vertical stripes for 1.
        regions: (image, 48, 48), True where the texture is.
    """

    images: UInt8[Tensor, "image 1 48 48"]
    labels: Int64[Tensor, " image"]
    textures: Int64[Tensor, " image"]
    regions: Bool[Tensor, "image 48 48"]


def confounded_digits(
    digits: UInt8[Tensor, "image 1 28 28"],
    labels: Int64[Tensor, " image"],
    shares: tuple[float, float],
    seed: int = 0,
) -> ConfoundedDigits:
    """Place every digit next to a texture that agrees with its label in a given share of each class.

    A substitute for the photographs of Shin and Nemeth 2021 (section 4.3), which are not public. The digit determines
    the class, as a secretary's tools do there; the texture is in every image and has two appearances, as a face does.
    The paper's shares are 0.96 and 0.82; (0.5, 0.5) is balanced, and with (0, 0) the texture disagrees in every image.
    The digit is anywhere and the texture in any corner; the positions are independent of the class.

    Args:
        digits: white on black.
        labels: 0 or 1.
        shares: of the images of class 0 and class 1 whose texture agrees, 0..1; rounded to a whole number of images.
        seed: of the positions and of which images agree, at least 0.

    Raises:
        InvalidInput: a label other than 0 or 1, a share or seed out of range, or images and labels that differ in
            number.
    """
    if len(digits) != len(labels) or not len(labels) or not set(labels.tolist()) <= {0, 1}:
        raise InvalidInput(f"{len(digits)} digits with {len(labels)} labels; give each digit a label, 0 or 1")
    if not all(0 <= share <= 1 for share in shares) or seed < 0:
        raise InvalidInput(f"shares are {shares} and seed is {seed}; shares must be in 0..1 and the seed at least 0")
    rng = np.random.default_rng(seed)
    textures = labels.numpy().copy()
    for label, share in enumerate(shares):
        members = rng.permutation(np.flatnonzero(labels.numpy() == label))
        textures[members[round(share * len(members)) :]] = 1 - label
    images = np.zeros((len(labels), 1, SIDE, SIDE), dtype=np.uint8)
    regions = np.zeros((len(labels), SIDE, SIDE), dtype=bool)
    for index, texture in enumerate(textures):
        corner, place = _places(rng)
        images[index, 0][_box(place, _DIGIT)] = digits[index, 0].numpy()
        images[index, 0][_box(corner, PATCH)] = _stripes(upright=bool(texture))
        regions[index][_box(corner, PATCH)] = True
    return ConfoundedDigits(torch.from_numpy(images), labels, torch.from_numpy(textures), torch.from_numpy(regions))


def _places(rng: np.random.Generator) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return the top left pixels of the texture, in a random corner, and of the digit, anywhere without overlap."""
    top, left = (int(side) * (SIDE - PATCH) for side in rng.integers(2, size=2))
    while True:
        y, x = (int(value) for value in rng.integers(SIDE - _DIGIT + 1, size=2))
        if abs(2 * (y - top) + _DIGIT - PATCH) >= _DIGIT + PATCH or abs(2 * (x - left) + _DIGIT - PATCH) >= (
            _DIGIT + PATCH
        ):
            return (top, left), (y, x)


def _box(corner: tuple[int, int], side: int) -> tuple[slice, slice]:
    """Return the pixels of a square."""
    return slice(corner[0], corner[0] + side), slice(corner[1], corner[1] + side)


def _stripes(*, upright: bool) -> UInt8[np.ndarray, "16 16"]:
    """Draw white stripes that are half a period wide."""
    stripes = np.where(np.arange(PATCH) % _PERIOD < _PERIOD // 2, 255, 0).astype(np.uint8)
    level = np.repeat(stripes[:, None], PATCH, axis=1)
    return level.T if upright else level
