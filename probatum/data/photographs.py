"""Photographs from disk: finding files, deriving labels, and decoding any format to 8-bit pixels."""

import os
import warnings
from collections.abc import Callable, Sequence
from itertools import chain, zip_longest
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps

from probatum.data.image_set import ImageSet, storable
from probatum.errors import InvalidInput, MissingFile
from probatum.preprocessing import Preprocessing

EXTENSIONS = (".jpg", ".jpeg", ".png", ".bmp", ".webp")
"""Extensions, in either case, of the files found in a folder; a file given by its path may have any name."""

_FORMATS = ("JPEG", "PNG", "BMP", "DIB", "WEBP", "GIF", "TIFF", "PPM")  # no executable format such as EPS
_MOST_PIXELS = 120_000_000  # per image, since a file of a few kilobytes can claim more than fits in memory


def load_photographs(
    source: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    preprocessing: Preprocessing,
    limit: int | None = None,
    skip: Callable[[str, str], None] | None = None,
) -> ImageSet:
    """Read, convert and preprocess photographs.

    If all images of a folder are in two or more sub-folders, the sub-folders are the classes, as in torchvision's
    ImageFolder: labels number them in sorted order, which may differ from the order of a model's classes.

    Args:
        source: a folder (searched recursively, in sorted order, without hidden files), one image, a list of images, or
            a .txt file with one path per line, relative to that file.
        preprocessing: must crop if the photographs differ in shape.
        limit: maximum number of images: the first ones, or with classes, the first ones of each class in turn.
        skip: called with the name and the error of each unreadable image, which is then replaced by the next one; None
            raises InvalidInput for such an image.

    Returns:
        The images, named by their path relative to the folder or to their common parent.

    Raises:
        InvalidInput: no such path, no image there, an unreadable image (with `skip`: no readable image), or images of
            different shapes.
    """
    if limit is not None and limit < 1:
        raise InvalidInput(f"limit is {limit}; it must be at least 1")
    title, root, paths = _find(source)
    names = [storable(path.relative_to(root).as_posix()) for path in paths]
    folders = [name.split("/")[0] if "/" in name else None for name in names]
    classes = tuple(sorted({folder for folder in folders if folder is not None}))
    labeled = None not in folders and len(classes) > 1
    order = list(range(len(paths)))
    if labeled and limit is not None:
        members = [[row for row in order if folders[row] == name] for name in classes]
        order = [row for row in chain.from_iterable(zip_longest(*members)) if row is not None]
    read: dict[int, torch.Tensor] = {}
    for row in order:
        if len(read) == limit:
            break
        try:
            read[row] = preprocessing.apply(open_photograph(paths[row], preprocessing.channels))
        except InvalidInput as error:
            if skip is None:
                raise InvalidInput(
                    f"{paths[row]}: {error}; remove it, or skip what cannot be read (--on-error skip)"
                ) from error
            skip(names[row], str(error))
    if not read:
        raise InvalidInput(f"none of the {len(paths)} images of {title} can be read")
    chosen = sorted(read)
    for row in chosen:
        if read[row].shape != read[chosen[0]].shape:
            raise InvalidInput(
                f"{paths[row]} gives {tuple(read[row].shape)} and {paths[chosen[0]]} {tuple(read[chosen[0]].shape)}; "
                "use a preprocessing that crops to one size"
            )
    return ImageSet(
        name=storable(title),
        images=torch.stack([read[row] for row in chosen]),
        labels=torch.tensor([classes.index(folders[row] or "") for row in chosen]) if labeled else None,
        class_names=classes if labeled else None,
        image_names=tuple(names[row] for row in chosen),
        preprocessing=preprocessing,
    )


def open_photograph(path: Path, channels: int = 3) -> Image.Image:
    """Return the first frame of an image file, upright, as 8-bit RGB (3 channels) or gray (1 channel).

    Transparent pixels are composited over white; 16-bit values are divided by 257.

    Raises:
        InvalidInput: a file that is not an image, is truncated, has values of unknown range, or has more than 120
            million pixels.
    """
    if channels not in (1, 3):
        raise InvalidInput(f"a photograph has 1 or 3 channels, not {channels}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # damaged metadata and large pictures; damaged pixels raise
            with Image.open(path, formats=_FORMATS) as file:
                if file.width * file.height > _MOST_PIXELS:
                    raise InvalidInput(
                        f"{file.width}x{file.height} pixels are more than {_MOST_PIXELS:,}; shrink the image"
                    )
                file.load()
                return _to_8_bit(ImageOps.exif_transpose(file)).convert("RGB" if channels == 3 else "L")
    except InvalidInput:
        raise
    except Exception as error:  # Pillow's decoders raise OSError, SyntaxError, ValueError, struct.error, ...
        raise InvalidInput(f"not a readable image ({error})") from error


def _to_8_bit(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):
        pixels = np.asarray(image)
        if pixels.min() < 0 or pixels.max() > 65535:
            raise InvalidInput("32-bit pixels have no known range; save the image with 8 or 16 bits")
        return Image.fromarray((pixels / 257).round().astype(np.uint8))
    if image.mode == "F":
        raise InvalidInput("floating-point pixels have no known range; save the image with 8 or 16 bits")
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        picture = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture)
    return image


def image_files(folder: Path) -> list[Path]:
    """The images of a folder and its sub-folders, sorted, without hidden files."""
    found = [file for file in folder.rglob("*") if file.suffix.lower() in EXTENSIONS and file.is_file()]
    return sorted(file for file in found if not _is_hidden(file.relative_to(folder)))


def _find(source: str | os.PathLike[str] | Sequence[str | os.PathLike[str]]) -> tuple[str, Path, list[Path]]:
    """Return the title of the set, the folder to which its names are relative, and its files."""
    if not isinstance(source, str | os.PathLike):
        return _listed("photographs", [Path(path) for path in source])
    path = Path(source)
    if os.path.isdir(path):
        files = image_files(path)
        if not files:
            raise InvalidInput(f"the folder {path} contains no image ({', '.join(EXTENSIONS)})")
        return path.resolve().name, path, files
    if not os.path.exists(path):
        raise MissingFile("file or folder", path)
    if path.suffix.lower() != ".txt":
        return _listed(path.stem, [path])
    try:
        lines = [line.strip() for line in path.read_text(encoding="utf-8-sig").split("\n")]
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(f"{path} is not a text file with one path per line ({error})") from error
    return _listed(path.stem, [path.parent / line for line in lines if line and not line.startswith("#")])


def _listed(title: str, paths: list[Path]) -> tuple[str, Path, list[Path]]:
    if not paths:
        raise InvalidInput(f"{title}: the list is empty; name at least one image")
    for path in paths:
        if not os.path.isfile(path):  # also accepts names that no file can have
            raise MissingFile("image file", path)
    absolute = [Path(os.path.abspath(path)) for path in paths]
    if len(set(absolute)) < len(absolute):
        twice = next(path for path in absolute if absolute.count(path) > 1)
        raise InvalidInput(f"{title}: {twice} is listed twice")
    return title, Path(os.path.commonpath([path.parent for path in absolute])), absolute


def _is_hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)
