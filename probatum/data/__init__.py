"""Images: rendered digits, MNIST, Fashion-MNIST, photographs, and their preprocessing."""

from probatum.data.datasets import DATASETS, SPLITS, DatasetSpec, load_dataset
from probatum.data.digits import render_digits
from probatum.data.image_set import ImageSet, is_text, storable
from probatum.data.mnist import read_mnist
from probatum.data.photographs import EXTENSIONS, image_files, load_photographs, open_photograph
from probatum.preprocessing import (
    IMAGENET,
    IMAGENET_INCEPTION,
    MNIST,
    MNIST_RGB_64,
    UNIT_RANGE,
    Preprocessing,
)

__all__ = [
    "DATASETS",
    "EXTENSIONS",
    "IMAGENET",
    "IMAGENET_INCEPTION",
    "MNIST",
    "MNIST_RGB_64",
    "SPLITS",
    "UNIT_RANGE",
    "DatasetSpec",
    "ImageSet",
    "Preprocessing",
    "image_files",
    "is_text",
    "load_dataset",
    "load_photographs",
    "open_photograph",
    "read_mnist",
    "render_digits",
    "storable",
]
