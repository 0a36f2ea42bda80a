"""Tiny-ImageNet from its official folder: `wnids.txt`, `words.txt`, `train/` and `val/`."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from jaxtyping import Int64, UInt8
from torch import Tensor
from torchvision.transforms import functional as tvf

from probatum.data.photographs import open_photograph
from probatum.errors import InvalidInput

_SIDE = 64


class TinyImages(NamedTuple):
    """Photographs (image, 3, 64, 64), class after class; labels, indices into the list of classes; class names."""

    images: UInt8[Tensor, "image 3 64 64"]
    labels: Int64[Tensor, " image"]
    class_names: tuple[str, ...]


def read_tiny_imagenet(
    folder: str | os.PathLike[str], wnids: Sequence[str], split: str = "train", per_class: int | None = None
) -> TinyImages:
    """Read some classes of Tiny-ImageNet (Stanford CS231n).

    Args:
        folder: `tiny-imagenet-200`; it needs to contain only these classes.
        wnids: WordNet numbers of the classes, such as "n07753592"; labels follow this order.
        split: "train" (500 images per class) or "test" for the official validation images (50 per class).
        per_class: number of images per class, the first by file name; None for all.

    Returns:
        Images, labels and the first word for each class in `words.txt`.

    Raises:
        InvalidInput: a missing file or class, too few images, or a file that is not a photograph of 64x64 pixels.
    """
    root = Path(folder)
    listed = set(_lines(root / "wnids.txt"))
    words = dict(line.split("\t", 1) for line in _lines(root / "words.txt") if "\t" in line)
    for wnid in wnids:
        if wnid not in listed or wnid not in words:
            raise InvalidInput(f"{root} does not contain the class {wnid}: it must be in wnids.txt and in words.txt")
    files = _training_files(root, wnids) if split == "train" else _validation_files(root, wnids)
    images: list[Tensor] = []
    labels: list[int] = []
    for label, wnid in enumerate(wnids):
        if len(files[wnid]) < (per_class or 1):
            name = words[wnid].split(",")[0]
            raise InvalidInput(
                f"{root} has {len(files[wnid])} {split} images of {wnid} ({name}), {per_class or 1} are needed"
            )
        for path in files[wnid][:per_class]:
            images.append(_pixels(path))
            labels.append(label)
    return TinyImages(
        torch.stack(images), torch.tensor(labels), tuple(words[wnid].split(",")[0].strip() for wnid in wnids)
    )


def _training_files(root: Path, wnids: Sequence[str]) -> dict[str, list[Path]]:
    return {wnid: sorted((root / "train" / wnid / "images").glob("*.JPEG")) for wnid in wnids}


def _validation_files(root: Path, wnids: Sequence[str]) -> dict[str, list[Path]]:
    files: dict[str, list[Path]] = {wnid: [] for wnid in wnids}
    for line in _lines(root / "val" / "val_annotations.txt"):
        name, _, rest = line.partition("\t")
        wnid = rest.partition("\t")[0]
        if wnid in files:
            files[wnid].append(root / "val" / "images" / Path(name).name)
    return {wnid: sorted(paths) for wnid, paths in files.items()}


def _pixels(path: Path) -> UInt8[Tensor, "3 64 64"]:
    if not path.is_file():
        raise InvalidInput(f"there is no image file {path}")
    try:
        pixels: Tensor = tvf.pil_to_tensor(open_photograph(path))
    except InvalidInput as error:
        raise InvalidInput(f"{path}: {error}") from error
    if pixels.shape != (3, _SIDE, _SIDE):
        raise InvalidInput(f"{path} has {pixels.shape[1]}x{pixels.shape[2]} pixels; images of Tiny-ImageNet have 64x64")
    return pixels


def _lines(path: Path) -> list[str]:
    try:
        return [line for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(
            f"{path} cannot be read; Tiny-ImageNet has wnids.txt, words.txt, train/ and val/ in one folder"
        ) from error
