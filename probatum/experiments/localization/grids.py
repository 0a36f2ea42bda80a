"""Which images stand together in a grid."""

from collections.abc import Sequence

import numpy as np

from probatum.errors import InvalidInput
from probatum.models.disconnected import CELLS

Grid = tuple[int, ...]
"""The images of the cells, row by row."""


def draw_grids(classes: Sequence[int], rounds: int, seed: int) -> list[list[Grid]]:
    """Draws grids of images of distinct classes, each image in at most one grid of a round.

    In every round the images are shuffled anew, and grids take from the classes that have most images left, so that as
    many images as possible stand in a grid.

    Args:
        classes: of the images.
        rounds: how often all images are put into grids.
        seed: of the draws.

    Returns:
        the grids of each round.

    Raises:
        InvalidInput: the images have fewer than four classes.
    """
    if len(set(classes)) < CELLS:
        raise InvalidInput(
            f"the {len(classes)} usable images have {len(set(classes))} predicted classes; a grid needs {CELLS} images "
            "of different classes"
        )
    return [_round(classes, np.random.default_rng([seed, number])) for number in range(rounds)]


def _round(classes: Sequence[int], generator: np.random.Generator) -> list[Grid]:
    left: dict[int, list[int]] = {}
    for image in generator.permutation(len(classes)).tolist():
        left.setdefault(classes[image], []).append(image)
    grids = []
    while len(left) >= CELLS:
        fullest = sorted(left, key=lambda each: -len(left[each]))[:CELLS]  # stable: ties stay in the order of the draw
        chosen = [left[each].pop() for each in fullest]
        grids.append(tuple(generator.permutation(chosen).tolist()))
        left = {each: images for each, images in left.items() if images}
    return grids
