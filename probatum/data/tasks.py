"""Classification tasks made from other images, in which the region that determines the label is known.

Source: Yona & Greenfeld, "Revisiting Sanity Checks for Saliency Maps", 2021, section 4. The paper does not give sizes
and positions of its shapes; those here are ours.
"""

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float32, Int64, UInt8
from numpy import ndarray
from torch import Tensor

from probatum.errors import InvalidInput

SHAPES = ("nothing", "rectangle", "circle")
INK = 64  # of 255: pixels at least this bright belong to a digit
MARGIN = 2  # pixels around an object that belong to its region: the radius of a 5x5 window
_TRIES = 50  # candidate positions of a shape; the one that covers least of the digit is used
_HALF, _SHAPE, _PAIR = range(3)  # first key of the random streams


@dataclass(frozen=True, eq=False)
class RegionTask:
    """Images whose label is determined by a known region.

    Args:
        images: (image, channel, height, width) pixels.
        labels: (image,) class indices.
        regions: (image, height, width), True where the image determines its label; False everywhere if nothing does.
        class_names: in the order of the labels.
    """

    images: UInt8[Tensor, "image channel height width"] = field(repr=False)
    labels: Int64[Tensor, " image"] = field(repr=False)
    regions: Bool[Tensor, "image height width"] = field(repr=False)
    class_names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.images)


Half = Literal["top", "bottom"]


def half_digits(
    images: UInt8[Tensor, "image channel height width"], seed: int = 0, deleted: Half = "bottom"
) -> RegionTask:
    """Delete one half of a random half of the images; the task is to tell which images were halved.

    The choice for image i depends only on (seed, i). The region is that half of every image.

    Differs from the paper: section 4.1 deletes the bottom half, but the caption of Figure 1 says the top half.

    Args:
        images: pixels; not changed.
        seed: at least 0.
        deleted: the "bottom" half or the "top" half.

    Returns:
        A task with the classes "whole" and "half".
    """
    halved = torch.tensor([bool(_stream(seed, _HALF, index).random() < 0.5) for index in range(len(images))])
    region = torch.zeros(images.shape[2:], dtype=torch.bool)
    middle = images.shape[2] // 2
    region[middle:] = deleted == "bottom"
    region[:middle] = deleted == "top"
    return RegionTask(
        images=images.masked_fill(halved[:, None, None, None] & region, 0),
        labels=halved.long(),
        regions=region.expand(len(images), -1, -1),
        class_names=("whole", "half"),
    )


def shapes_on_digits(
    images: UInt8[Tensor, "image 1 height width"], labels: Int64[Tensor, " _"], seed: int = 0
) -> tuple[RegionTask, RegionTask]:
    """Add a filled rectangle, an empty circle or nothing to every digit; two tasks share the images.

    The shape of image i depends on (seed, i). Of 50 random positions, the one that covers least of the digit is used.
    Rectangles have sides of 3 to 7 pixels; circles have a radius of 2.5 to 4 and a line width of 1.5.

    Args:
        images: white digits on black, at least 12 pixels high and wide; not changed.
        labels: of the digits, 0 to 9.
        seed: at least 0.

    Returns:
        The task of recognizing the shape (`SHAPES`) and the task of recognizing the digit. The region is the object to
        recognize, with a margin of 2 pixels; an image without a shape has no region in the first task.

    Raises:
        InvalidInput: images that are too small, or not one label each.
    """
    height, width = images.shape[2:]
    if min(height, width) < 12 or len(images) != len(labels):
        raise InvalidInput(f"{len(images)} digits of {height}x{width} pixels with {len(labels)} labels do not match")
    drawn = np.zeros((len(images), height, width), dtype=np.uint8)
    kinds = np.zeros(len(images), dtype=np.int64)
    for index, digit in enumerate(images[:, 0].numpy()):
        rng = _stream(seed, _SHAPE, index)
        kinds[index] = rng.integers(len(SHAPES))
        if kinds[index]:
            stamp = _rectangle(rng) if SHAPES[kinds[index]] == "rectangle" else _circle(rng)
            _place(stamp, digit, drawn[index], rng)
    shapes = torch.from_numpy(drawn)[:, None]
    both = torch.maximum(images, shapes)
    return (
        RegionTask(both, torch.from_numpy(kinds), _widened(shapes > 0), SHAPES),
        RegionTask(both, labels, _widened(images >= INK), tuple("0123456789")),
    )


