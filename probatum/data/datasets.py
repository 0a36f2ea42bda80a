"""Data sources by name."""

import os
from collections.abc import Callable
from dataclasses import dataclass, field

from jaxtyping import Int64, UInt8
from torch import Tensor

from probatum.data.digits import render_digits
from probatum.data.image_set import ImageSet
from probatum.data.mnist import read_mnist
from probatum.errors import InvalidInput, UnknownName
from probatum.preprocessing import MNIST, Preprocessing

SPLITS = ("train", "test")
LARGEST = 250_000  # images of an endless source at once, which take 750 MiB


@dataclass(frozen=True)
class Request:
    """Request of `load_dataset` to a source; each source ignores the options that it does not use."""

    split: str
    count: int
    data_dir: str | os.PathLike[str] | None
    seed: int
    download: bool


@dataclass(frozen=True)
class DatasetSpec:
    """One data source.

    Args:
        name: key in `DATASETS`.
        title: as written in figures.
        class_names: in the order of the labels.
        preprocessing: the default one.
        sizes: number of images in each split, in the order of `SPLITS`; for an endless source, the default number.
        endless: True if more images than `sizes` are available.
        where: the module that implements it.
        load: returns uint8 images (image, 1, 28, 28) and labels (image,), at least as many as requested.
    """

    name: str
    title: str
    class_names: tuple[str, ...]
    preprocessing: Preprocessing
    sizes: tuple[int, int]
    endless: bool
    where: str
    load: Callable[[Request], tuple[UInt8[Tensor, "image 1 28 28"], Int64[Tensor, " image"]]] = field(repr=False)


_DIGIT_NAMES = tuple("0123456789")
_FASHION_NAMES = (
    *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
    *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
)

DATASETS: dict[str, DatasetSpec] = {
    spec.name: spec
    for spec in (
        DatasetSpec(
            name="digits",
            title="rendered digits",
            class_names=_DIGIT_NAMES,
            preprocessing=MNIST,
            sizes=(10_000, 2_000),
            endless=True,
            where="probatum.data.digits",
            load=lambda request: render_digits(request.count, request.split, request.seed),
        ),
        DatasetSpec(
            name="mnist",
            title="MNIST",
            class_names=_DIGIT_NAMES,
            preprocessing=MNIST,
            sizes=(60_000, 10_000),
            endless=False,
            where="probatum.data.mnist",
            load=lambda request: read_mnist(request.data_dir, request.split, "MNIST", request.download),
        ),
        DatasetSpec(
            name="fashion-mnist",
            title="Fashion-MNIST",
            class_names=_FASHION_NAMES,
            preprocessing=MNIST,
            sizes=(60_000, 10_000),
            endless=False,
            where="probatum.data.mnist",
            load=lambda request: read_mnist(request.data_dir, request.split, "FashionMNIST", request.download),
        ),
    )
}


def data_title(name: str) -> str:
    """A source of images as figures and pages call it; a file or folder keeps its name."""
    return DATASETS[name].title if name in DATASETS else name


def load_dataset(
    name: str,
    split: str = "test",
    count: int | None = None,
    data_dir: str | os.PathLike[str] | None = None,
    seed: int = 0,
    *,
    preprocessing: Preprocessing | None = None,
    download: bool = False,
) -> ImageSet:
    """Load the first `count` images of a source, preprocessed.

    Args:
        name: a key of `DATASETS`.
        split: "train" or "test".
        count: number of images; None for the whole split, or for an endless source's default number.
        data_dir: folder of the sources that are read from disk.
        seed: of sources that are drawn at random.
        preprocessing: instead of the source's own, for example for a network with three input channels.
        download: True allows downloading missing files into `data_dir`.

    Raises:
        UnknownName: no such source or split.
        InvalidInput: more images requested than exist, or files missing or damaged.
    """
    if name not in DATASETS:
        raise UnknownName("data set", name, DATASETS)
    if split not in SPLITS:
        raise UnknownName("split", split, SPLITS)
    spec = DATASETS[name]
    size = spec.sizes[SPLITS.index(split)]
    count = size if count is None else count
    if count < 1 or count > (LARGEST if spec.endless else size):
        has = f"which are at most {LARGEST}" if spec.endless else f"whose {split} split has {size}"
        raise InvalidInput(f"{count} images were requested from {spec.title}, {has}")
    images, labels = spec.load(Request(split, count, data_dir, seed, download))
    chosen = preprocessing or spec.preprocessing
    return ImageSet(
        name=name,
        images=chosen.apply(images[:count]),
        labels=labels[:count],
        class_names=spec.class_names,
        image_names=tuple(f"{split}-{index:05d}" for index in range(count)),
        preprocessing=chosen,
    )
