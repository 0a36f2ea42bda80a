"""Maps and pictures for a few images: what `probatum attribute` does."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from probatum.attributions import Method, attribute_variants, resolved, title_of
from probatum.data import ImageSet, load_photographs
from probatum.engine import Variant
from probatum.experiments.build import (
    Subject,
    choose_device,
    configured_methods,
    configured_spec,
    identity_of_subject,
    load_images,
    load_or_train,
    methods_that_fit,
    preprocessing_of,
    rehearse,
    subject_of,
    will_train,
)
from probatum.experiments.config import CheckConfig
from probatum.experiments.gathering import concatenated
from probatum.experiments.map_formats import require_formats, write_maps
from probatum.experiments.model_options import class_names_of, identity_of_code
from probatum.experiments.options import set_fields
from probatum.experiments.refusals import Refusals
from probatum.experiments.run_folder import map_file
from probatum.experiments.sanity import block_size
from probatum.models import ModelSpec
from probatum.progress import Progress
from probatum.runs.cells import Arrays, Cell, CellStore
from probatum.runs.files import read_arrays, read_json, reading, write_arrays
from probatum.runs.fingerprint import fingerprint, weights_hash
from probatum.runs.identity import software
from probatum.runs.kinds import Computation, Kind, execute
from probatum.runs.plain_values import describe
from probatum.runs.remote import Folder, opened
from probatum.runs.resume import RunInWork


@dataclass(frozen=True, eq=False)
class Explanation:
    """Results of an attribution, for the terminal and the figures.

    Args:
        image_names: one for each image.
        targets: (image,) class indices.
        class_names: of the targets.
        confidences: (image,) softmax probabilities of the targets.
        pictures: (image, channel, height, width) in [0, 1].
        maps: by method, (image, channel, height, width); NaN where a method failed and failures may be skipped.
        skipped: name and fault of each image that could not be read and was left out.
        refused: name and reason of each method that was left out because the model cannot have it.
    """

    image_names: tuple[str, ...]
    targets: tuple[int, ...]
    class_names: tuple[str, ...]
    confidences: tuple[float, ...]
    pictures: np.ndarray
    maps: dict[str, np.ndarray]
    skipped: tuple[tuple[str, str], ...] = ()
    refused: Refusals = ()

    @property
    def failures(self) -> tuple[tuple[str, str], ...]:
        """Image and method of each map with NaN or infinite values."""
        return tuple(
            (image, method)
            for method, maps in self.maps.items()
            for image, values in zip(self.image_names, maps, strict=True)
            if not np.isfinite(values).all()
        )


@dataclass(frozen=True)
class Request:
    """Request of `probatum attribute`.

    Args:
        config: model, weights, methods and their settings; the settings of the randomization play no part.
        sources: image files or folders, or the name of one data set.
        target: the class to explain, or None for the predicted one.
        formats: of the stored maps, see `write_maps`; "npz" is always among the files.
    """

    config: CheckConfig
    sources: tuple[str, ...]
    target: int | None = None
    formats: tuple[str, ...] = ("npz",)

    def __post_init__(self) -> None:
        require_formats(self.formats)

    @property
    def device(self) -> str:
        """A torch device, or "auto"."""
        return self.config.device

    @property
    def memory_budget(self) -> str | None:
        """For activations; None is the device's default."""
        return self.config.memory_budget

    def to_json(self) -> dict[str, Any]:
        """The request as the JSON values of `config.json`."""
        return {
            "config": self.config.to_json(),
            "sources": list(self.sources),
            "target": self.target,
            "formats": list(self.formats),
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "Request":
        """Reads what `to_json` wrote; ValueError or InvalidInput where it is not that."""
        sources, target, formats = values["sources"], values["target"], values["formats"]
        if not isinstance(sources, list) or not sources or not all(isinstance(source, str) for source in sources):
            raise ValueError("its sources are no names of files")
        if not isinstance(formats, list) or not all(isinstance(name, str) for name in formats):
            raise ValueError("its formats are no names")
        if not (target is None or type(target) is int):
            raise ValueError("its target is no class index")
        return cls(CheckConfig.from_json(values["config"]), tuple(sources), target, tuple(formats))


def explain(
    request: Request,
    folder: Folder,
    progress: Progress | None = None,
    *,
    draw: Callable[[Path], object] | None = None,
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
        draw: called with the folder, before the run counts as finished.
        say: called with sentences about a run that continues.

    Raises:
        InvalidInput, ModelError: what the parts raise.
    """
    device = choose_device(request.config.device)
    return execute(ATTRIBUTION, request, folder, device, progress=progress, draw=draw, say=say)


class AttributionRun(Computation[Explanation]):
    """Maps of a model and images that are loaded.

    Args:
        config: the seed, how to compute, and what to do where a method fails.
        subject: the model and the images.
        methods: by name.
        run: its folder.
        determining: JSON values that determine the maps besides methods, weights, images and software.
        formats: of the stored maps besides `.npz`.
        refused: name and reason of each method that was left out.
    """

    def __init__(
        self,
        config: CheckConfig,
        subject: Subject,
        methods: Mapping[str, Method],
        run: RunInWork,
        determining: Mapping[str, Any],
        formats: Sequence[str] = (),
        refused: Refusals = (),
    ) -> None:
        self._formats, self._refused = formats, refused
        self._config, self._subject, self._run, self._determining = config, subject, run, determining
        images = subject.data.images
        self._prepared = subject.prepared(config.compute.limited(run.memory_budget))
        self._methods = resolved(methods, self._prepared, images)
        size, count = block_size(images, len(self._methods), 1), len(images)
        self._cells = [Cell(first, min(first + size, count)) for first in range(0, count, size)]
        self.cells = len(self._cells)

    @property
    def identity(self) -> dict[str, Any]:
        """Request, methods, weights, images and software."""
        return {**self._determining, "methods": fingerprint(self._methods), **identity_of_subject(self._subject)}

    def compute(self, store: CellStore) -> None:
        """Explains the images of the blocks that are not stored."""
        there = sum(cell.stop - cell.first for cell in self._cells if store.path(cell).exists())
        if there and self._run.say is not None:
            self._run.say(f"continuing: the maps of {there} of {len(self._subject.data)} images are there")
        for number, cell in enumerate(self._cells):
            if store.load(cell) is None:
                store.save(cell, self._maps(cell, number))

    def _maps(self, cell: Cell, number: int) -> Arrays:
        """The maps of a block by method: "maps/0" and so on."""
        progress = self._run.progress

        def tick(done: int, total: int) -> None:
            if progress is not None:
                progress(number * total + done, self.cells * total, "attributing")

        skips = self._config.on_error == "skip"
        methods = self._methods
        if skips:
            methods = {name: set_fields(each, {"on_error": "skip"})[0] for name, each in methods.items()}
        (maps,) = attribute_variants(
            [Variant(self._prepared.of_images(cell.part), self._subject.targets[cell.part])],
            self._subject.data.images[cell.part],
            methods,
            seed=self._config.seed,
            finite=not skips,
            progress=tick,
        )
        return {f"maps/{row}": values.float().cpu().numpy() for row, values in enumerate(maps.values())}

    def result(self, store: CellStore) -> Explanation:
        """Puts the maps of all blocks together."""
        found, subject = [store.require(cell) for cell in self._cells], self._subject
        targets = subject.targets.tolist()
        return Explanation(
            image_names=subject.data.image_names,
            targets=tuple(targets),
            class_names=tuple(map(subject.class_name, targets)),
            confidences=tuple(subject.confidences.tolist()),
            pictures=subject.data.pictures().cpu().numpy(),
            maps={
                name: concatenated([each[f"maps/{row}"] for each in found]) for row, name in enumerate(self._methods)
            },
            skipped=subject.skipped,
            refused=self._refused,
        )

    def write(self, result: Explanation) -> dict[str, Any]:
        """Writes pictures and maps."""
        folder = self._run.folder
        write_arrays(folder / "images.npz", {"pictures": result.pictures})
        (folder / "maps").mkdir(exist_ok=True)
        for row in range(len(result.image_names)):
            place, maps = folder / "maps" / map_file(row), {name: maps[row] for name, maps in result.maps.items()}
            write_arrays(place, maps)
            write_maps(place.with_suffix(""), maps, self._formats)
        return _record(result, self._subject, self._methods)


def attribution_run(request: Request, run: RunInWork) -> AttributionRun:
    """Loads or trains what a request names."""
    config = request.config
    spec, skipped = configured_spec(config), list[tuple[str, str]]()
    data = _load(request, spec, skipped)
    methods = configured_methods(config, spec, data.preprocessing)
    if will_train(config, run.weights):
        rehearse(config, spec, methods, data.images[:1].to(run.device), request.target)
    model, _ = load_or_train(config, spec, run.progress, run.device, run.weights, run.say)
    subject = subject_of(
        spec,
        model.to(run.device),
        replace(data, images=data.images.to(run.device)),
        request.target,
        class_names=partial(class_names_of, config, spec),
        memory_budget=run.memory_budget or config.memory_budget,
        skipped=tuple(skipped),
        output=config.logits_at,
    )
    methods, refused = methods_that_fit(config, methods, subject, run.say)
    determining = {**request.to_json(), **identity_of_code(config, subject.model)}
    return AttributionRun(config, subject, methods, run, determining, request.formats, refused)


def _load(request: Request, spec: ModelSpec, skipped: list[tuple[str, str]]) -> ImageSet:
    """The images; name and fault of those that cannot be read are added where they may be skipped."""
    config, sources = request.config, request.sources
    skip = None if config.on_error == "stop" else lambda name, fault: skipped.append((name, fault))
    if len(sources) == 1:
        return load_images(sources[0], spec, config.images, config.data_dir, config.seed, skip)
    return load_photographs(list(sources), preprocessing_of(spec), limit=config.images, skip=skip)


def _record(found: Explanation, subject: Subject, methods: Mapping[str, Method]) -> dict[str, Any]:
    """Everything besides the request that determines the maps or is needed to read them, as JSON values."""
    facts: list[dict[str, Any]] = [
        {"file": map_file(row), "image": image, "target": found.targets[row], "class": found.class_names[row]}
        | {"confidence": found.confidences[row]}
        for row, image in enumerate(found.image_names)
    ]
    return {
        "software": software(),
        "model": {
            "name": subject.spec.name,
            "title": subject.spec.title,
            "weights_sha256": weights_hash(subject.model),
        },
        "images": facts,
        "skipped": [{"name": name, "fault": fault} for name, fault in found.skipped],
        "refused": [{"method": name, "reason": reason} for name, reason in found.refused],
        "failures": [{"image": image, "method": method} for image, method in found.failures],
        "methods": {name: {"title": title_of(name)} | describe(method) for name, method in methods.items()},
    }


def read_explanation(folder: Folder) -> Explanation:
    """Reads what `explain` wrote; InvalidInput where the folder holds no complete maps."""
    with opened(folder) as path, reading(path, "complete maps of probatum attribute"):
        values = read_json(path / "config.json")
        images, methods = values["images"], list(values["methods"])
        stored = [read_arrays(path / "maps" / map_file(row)) for row in range(len(images))]
        return Explanation(
            image_names=tuple(str(image["image"]) for image in images),
            targets=tuple(int(image["target"]) for image in images),
            class_names=tuple(str(image["class"]) for image in images),
            confidences=tuple(float(image["confidence"]) for image in images),
            pictures=read_arrays(path / "images.npz")["pictures"],
            maps={method: np.stack([arrays[method] for arrays in stored]) for method in methods},
            skipped=tuple((str(each["name"]), str(each["fault"])) for each in values["skipped"]),
            refused=tuple((str(each["method"]), str(each["reason"])) for each in values["refused"]),
        )


ATTRIBUTION = Kind(
    "attribution",
    read=Request.from_json,
    values=Request.to_json,
    prepare=attribution_run,
    load=read_explanation,
)
"""Maps of a few images, as runs know them; rooms above draw and show them."""
