"""Maps and pictures for a few images: what `probatum attribute` does."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from probatum.attributions import METHODS, Method, attribute, resolved
from probatum.data import ImageSet, load_photographs
from probatum.engine import PreparedModel, all_logits, prepare
from probatum.errors import InvalidInput
from probatum.experiments.build import (
    choose_device,
    configured_methods,
    load_images,
    load_or_train,
    preprocessing_of,
)
from probatum.experiments.config import CheckConfig
from probatum.experiments.run_folder import map_file
from probatum.experiments.sanity import block_size
from probatum.models import ModelSpec, model_spec
from probatum.progress import Progress
from probatum.runs.cells import Arrays, Cell, CellStore
from probatum.runs.files import read_json, reading, write_arrays, write_json
from probatum.runs.fingerprint import fingerprint, weights_hash
from probatum.runs.identity import identity_of_inputs, identity_of_software, software
from probatum.runs.plain_values import describe
from probatum.runs.ranks import ALONE
from probatum.runs.resume import run_in_work


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


@dataclass(frozen=True)
class Request:
    """What `probatum attribute` was asked to do.

    Args:
        config: model, weights, methods and their settings; the settings of the randomization play no part.
        sources: image files or folders, or the name of one data set.
        target: the class to explain, or None for the predicted one.
    """

    config: CheckConfig
    sources: tuple[str, ...]
    target: int | None = None


def explain(
    request: Request,
    folder: Path,
    progress: Progress | None = None,
    *,
    draw: Callable[[Explanation, Path], object] | None = None,
    say: Callable[[str], None] | None = None,
) -> Explanation:
    """Computes the maps of all methods, or what is left of them, and writes them into a folder.

    The folder receives `config.json`, `images.npz` with the pictures, and `maps/`, one file per image with an array
    (channel, height, width) per method. The images are explained in blocks; where a run was interrupted, the blocks
    that it stored are not computed again.

    Args:
        request: what to do.
        folder: none, an empty one, or that of an unfinished run of the same request.
        progress: called with (done, in all, what is being done).
        draw: called with the explanation and the folder, before the run counts as finished.
        say: called with sentences about a run that continues.

    Raises:
        InvalidInput, ModelError: what the parts raise.
    """
    config, device = request.config, choose_device(request.config.device)
    asked = {"sources": list(request.sources), "target": request.target}
    with run_in_work(folder, config, device, ALONE, **asked) as work:
        spec, skipped = model_spec(config.model), list[tuple[str, str]]()
        data = _load(request, spec, skipped)
        model, _ = load_or_train(config, spec, progress, device, work.weights)
        images = data.images.to(device)
        prepared = prepare(
            model.to(device),
            config.precision,
            channels_last=config.channels_last,
            fold_batch_norm=config.fold_batch_norm,
            example=images,
        )
        budget = work.rounding_settings["memory_budget"] or config.memory_budget
        probabilities = all_logits(prepared, images, memory_budget=budget).softmax(1)
        targets = _targets(request.target, probabilities, spec)
        methods = resolved(configured_methods(config, spec, data.preprocessing), prepared, images)
        size = block_size(images, len(methods), 1)
        blocks = [images[first : first + size] for first in range(0, len(images), size)]
        inputs = identity_of_inputs(model, images, targets) | {"image names": list(data.image_names)}
        settings = {"config": config.to_json(), "methods": fingerprint(methods)}
        store = work.identify(asked | settings | inputs | identity_of_software(device), len(blocks))
        maps = _maps(prepared, blocks, targets, methods, config.seed, budget, store, progress, say)
        names = spec.class_names or data.class_names
        found = Explanation(
            image_names=data.image_names,
            targets=tuple(targets.tolist()),
            class_names=tuple(names[index] if names else str(index) for index in targets.tolist()),
            confidences=tuple(probabilities.gather(1, targets[:, None])[:, 0].tolist()),
            pictures=data.pictures().numpy(),
            maps=maps,
            skipped=tuple(skipped),
        )
        write_arrays(folder / "images.npz", {"pictures": found.pictures})
        (folder / "maps").mkdir(exist_ok=True)
        for row in range(len(found.image_names)):
            write_arrays(folder / "maps" / map_file(row), {name: values[row] for name, values in maps.items()})
        write_json(folder / "config.json", _record(request, found, spec, model, methods))
        if draw is not None:
            draw(found, folder)
        work.finish()
    return found


def _load(request: Request, spec: ModelSpec, skipped: list[tuple[str, str]]) -> ImageSet:
    """The images; name and fault of those that cannot be read are added where they may be skipped."""
    config, sources = request.config, request.sources
    skip = None if config.on_error == "stop" else lambda name, fault: skipped.append((name, fault))
    if len(sources) == 1:
        return load_images(sources[0], spec, config.images, config.data_dir, config.seed, skip)
    return load_photographs(list(sources), preprocessing_of(spec), limit=config.images, skip=skip)


def _targets(target: int | None, probabilities: Tensor, spec: ModelSpec) -> Tensor:
    predicted = probabilities.argmax(1)
    if target is not None and not 0 <= target < probabilities.shape[1]:
        raise InvalidInput(
            f"target {target} is out of range: {spec.title} has classes 0 to {probabilities.shape[1] - 1}"
        )
    return predicted if target is None else torch.full_like(predicted, target)


def _maps(
    prepared: PreparedModel,
    blocks: Sequence[Tensor],
    targets: Tensor,
    methods: Mapping[str, Method],
    seed: int,
    budget: int | str | None,
    store: CellStore,
    progress: Progress | None,
    say: Callable[[str], None] | None,
) -> dict[str, np.ndarray]:
    """By method, (image, channel, height, width); blocks that are not stored yet are computed and stored."""
    found: list[Arrays] = []
    starts = np.cumsum([0, *map(len, blocks)]).tolist()
    cells = [Cell(start, start + len(block)) for start, block in zip(starts, blocks, strict=False)]
    there = sum(cell.stop - cell.first for cell in cells if store.path(cell).exists())
    if there and say is not None:
        say(f"continuing: the maps of {there} of {starts[-1]} images are there")
    for number, (cell, block) in enumerate(zip(cells, blocks, strict=True)):
        arrays = store.load(cell)
        if arrays is None:

            def tick(done: int, total: int, before: int = number) -> None:
                if progress is not None:
                    progress(before * total + done, len(blocks) * total, "attributing")

            maps = attribute(
                prepared, block, targets[cell.part], methods, seed=seed, memory_budget=budget, progress=tick
            )
            arrays = {f"maps/{row}": values.float().cpu().numpy() for row, values in enumerate(maps.values())}
            store.save(cell, arrays)
        found.append(arrays)
    return {name: np.concatenate([each[f"maps/{row}"] for each in found]) for row, name in enumerate(methods)}


def _record(
    request: Request, found: Explanation, spec: ModelSpec, model: nn.Module, methods: Mapping[str, Method]
) -> dict[str, Any]:
    """Everything that determines the maps or is needed to read them, as JSON values."""
    facts: list[dict[str, Any]] = [
        {"file": map_file(row), "image": image, "target": found.targets[row], "class": found.class_names[row]}
        | {"confidence": found.confidences[row]}
        for row, image in enumerate(found.image_names)
    ]
    return {
        "config": request.config.to_json(),
        "sources": list(request.sources),
        "target": request.target,
        "software": software(),
        "model": {"name": spec.name, "title": spec.title, "weights_sha256": weights_hash(model)},
        "images": facts,
        "skipped": [{"name": name, "fault": fault} for name, fault in found.skipped],
        "methods": {name: {"title": METHODS[name].title} | describe(method) for name, method in methods.items()},
    }


def read_request(folder: Path) -> Request:
    """Reads what an explanation was asked to do; InvalidInput where the folder holds none."""
    with reading(folder, "maps of probatum attribute"):
        values = read_json(folder / "config.json")
        sources, target = values["sources"], values["target"]
        if not isinstance(sources, list) or not sources or not all(isinstance(source, str) for source in sources):
            raise ValueError("its sources are no names of files")
        if not (target is None or type(target) is int):
            raise ValueError("its target is no class index")
        return Request(CheckConfig.from_json(values["config"]), tuple(sources), target)


def is_explanation(folder: Path) -> bool:
    """Whether a folder was made by `explain`."""
    try:
        facts = read_json(folder / "config.json")
        return "images" in facts and "methods" in facts
    except (OSError, ValueError, TypeError):
        return False
