"""Maps in the formats of other programs: PyTorch tensors, pictures, and TIFF files of plain numbers."""

import io
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from probatum.errors import UnknownName
from probatum.maps import get_reduction
from probatum.storage import write_whole

PICTURE = "abs-normalized"  # the reduction of a picture

Maps = Mapping[str, np.ndarray]
"""By method, (channel, height, width) of one image."""


def write_maps(stem: Path, maps: Maps, formats: Iterable[str]) -> None:
    """Writes the maps of one image in other formats than `.npz`.

    - "pt": a dict of tensors (channel, height, width) by method, for `torch.load(path, weights_only=True)`.
    - "png": for each method a gray picture of the absolute values: the reduction `abs-normalized`, 1 being white. A map
      with NaN or infinite values has none.
    - "tif": for each method float32 numbers, one page a channel.

    Args:
        stem: of the files, without an extension.
        maps: of one image.
        formats: see `FORMATS`; "npz" stands for the file that every run has, and is written elsewhere.
    """
    for name in formats:
        for path, content in _WRITERS[name](stem, maps) if name != "npz" else ():
            write_whole(path, content)


def require_formats(formats: Iterable[str]) -> None:
    """Raises UnknownName where there is no such format."""
    for name in formats:
        if name not in FORMATS:
            raise UnknownName("format of maps", name, FORMATS)


def _tensors(stem: Path, maps: Maps) -> Iterator[tuple[Path, bytes]]:
    buffer = io.BytesIO()
    torch.save({method: torch.from_numpy(np.ascontiguousarray(values)) for method, values in maps.items()}, buffer)
    yield stem.with_suffix(".pt"), buffer.getvalue()


def _pictures(stem: Path, maps: Maps) -> Iterator[tuple[Path, bytes]]:
    for place, values in _places(stem, maps):
        if not np.isfinite(values).all():
            continue
        levels = get_reduction(PICTURE)(torch.from_numpy(values.astype(np.float64))[None])[0].squeeze(0)
        pixels = (levels.nan_to_num().clamp(0, 1) * 255).round().to(torch.uint8).numpy()
        yield place.with_suffix(".png"), _encoded([Image.fromarray(pixels)], "PNG")


def _numbers(stem: Path, maps: Maps) -> Iterator[tuple[Path, bytes]]:
    for place, values in _places(stem, maps):
        pages = [Image.fromarray(np.ascontiguousarray(channel, dtype=np.float32)) for channel in values]
        yield place.with_suffix(".tif"), _encoded(pages, "TIFF")


def _places(stem: Path, maps: Maps) -> Iterator[tuple[Path, np.ndarray]]:
    """A file for each method; a name that is not fit for files is replaced by the method's number."""
    for number, (method, values) in enumerate(maps.items()):
        name = method if re.fullmatch(r"[\w-]{1,80}", method, re.ASCII) else f"method-{number}"
        yield stem.with_name(f"{stem.name}-{name}"), values


def _encoded(pages: list[Image.Image], kind: str) -> bytes:
    buffer = io.BytesIO()
    more = {"save_all": True, "append_images": pages[1:]} if len(pages) > 1 else {}
    pages[0].save(buffer, kind, **more)
    return buffer.getvalue()


_WRITERS: dict[str, Callable[[Path, Maps], Iterator[tuple[Path, bytes]]]] = {
    "pt": _tensors,
    "png": _pictures,
    "tif": _numbers,
}
FORMATS = ("npz", *_WRITERS)
