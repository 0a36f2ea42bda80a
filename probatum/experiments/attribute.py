"""Maps and pictures for a few images: what `probatum attribute` does."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from probatum.attributions import METHODS, attribute
from probatum.data import load_photographs
from probatum.engine import all_logits, prepare
from probatum.errors import InvalidInput
from probatum.experiments.config import CheckConfig
from probatum.experiments.files import read_json, write_json
from probatum.experiments.sanity import Progress
from probatum.experiments.setup import (
    choose_device,
    configured_method,
    describe,
    load_images,
    load_or_train,
    preprocessing_of,
    weights_hash,
)
from probatum.experiments.store import map_file
from probatum.models import model_spec


@dataclass(frozen=True, eq=False)
class Explanation:
    """What was explained, for the terminal and the figures.

    Args:
        image_names: one for each image.
        targets: (image,) class indices.
        class_names: of the targets.
        confidences: (image,) softmax probabilities of the targets.
        pictures: (image, channel, height, width) in [0, 1].
        maps: by method, (image, channel, height, width).
        skipped: name and fault of each image that could not be read and was left out.
    """

    image_names: tuple[str, ...]
    targets: tuple[int, ...]
    class_names: tuple[str, ...]
    confidences: tuple[float, ...]
    pictures: np.ndarray
    maps: dict[str, np.ndarray]
    skipped: tuple[tuple[str, str], ...] = ()


def explain(
    config: CheckConfig,
    sources: Sequence[str],
    target: int | None,
    folder: Path,
    progress: Progress | None = None,
) -> Explanation:
    """Computes the maps of all methods of a configuration and writes them into a folder.

    The folder receives `config.json`, `images.npz` with the pictures, and `maps/`, one file per image with an array
    (channel, height, width) per method.

    Args:
        config: model, weights, methods and their settings; the settings of the randomization play no part.
        sources: image files or folders, or the name of one data set.
        target: the class to explain, or None for the predicted one.
        folder: an existing, empty folder.
        progress: called with (done, in all, what is being done).

    Raises:
        InvalidInput, ModelError: what the parts raise.
    """
    spec = model_spec(config.model)
    skipped: list[tuple[str, str]] = []
    skip = None if config.on_error == "stop" else lambda name, fault: skipped.append((name, fault))
    if len(sources) == 1:
        data = load_images(sources[0], spec, config.images, config.data_dir, config.seed, skip)
    else:
        data = load_photographs(list(sources), preprocessing_of(spec), limit=config.images, skip=skip)
    device = choose_device(config.device)
    model, _ = load_or_train(config, spec, progress)
    images = data.images.to(device)
    view = prepare(
        model.to(device),
        config.precision,
        channels_last=config.channels_last,
        fold_batch_norm=config.fold_batch_norm,
        example=images,
    )
    probabilities = all_logits(view, images, memory_budget=config.memory_budget).softmax(1)
    if target is not None and not 0 <= target < probabilities.shape[1]:
        raise InvalidInput(
            f"target {target} is out of range: {spec.title} has classes 0 to {probabilities.shape[1] - 1}"
        )
    targets = probabilities.argmax(1) if target is None else torch.full_like(probabilities.argmax(1), target)
    methods = {name: configured_method(name, config, spec, data.preprocessing) for name in config.methods}
    maps = attribute(
        view,
        images,
        targets,
        methods,
        seed=config.seed,
        memory_budget=config.memory_budget,
        progress=lambda done, total: progress(done, total, "attributing") if progress else None,
    )
    names = spec.class_names or data.class_names
    found = Explanation(
        image_names=data.image_names,
        targets=tuple(targets.tolist()),
        class_names=tuple(names[index] if names else str(index) for index in targets.tolist()),
        confidences=tuple(probabilities.gather(1, targets[:, None])[:, 0].tolist()),
        pictures=data.pictures().numpy(),
        maps={name: values.float().cpu().numpy() for name, values in maps.items()},
        skipped=tuple(skipped),
    )
    facts: list[dict[str, Any]] = [
        {"file": map_file(row), "image": image, "target": found.targets[row], "class": found.class_names[row]}
        | {"confidence": found.confidences[row]}
        for row, image in enumerate(found.image_names)
    ]
    write_json(
        folder / "config.json",
        {
            "config": config.to_json(),
            "sources": list(sources),
            "target": target,
            "model": {"name": spec.name, "title": spec.title, "weights_sha256": weights_hash(model)},
            "images": facts,
            "skipped": [{"name": name, "fault": fault} for name, fault in skipped],
            "methods": {name: {"title": METHODS[name].title} | describe(method) for name, method in methods.items()},
        },
    )
    np.savez(folder / "images.npz", allow_pickle=False, pictures=found.pictures)
    (folder / "maps").mkdir()
    for row in range(len(found.image_names)):
        arrays = {name: values[row] for name, values in found.maps.items()}
        np.savez(folder / "maps" / map_file(row), allow_pickle=False, **arrays)
    return found


def is_explanation(folder: Path) -> bool:
    """Whether a folder was made by `explain`."""
    try:
        facts = read_json(folder / "config.json")
        return "images" in facts and "methods" in facts
    except (OSError, ValueError, TypeError):
        return False
