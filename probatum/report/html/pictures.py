"""Pictures and maps as data URIs, small enough that a page of many stays small."""

import base64
import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image
from torch.nn.functional import interpolate

from probatum.maps import get_reduction
from probatum.report.style import MapStyle, colors

PREFIX = "data:image/webp;base64,"
MAPS_BUDGET = 3_600_000  # letters of all maps of a page
SIDES = (224, 192, 160, 128, 112, 96, 80, 64, 48)  # pixels of a map's longer side, the first that fits the budget
_LOSSLESS_SIDE = 40  # up to this many pixels each one counts
_QUALITY = 62  # of the WebP encoder: the noise of a gradient map costs most of the page
_SAMPLE = 48  # maps that are encoded to estimate the size of all


class DataURI(str):
    """An encoded picture: no text to clean or shorten."""

    __slots__ = ()


def encoded(image: Image.Image, *, lossless: bool = False, quality: int = 80) -> DataURI:
    """An image as a WebP data URI."""
    buffer = io.BytesIO()
    image.save(buffer, "WEBP", lossless=lossless, quality=100 if lossless else quality, method=4)
    return DataURI(PREFIX + base64.b64encode(buffer.getvalue()).decode())


def photograph(values: np.ndarray, side: int) -> DataURI:
    """A picture (channel, height, width) in [0, 1], not larger than `side` pixels."""
    levels = (np.clip(np.nan_to_num(values), 0, 1) * 255).round().astype(np.uint8)
    image = Image.fromarray(levels[0] if levels.shape[0] == 1 else np.ascontiguousarray(levels.transpose(1, 2, 0)))
    small = max(image.size) <= _LOSSLESS_SIDE
    image.thumbnail((side, side), Image.Resampling.LANCZOS)
    return encoded(image.convert("RGB"), lossless=small)


def stored_figure(path: Path, width: int = 1500) -> tuple[DataURI, int, int] | None:
    """A figure of the folder with its width and height; None for what is no picture."""
    try:
        with Image.open(path, formats=("PNG",)) as image:
            if image.width * image.height > 60_000_000:
                return None
            shown = image.convert("RGB")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None
    shown.thumbnail((width, 4 * width), Image.Resampling.LANCZOS)
    return encoded(shown, quality=82), shown.width, shown.height


def reduced(maps: np.ndarray, style: MapStyle) -> Float[np.ndarray, "_ _ _"]:
    """(map, channel, height, width) -> (map, height, width) in the style's range; NaN where a map is not finite."""
    finite = np.isfinite(maps).all(axis=(1, 2, 3))
    shown = np.full((len(maps), *maps.shape[2:]), np.nan, dtype=np.float32)
    if finite.any():
        shown[finite] = get_reduction(style)(torch.from_numpy(maps[finite]))[:, 0].numpy()
    return shown


def colored(values: Float[np.ndarray, "_ _"], style: MapStyle, side: int) -> DataURI | None:
    """A reduced map in its colors, averaged down to `side` pixels; None for a map of NaN."""
    if np.isnan(values).any():
        return None
    height, width = values.shape
    if max(height, width) > side:
        size = [max(1, round(edge * side / max(height, width))) for edge in (height, width)]
        values = interpolate(torch.from_numpy(values)[None, None], size=size, mode="area")[0, 0].numpy()
    levels = (colors(values, style) * 255).round().astype(np.uint8)
    return encoded(Image.fromarray(levels), lossless=max(height, width) <= _LOSSLESS_SIDE, quality=_QUALITY)


@dataclass(frozen=True)
class Sheet:
    """The maps of some images.

    Args:
        maps: `maps[image][style][method][stage]`, None for a map that is not finite.
        side: pixels of the longer side.
        original_side: the same before shrinking.
        left_out: how many images did not fit.
    """

    maps: list[list[list[list[DataURI | None]]]]
    side: int
    original_side: int
    left_out: int


def sheet(
    images: int, read: Callable[[int], Sequence[np.ndarray]], styles: Sequence[MapStyle], budget: int = MAPS_BUDGET
) -> Sheet:
    """Encodes maps at the largest size at which all fit the budget; where the smallest is too large, fewer images.

    Args:
        images: how many there are.
        read: gives the maps of one image, for each method (stage, channel, height, width).
        styles: of the maps.
        budget: letters in all.
    """
    if images == 0:
        return Sheet([], 0, 0, 0)
    first = read(0)
    original = max(edge for maps in first for edge in maps.shape[2:])
    count = images * len(styles) * sum(len(maps) for maps in first)
    side = next((s for s in _sides(original) if count * _mean_length(first, styles, s) <= 0.97 * budget), SIDES[-1])
    pages: list[list[list[list[DataURI | None]]]] = []
    used = 0
    for number in range(images):
        maps = read(number) if number else first
        page = [[[colored(one, style, side) for one in reduced(m, style)] for m in maps] for style in styles]
        used += sum(len(one or "") for methods in page for stages in methods for one in stages)
        if used > budget and pages:
            break
        pages.append(page)
    return Sheet(pages, min(side, original), original, images - len(pages))


def _sides(original: int) -> Iterator[int]:
    """Sizes to try, the largest first; a map is never enlarged."""
    if original < SIDES[0]:
        yield original
    yield from (side for side in SIDES if side <= original)


def _mean_length(maps: Sequence[np.ndarray], styles: Sequence[MapStyle], side: int) -> float:
    """The mean length of the encoded maps of one image, from a sample spread over methods and stages."""
    places = [(method, stage) for method, stages in enumerate(maps) for stage in range(len(stages))]
    chosen = places[:: max(1, len(places) * len(styles) // _SAMPLE)]
    lengths = [
        len(colored(reduced(maps[method][stage : stage + 1], style)[0], style, side) or "")
        for style in styles
        for method, stage in chosen
    ]
    return sum(lengths) / len(lengths)
