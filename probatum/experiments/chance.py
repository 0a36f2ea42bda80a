"""The chance level of a metric: the score of maps that share neither image nor weights, measured on the maps at hand.

Two maps of one method on different images, one of the trained and one of the randomized model, have the statistics,
the texture and the bias to the center in common that all maps of this method have, and nothing that tells whether the
method looks at the weights. Their score is what a metric gives for nothing.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int

OTHERS = 6  # images that each image is compared with; a group of fewer compares all
GROUP_IMAGES = 64  # at most, unless a few are left over
GROUP_MAPS = 512 << 20  # bytes of the trained model's maps of a group


def groups(images: int, block: int, map_bytes: int) -> list[range]:
    """Cuts the images into groups whose maps are compared with one another.

    Args:
        images: how many there are.
        block: images that are explained at once; a group is made of whole blocks.
        map_bytes: of all maps of one image, of one model.

    Returns:
        The groups in order. Few images that are left over join the group before them, for alone they have no chance
        level.
    """
    wanted = min(GROUP_IMAGES, max(2 * (OTHERS + 1), GROUP_MAPS // map_bytes))
    size = block * max(1, -(-wanted // block))
    starts = list(range(0, images, size))
    if len(starts) > 1 and images - starts[-1] <= OTHERS:
        starts.pop()
    return [range(first, stop) for first, stop in zip(starts, [*starts[1:], images], strict=True)]


def shifts(images: int) -> tuple[int, ...]:
    """The steps from an image to those it is compared with, evenly spread over a group of so many images.

    Image i is compared with images (i + shift) mod `images`, so that every image takes either part equally often.
    """
    count = min(OTHERS, images - 1)
    return tuple(1 + (number * (images - 1)) // count for number in range(count))


def partners(group: range, image: int) -> list[int]:
    """The images that an image of a group is compared with, in the order of `shifts`."""
    size = len(group)
    return [group.start + (image - group.start + shift) % size for shift in shifts(size)]


def chance_by_image(
    pairs: Float[np.ndarray, "*axes image other trial"], partners: Sequence[Sequence[int]]
) -> Float[np.ndarray, "*axes image trial"]:
    """Averages the scores of pairs of images over all pairs that an image is part of.

    Args:
        pairs: of each image's randomized map with the trained model's maps of its partners; NaN where one of the two
            maps is constant or failed, which says nothing of chance.
        partners: (image,) the images behind the axis `other`, as many as there are.

    Returns:
        the mean over the pairs in which an image has either part; NaN where there is none.
    """
    rows, others = _places(partners)
    values = np.moveaxis(pairs, -1, -3)[..., rows, others]  # (*axes, trial, pair)
    defined = np.isfinite(values)
    mine = np.zeros((len(rows), len(partners)))
    for pair, (image, other) in enumerate(zip(rows, others, strict=True)):
        mine[pair, [image, partners[image][other]]] = 1.0
    counts = defined @ mine
    sums = np.where(defined, values, 0.0) @ mine
    means = np.full(sums.shape, np.nan)
    np.divide(sums, counts, out=means, where=counts > 0)
    return np.moveaxis(means, -1, -2)


def _places(partners: Sequence[Sequence[int]]) -> tuple[Int[np.ndarray, " pair"], Int[np.ndarray, " pair"]]:
    """The indices (image, other) of all pairs."""
    places = [(image, other) for image, found in enumerate(partners) for other in range(len(found))]
    rows, others = np.array(places, dtype=np.int64).reshape(-1, 2).T
    return rows, others
