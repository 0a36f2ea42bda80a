"""A few real photographs that scikit-image ships in its wheel, for what needs photographs but no labels."""

from dataclasses import replace
from pathlib import Path

import skimage

from probatum.data.image_set import ImageSet
from probatum.data.photographs import load_photographs
from probatum.data.preprocessing import Preprocessing
from probatum.errors import InvalidInput

SHIPPED = ("chelsea.png", "astronaut.png", "coffee.png", "rocket.jpg", "motorcycle_left.png")
"""A cat, a portrait, a cup, a rocket on its pad, a motorcycle: the color photographs that need no download."""


def shipped_photographs(preprocessing: Preprocessing, count: int = len(SHIPPED)) -> ImageSet:
    """The first `count` of the photographs.

    Args:
        preprocessing: must crop, for they differ in shape.
        count: 1 to 5.

    Raises:
        InvalidInput: a count out of range, or a scikit-image that lacks one of them.
    """
    if not 1 <= count <= len(SHIPPED):
        raise InvalidInput(f"{count} photographs were asked for; scikit-image ships {len(SHIPPED)} that fit")
    folder = Path(skimage.__file__).parent / "data"
    return replace(load_photographs([folder / name for name in SHIPPED[:count]], preprocessing), name="scikit-image")
