"""A few photographs shipped with scikit-image, for uses that need photographs but no labels."""

from dataclasses import replace
from pathlib import Path

import skimage

from probatum.data.image_set import ImageSet
from probatum.data.photographs import load_photographs
from probatum.errors import InvalidInput
from probatum.preprocessing import Preprocessing

SHIPPED = ("chelsea.png", "astronaut.png", "coffee.png", "rocket.jpg", "motorcycle_left.png")
"""Color photographs that need no download: a cat, a portrait, a cup, a rocket on its pad, a motorcycle."""


def shipped_photographs(preprocessing: Preprocessing, count: int = len(SHIPPED)) -> ImageSet:
    """Load the first `count` photographs.

    Args:
        preprocessing: must crop, since the photographs differ in shape.
        count: 1 to 5.

    Raises:
        InvalidInput: a count out of range, or a photograph missing from the installed scikit-image.
    """
    if not 1 <= count <= len(SHIPPED):
        raise InvalidInput(f"{count} photographs were requested; {len(SHIPPED)} are shipped with scikit-image")
    folder = Path(skimage.__file__).parent / "data"
    return replace(load_photographs([folder / name for name in SHIPPED[:count]], preprocessing), name="scikit-image")
