"""MNIST and Fashion-MNIST, read from torchvision's folders without writing to them."""

import gzip
import os
import tempfile
from pathlib import Path
from typing import Literal

from jaxtyping import Int64, UInt8
from torch import Tensor
from torchvision import datasets
from torchvision.datasets.mnist import read_image_file, read_label_file
from torchvision.datasets.utils import check_integrity

from probatum.errors import InvalidInput, MissingFile

_LARGEST = 16 + 60_000 * 28 * 28  # maximum bytes of an idx file: the training images and their header


def read_mnist(
    data_dir: str | os.PathLike[str] | None,
    split: str,
    variant: Literal["MNIST", "FashionMNIST"] = "MNIST",
    download: bool = False,
) -> tuple[UInt8[Tensor, "image 1 28 28"], Int64[Tensor, " image"]]:
    """Read images and labels of one split (LeCun et al. 1998; Xiao, Rasul and Vollgraf 2017, arXiv 1708.07747).

    Args:
        data_dir: torchvision's root: the folder that holds `MNIST/raw` or `FashionMNIST/raw` with the idx files,
            unpacked or as .gz archives; archives are checked against torchvision's md5 sums. May be read-only.
        split: "train" (60,000 images) or "test" (10,000).
        variant: "MNIST" or "FashionMNIST".
        download: True downloads missing files into `data_dir` with torchvision.

    Returns:
        uint8 images (image, 1, 28, 28) and int64 labels (image,).

    Raises:
        InvalidInput: no folder, missing or damaged files, or a failed download.
    """
    source: type[datasets.MNIST] = getattr(datasets, variant)
    if data_dir is None:
        raise InvalidInput(
            f"{variant} is read from disk: give the data folder that holds {variant}/raw/*.gz (--data-dir), which "
            "`probatum download` fills"
        )
    raw = Path(data_dir) / variant / "raw"
    prefix = "train" if split == "train" else "t10k"
    archives = [(name, md5) for name, md5 in source.resources if name.startswith(prefix)]
    missing = [name for name, _ in archives if not any(map(os.path.isfile, (raw / name, (raw / name).with_suffix(""))))]
    if missing and download:
        try:
            source(os.fspath(data_dir), train=split == "train", download=True)
        except (OSError, RuntimeError) as error:
            raise InvalidInput(
                f"{variant} could not be downloaded into {raw}; put its files there ({error})"
            ) from error
    elif not os.path.isdir(data_dir):
        raise MissingFile("data folder", data_dir)
    elif missing:
        raise InvalidInput(
            f"{raw} is missing {' and '.join(missing)}; put the official file there, or let "
            "`probatum download` fetch it"
        )
    with tempfile.TemporaryDirectory() as scratch:
        (images_file, labels_file) = (_unpacked(raw / name, md5, Path(scratch)) for name, md5 in archives)
        try:
            for file in (images_file, labels_file):
                if file.stat().st_size > _LARGEST:
                    raise ValueError(f"{file.name} has more than {_LARGEST:,} bytes")
            images, labels = read_image_file(os.fspath(images_file)), read_label_file(os.fspath(labels_file))
        except (AssertionError, KeyError, OSError, RuntimeError, TypeError, ValueError) as error:
            raise InvalidInput(f"{raw} holds damaged {prefix} files; fetch them again ({error})") from error
    if images.shape[1:] != (28, 28) or labels.shape != images.shape[:1]:
        raise InvalidInput(
            f"{raw} holds {tuple(images.shape)} images with {tuple(labels.shape)} labels; fetch them again"
        )
    return images[:, None], labels


def _unpacked(archive: Path, md5: str, scratch: Path) -> Path:
    """Return the idx file, unpacked into the folder `scratch` if it is an archive."""
    unpacked = archive.with_suffix("")
    if unpacked.is_file():
        return unpacked
    if not check_integrity(archive, md5):
        raise InvalidInput(f"{archive} is not the official file (its md5 sum differs); fetch it again")
    target = scratch / unpacked.name
    with gzip.open(archive) as file:
        target.write_bytes(file.read(_LARGEST + 1))
    return target
