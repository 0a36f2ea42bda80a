"""Rendered digits: ten classes of 28x28 images drawn from fonts, for checks that need no download.

They follow MNIST's conventions (white on black, 28x28, digits about 20 pixels tall), but they are not MNIST, and
results on them are not results on MNIST.
"""

import functools
from pathlib import Path
from typing import NamedTuple

import matplotlib
import numpy as np
import torch
from jaxtyping import Float32, Int64, UInt8
from numpy import ndarray
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from probatum.errors import InvalidInput, UnknownName

FONTS = (
    *("DejaVuSans", "DejaVuSans-Bold", "DejaVuSans-Oblique", "DejaVuSans-BoldOblique"),
    *("DejaVuSerif", "DejaVuSerif-Bold", "DejaVuSerif-Italic", "DejaVuSerif-BoldItalic"),
    *("STIXGeneral", "STIXGeneralBol", "STIXGeneralItalic", "STIXGeneralBolIta"),
    *("cmr10", "cmb10", "cmss10", "cmtt10"),
)
"""Text fonts shipped with matplotlib, except DejaVu Sans Mono, whose dotted zero looks like an 8 when distorted."""

_SPLITS = ("train", "test")
_SIDE = 28
_OVERSAMPLING = 2  # images are warped at 56x56 and area-averaged down, which keeps thin strokes smooth
_GLYPH_HEIGHT = 48  # pixels of a glyph before it is warped
_EXTRA_STROKE = 4  # maximum growth of a stroke on either side, in half pixels of 48


class _Style(NamedTuple):
    """Random parameters of one image; lengths in pixels of the final image."""

    font: int
    stroke: int
    height: float
    width_ratio: float
    rotation: float
    shear: float
    shift: tuple[float, float]
    elastic: Float32[ndarray, "2 5 5"]
    blur: float
    brightness: float
    noise: float


def render_digits(
    count: int, split: str = "train", seed: int = 0
) -> tuple[UInt8[Tensor, "image 1 28 28"], Int64[Tensor, " image"]]:
    """Render the first `count` digits of an endless random stream.

    Image i shows the digit i mod 10. Its font, weight, rotation, shear, size, position, elastic distortion (after
    Simard, Steinkraus and Platt 2003, with a cubic interpolation of random offsets for their smoothed field), blur and
    noise depend only on (seed, split, i), not on `count`.

    Args:
        count: number of images, at least 1.
        split: "train" or "test", two independent streams that share the fonts.
        seed: of both streams, at least 0.

    Returns:
        uint8 images (image, 1, 28, 28), white on black, and their int64 labels (image,). They may differ by a few
        gray levels between versions of Pillow, OpenCV and matplotlib.

    Raises:
        InvalidInput: a count or seed out of range.
        UnknownName: an unknown split.
    """
    if split not in _SPLITS:
        raise UnknownName("split", split, _SPLITS)
    if count < 1 or seed < 0:
        raise InvalidInput(f"count is {count} and seed is {seed}; count must be at least 1 and seed at least 0")
    return torch.tensor(_rendered(count, split, seed)), torch.arange(count, dtype=torch.int64) % 10


@functools.lru_cache(maxsize=4)  # for experiments and checks one after another
def _rendered(count: int, split: str, seed: int) -> UInt8[ndarray, "image 1 28 28"]:
    """Renders the images; do not change them, for they are kept."""
    images = np.empty((count, 1, _SIDE, _SIDE), dtype=np.uint8)
    for index in range(count):
        rng = np.random.default_rng([seed, _SPLITS.index(split), index])
        images[index, 0] = _render(index % 10, _draw_style(rng), rng)
    return images


def _draw_style(rng: np.random.Generator) -> _Style:
    return _Style(
        font=int(rng.integers(len(FONTS))),
        stroke=int(rng.integers(_EXTRA_STROKE + 1)),
        height=rng.uniform(16, 21),
        width_ratio=rng.uniform(0.8, 1.3),
        rotation=rng.uniform(-0.28, 0.28),  # radians, 16 degrees
        shear=rng.uniform(-0.3, 0.3),
        shift=(rng.uniform(-2, 2), rng.uniform(-2, 2)),
        elastic=rng.normal(0, 0.8, (2, 5, 5)).astype(np.float32),
        blur=rng.uniform(0.3, 0.8),
        brightness=rng.uniform(0.8, 1),
        noise=rng.uniform(0, 0.04),
    )


def _render(digit: int, style: _Style, rng: np.random.Generator) -> UInt8[ndarray, "28 28"]:
    """Warp one glyph into its image, by computing the source position of every output pixel."""
    import cv2  # where digits are rendered and nowhere else: the rest runs without OpenCV

    glyph = _glyph(FONTS[style.font], digit, style.stroke)
    rows, columns = glyph.shape
    side = _SIDE * _OVERSAMPLING
    y, x = np.indices((side, side), dtype=np.float32)
    center = (side - 1) / 2
    offset_y, offset_x = (cv2.resize(field, (side, side), interpolation=cv2.INTER_CUBIC) for field in style.elastic)
    y += _OVERSAMPLING * (offset_y - np.float32(style.shift[0])) - np.float32(center)
    x += _OVERSAMPLING * (offset_x - np.float32(style.shift[1])) - np.float32(center)
    scale = _GLYPH_HEIGHT / (style.height * _OVERSAMPLING)
    cosine, sine = np.float32(np.cos(style.rotation) * scale), np.float32(np.sin(style.rotation) * scale)
    source_y = cosine * y - sine * x
    source_x = (sine * y + cosine * x) / np.float32(style.width_ratio) + np.float32(style.shear) * source_y
    warped = cv2.remap(
        glyph,
        source_x + np.float32((columns - 1) / 2),
        source_y + np.float32((rows - 1) / 2),
        interpolation=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=0,
    )
    image = cv2.resize(warped, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA)
    image = cv2.GaussianBlur(image, (5, 5), style.blur) * np.float32(style.brightness)
    image += rng.normal(0, style.noise, image.shape).astype(np.float32)
    return (image.clip(0, 1) * 255).round().astype(np.uint8)


@functools.cache
def _glyph(font_name: str, digit: int, stroke: int) -> Float32[ndarray, "height width"]:
    """Draw a digit in [0, 1], cropped to its ink and 48 pixels tall before the stroke is widened."""
    import cv2  # where digits are rendered and nowhere else: the rest runs without OpenCV

    path = Path(matplotlib.get_data_path(), "fonts", "ttf", f"{font_name}.ttf")
    if not path.is_file():
        raise InvalidInput(f"matplotlib {matplotlib.__version__} is missing its font {path.name}; reinstall matplotlib")
    drawn = 2 * _GLYPH_HEIGHT  # drawn at twice the size, because stroke widths are whole pixels
    _, top, _, bottom = ImageFont.truetype(str(path), size=drawn).getbbox(str(digit))
    font = ImageFont.truetype(str(path), size=round(drawn * drawn / (bottom - top)))
    left, top, right, bottom = font.getbbox(str(digit), stroke_width=stroke)
    margin = 4  # black around the ink, so that the warp fades to black
    canvas = Image.new("L", (round(right - left) + 2 * margin, round(bottom - top) + 2 * margin))
    ImageDraw.Draw(canvas).text((margin - left, margin - top), str(digit), fill=255, font=font, stroke_width=stroke)
    glyph = np.asarray(canvas, dtype=np.float32) / 255
    return cv2.resize(glyph, (canvas.width // 2, canvas.height // 2), interpolation=cv2.INTER_AREA)