def image_pairs(
    first: UInt8[Tensor, "first channel height width"],
    first_labels: Int64[Tensor, " _"],
    second: UInt8[Tensor, "second _ _ _"],
    class_names: tuple[str, ...],
    count: int,
    seed: int = 0,
) -> RegionTask:
    """Place an image of one group next to one of another, on a random side; the first group's image gives the label.

    Pair i depends only on (seed, i) and the groups. The region is the half with the first group's image.

    Args:
        first: the group that determines the label.
        first_labels: its class indices.
        second: the other group.
        class_names: of the labels.
        count: number of pairs, at least 1.
        seed: at least 0.

    Returns:
        A task whose images are twice as wide.

    Raises:
        InvalidInput: an empty group, images of different shapes, or not one label per image.
    """
    if not len(first) or not len(second) or count < 1 or len(first_labels) != len(first):
        raise InvalidInput(
            f"{len(first)} and {len(second)} images, {len(first_labels)} labels cannot make {count} pairs"
        )
    if first.shape[1:] != second.shape[1:]:
        raise InvalidInput(f"images {tuple(first.shape[1:])} and {tuple(second.shape[1:])} have different shapes")
    draws = [_stream(seed, _PAIR, index).random(3) for index in range(count)]
    a, b, side = torch.tensor(np.array(draws)).unbind(1)
    a, b, right = (a * len(first)).long(), (b * len(second)).long(), side < 0.5
    width = first.shape[3]
    pairs = torch.where(
        right[:, None, None, None],
        torch.cat([second[b], first[a]], dim=3),
        torch.cat([first[a], second[b]], dim=3),
    )
    regions = (torch.arange(2 * width) >= width) == right[:, None]  # (pair, column)
    return RegionTask(pairs, first_labels[a], regions[:, None].expand(-1, first.shape[2], -1), class_names)


def _stream(seed: int, task: int, index: int) -> np.random.Generator:
    if seed < 0:
        raise InvalidInput(f"seed is {seed}; seeds start at 0")
    return np.random.default_rng([seed, task, index])


def _rectangle(rng: np.random.Generator) -> UInt8[ndarray, "height width"]:
    return np.full(rng.integers(3, 8, size=2), 255, dtype=np.uint8)


def _circle(rng: np.random.Generator) -> UInt8[ndarray, "side side"]:
    radius = rng.uniform(2.5, 4)
    reach = int(np.ceil(radius + 0.25))
    offsets = np.arange(-reach, reach + 1)
    distance = np.hypot(offsets[:, None], offsets[None])
    cover: Float32[ndarray, "side side"] = np.clip(1.25 - np.abs(distance - radius), 0, 1)  # half a line and a pixel
    return np.asarray((255 * cover).round(), dtype=np.uint8)


def _place(
    stamp: UInt8[ndarray, "stamp_height stamp_width"],
    digit: UInt8[ndarray, "height width"],
    canvas: UInt8[ndarray, "height width"],
    rng: np.random.Generator,
) -> None:
    """Draw the stamp at the one of several random positions that covers the least ink."""
    rows, columns = stamp.shape
    corners = rng.integers(0, (canvas.shape[0] - rows + 1, canvas.shape[1] - columns + 1), size=(_TRIES, 2))
    covered = [int(digit[y : y + rows, x : x + columns].astype(np.int64).sum()) for y, x in corners]
    y, x = corners[int(np.argmin(covered))]
    canvas[y : y + rows, x : x + columns] = stamp


def _widened(objects: Bool[Tensor, "image 1 height width"]) -> Bool[Tensor, "image height width"]:
    """Widen the objects by a margin."""
    return F.max_pool2d(objects.float(), 2 * MARGIN + 1, stride=1, padding=MARGIN)[:, 0] > 0
