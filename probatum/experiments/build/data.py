"""From a configuration to its images."""

import os
from collections.abc import Callable

from torch import Tensor

from probatum.data import DATASETS, ImageSet, Preprocessing, load_dataset, load_photographs
from probatum.data.datasets import LARGEST
from probatum.errors import InvalidInput, UnknownSource
from probatum.models import ModelSpec
from probatum.models.sources.small import SMALL
from probatum.models.spec import unknown_preprocessing


def load_images(
    source: str,
    spec: ModelSpec,
    count: int,
    data_dir: str | None,
    seed: int,
    skip: Callable[[str, str], None] | None = None,
) -> ImageSet:
    """Loads the images to explain: some of each class of a data set, or the first photographs of a folder.

    `skip` takes the name and fault of each photograph that cannot be read; without it, one is refused.
    """
    if source in DATASETS:
        own = DATASETS[source].preprocessing
        if spec.channels not in (None, own.channels):
            raise InvalidInput(
                f"{spec.title} takes images of {spec.channels} channels, {source} has {own.channels}; "
                "use --model basic_cnn or mlp, or photographs with --data FOLDER"
            )
        classes = len(DATASETS[source].class_names)
        enough = max(count, min(20 * count, LARGEST), 40 * classes) if DATASETS[source].endless else None
        pool = load_dataset(source, "test", enough, data_dir, seed)
        return _evenly(pool, count)
    if not os.path.exists(source):
        raise UnknownSource("data set, file or folder", source, DATASETS)
    if spec.name in SMALL:
        raise InvalidInput(f"{spec.title} takes images of 1 channel, not photographs; use --model squeezenet1_0, say")
    return load_photographs(source, preprocessing_of(spec), limit=count, skip=skip)


def _evenly(pool: ImageSet, count: int) -> ImageSet:
    """The first images of every class in turn, sorted by class, until there are `count`."""
    labels = labels_of(pool).tolist()
    seen: dict[int, int] = {}
    turns = []
    for index, label in enumerate(labels):
        turns.append((seen.get(label, 0), label, index))
        seen[label] = seen.get(label, 0) + 1
    if count > len(turns):
        raise InvalidInput(f"{count} images were asked for, {pool.name} has {len(turns)}")
    chosen = sorted(turns)[:count]
    return pool.subset([index for _, _, index in sorted(chosen, key=lambda turn: (turn[1], turn[2]))])


def preprocessing_of(spec: ModelSpec) -> Preprocessing:
    """How photographs become inputs of a model; InvalidInput where that is not known."""
    if spec.preprocessing is None:
        raise InvalidInput(unknown_preprocessing(spec.title))
    return spec.preprocessing


def labels_of(data: ImageSet) -> Tensor:
    """The classes of the images of a data set."""
    assert data.labels is not None, f"{data.name} has no labels"
    return data.labels
