"""Maps and images as figures take them: a constant map shows nothing, and its cell is hatched in all papers."""

from collections.abc import Iterable

import numpy as np
from jaxtyping import Float


def drawable(panels: Iterable[Float[np.ndarray, "height width"]]) -> list[np.ndarray | None]:
    """The maps of a row; None, drawn as a hatched cell, for a constant one."""
    return [None if values.min() == values.max() else values for values in panels]


def displayed(pictures: Float[np.ndarray, "image channel height width"]) -> list[np.ndarray]:
    """Images in [0, 1], (height, width) or (height, width, 3)."""
    return [image[0] if len(image) == 1 else image.transpose(1, 2, 0) for image in pictures.clip(0, 1)]
