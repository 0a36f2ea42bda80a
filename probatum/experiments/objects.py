"""Run folders of objects: a model, images and methods that are at hand in Python, not named in a configuration."""

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

from probatum.attributions import METHODS, Method
from probatum.attributions.base import MethodsLike, named_methods
from probatum.data import ImageSet, Preprocessing, load_photographs, storable
from probatum.engine import Extra, Output, TargetsLike
from probatum.errors import InvalidInput, UnknownName
from probatum.experiments.build import (
    OWN_RANDOMIZER,
    Setup,
    Subject,
    configured_methods,
    configured_metrics,
    methods_that_fit,
    setup_of,
    subject_of,
)
from probatum.experiments.check import CHECK, CheckRun
from probatum.experiments.config import DEFAULT_METHODS, CheckConfig
from probatum.experiments.explain import ATTRIBUTION, AttributionRun, Explanation
from probatum.experiments.map_formats import require_formats
from probatum.experiments.refusals import Refusals
from probatum.experiments.result import SanityResult
from probatum.metrics import Metric
from probatum.models import ModelSpec
from probatum.randomization import Randomizer
from probatum.runs.fingerprint import fingerprint
from probatum.runs.kinds import GIVEN, Kind
from probatum.runs.resume import RunInWork

ImagesLike: TypeAlias = Tensor | str | os.PathLike[str] | Sequence[str | os.PathLike[str]]

_RANDOMIZATION = ("stages", "order", "initializer", "batch_norm", "last_relu")  # settings that a randomizer replaces
_GIVEN = (  # settings that objects replace
    *("data", "data_dir", "images", "model", "weights", "classes", "train_images"),
    *("input_size", "mean", "std", "interpolation"),
)
# Settings that have an argument of their own, or follow the model.
_NAMED = ("methods", "metrics", "preset", "device", "output")


@dataclass(frozen=True)
class UnknownPreprocessing(Preprocessing):
    """Stands for a preprocessing that nobody described: values from the lowest to the highest are shown as [0, 1]."""

    @classmethod
    def of(cls, images: Tensor) -> "UnknownPreprocessing":
        """The one whose inverse takes these images to [0, 1]."""
        low, high = float(images.min()), float(images.max())
        width, channels = (high - low) or 1.0, images.shape[1]
        return cls((-low / width,) * channels, (1 / width,) * channels)

    @property
    def black(self) -> tuple[float, ...]:
        """Raises InvalidInput: nobody said what black is."""
        raise InvalidInput("the baseline 'black' needs the images' preprocessing; give preprocessing=")


@dataclass(frozen=True, eq=False, kw_only=True)
class Objects:
    """Model, images and methods that were given as objects, and how to compute.

    Args:
        model: maps (batch, channel, height, width) to logits; left as it is.
        title: of the model.
        images: of the same device.
        targets: as in `attribute`; None is the predicted classes.
        class_names: of the model's classes, or None.
        methods: by name.
        output: as in `attribute`.
        extra: as in `attribute`.
        config: the options of methods, the randomization and how to compute; its model, data and methods stand for
            nothing.
        formats: of the stored maps of an attribution, besides `.npz`.
    """

    model: nn.Module = field(repr=False)
    title: str
    images: ImageSet
    targets: TargetsLike | None
    class_names: tuple[str, ...] | None
    methods: Mapping[str, Method]
    output: Output | None
    extra: Extra
    config: CheckConfig
    formats: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        require_formats(self.formats)

    @property
    def device(self) -> str:
        """The images' device."""
        return str(self.images.images.device)

    @property
    def memory_budget(self) -> str | None:
        """As the configuration says."""
        return self.config.memory_budget

    @property
    def spec(self) -> ModelSpec:
        """Facts about the model, as far as objects tell them."""
        return ModelSpec(
            name=type(self.model).__name__,
            title=self.title,
            preprocessing=self.images.preprocessing,
            num_classes=None,
            where=type(self.model).__module__,
            class_names=self.class_names,
        )

    def to_json(self) -> dict[str, Any]:
        """The objects by name, in the form that a configuration has."""
        names = {
            "data": self.images.name,
            "images": len(self.images),
            "model": type(self.model).__name__,
            "weights": "given",
            "methods": list(self.methods),
            "device": self.device,
        }
        kind = type(self.model)
        return {
            "config": self.config.to_json() | names,
            GIVEN: {"model": f"{kind.__module__}.{kind.__qualname__}", "call": self.call},
        }

    @property
    def call(self) -> str:
        """The function to call again."""
        return "attribute_model"

    def subject(self, memory_budget: int | None) -> Subject:
        """Classifies the images."""
        return subject_of(
            self.spec,
            self.model,
            self.images,
            self.targets,
            class_names=self._names_of,
            memory_budget=memory_budget or self.memory_budget,
            output=self.output,
            extra=self.extra,
        )

    def fitting_methods(self, subject: Subject) -> tuple[dict[str, Method], Refusals]:
        """The methods with their options, and those that are left out because the model cannot have them."""
        methods = configured_methods(self.config, self.spec, self.images.preprocessing, self.methods)
        return methods_that_fit(self.config, methods, subject)

    def _names_of(self, classes: int) -> tuple[str, ...] | None:
        if self.class_names is not None and len(self.class_names) != classes:
            raise InvalidInput(
                f"{self.title} has {classes} classes, class_names has {len(self.class_names)}; give one for each"
            )
        return self.class_names

    def identity(self) -> dict[str, Any]:
        """Names and hashes of the objects, as JSON values: equal where they compute and show the same."""
        hashes = {name: _hash(value) for name, value in self._determining().items()}
        return {"title": self.title, "class_names": self.class_names, "formats": self.formats, **hashes}

    def _determining(self) -> dict[str, Any]:
        return {
            "model": self.model,
            "methods": self.methods,
            "output": self.output,
            "extra": self.extra,
            "preprocessing": self.images.preprocessing,
            "pictures": self.images.pictures(),
        }


@dataclass(frozen=True, eq=False, kw_only=True)
class CheckedObjects(Objects):
    """What `check_model` was given.

    Args:
        metrics: of one's own by name; None are those that the configuration names.
        randomizer: of the model; None is the preset's.
    """

    metrics: Mapping[str, Metric] | None
    randomizer: Randomizer | None

    @property
    def call(self) -> str:
        """The function to call again."""
        return "check_model"

    def to_json(self) -> dict[str, Any]:
        """The objects by name, in the form that a configuration has."""
        values = super().to_json()
        if self.metrics is not None:
            values["config"]["metrics"] = list(self.metrics)
        if self.randomizer is not None:
            values["config"]["preset"] = OWN_RANDOMIZER
        return values

    def setup(self, memory_budget: int | None) -> Setup:
        """Everything that the check works on."""
        subject = self.subject(memory_budget)
        methods, refused = self.fitting_methods(subject)
        metrics = configured_metrics(self.config, self.images) if self.metrics is None else self.metrics
        return replace(setup_of(self.config, subject, methods, metrics, self.randomizer), refused=refused)

    def _determining(self) -> dict[str, Any]:
        return {**super()._determining(), "metrics": self.metrics, "randomizer": self.randomizer}


class CheckOfObjects(CheckRun):
    """A check of objects."""

    def __init__(self, objects: CheckedObjects, run: RunInWork) -> None:
        super().__init__(objects.config, run, objects.setup(run.memory_budget))
        self._objects = objects

    @property
    def identity(self) -> dict[str, Any]:
        """Objects, weights, images and software."""
        return {**super().identity, "config": self._objects.to_json()["config"], "objects": self._objects.identity()}


def _attribution_of(objects: Objects, run: RunInWork) -> AttributionRun:
    subject = objects.subject(run.memory_budget)
    methods, refused = objects.fitting_methods(subject)
    determining = {**objects.to_json(), "objects": objects.identity()}
    return AttributionRun(objects.config, subject, methods, run, determining, objects.formats, refused)


def _no_request(values: Mapping[str, Any]) -> Any:
    raise AssertionError("objects are not read back")


CHECK_OF_OBJECTS: Kind[CheckedObjects, SanityResult] = Kind(
    CHECK.name,
    read=_no_request,
    values=CheckedObjects.to_json,
    prepare=CheckOfObjects,
    load=CHECK.load,
    returns_finished=True,
)
"""The check of objects; its folder is that of any check."""

ATTRIBUTION_OF_OBJECTS: Kind[Objects, Explanation] = Kind(
    ATTRIBUTION.name,
    read=_no_request,
    values=Objects.to_json,
    prepare=_attribution_of,
    load=ATTRIBUTION.load,
    returns_finished=True,
)
"""The maps of objects; their folder is that of any attribution."""


def images_of(
    source: ImagesLike,
    model: nn.Module,
    *,
    preprocessing: Preprocessing | None,
    image_names: Sequence[str] | None,
    pictures: Tensor | None,
    limit: int | None,
) -> ImageSet:
    """Images as they are given in Python, on the model's device.

    Args:
        source: a tensor (batch, channel, height, width), preprocessed; or what `load_photographs` takes.
        model: tells the device.
        preprocessing: of the pixels; needed for files.
        image_names: one for each image; numbers or paths where not given.
        pictures: (batch, 1 or 3, height, width) in [0, 1], to show; None inverts the preprocessing, and where it is
            not given either, scales the values to [0, 1]. Images of other than 1 or 3 channels are shown by the mean.
        limit: at most so many images.

    Raises:
        InvalidInput: not of these kinds or shapes.
    """
    if not isinstance(model, nn.Module):
        raise InvalidInput(f"the model is a {type(model).__name__}, not a torch.nn.Module")
    device = next((each.device for each in (*model.parameters(), *model.buffers())), torch.device("cpu"))
    if isinstance(source, Tensor):
        images = _tensor_set(source[:limit], preprocessing)
    elif preprocessing is None:
        raise InvalidInput("files of images need preprocessing=, such as probatum.data.IMAGENET")
    else:
        images = load_photographs(source, preprocessing, limit)
    if image_names is not None:
        images = replace(images, image_names=tuple(map(storable, image_names)))
    shown = images.pictures() if pictures is None else _accepted_pictures(pictures, images)
    if shown.shape[1] not in (1, 3):
        shown = shown.mean(1, keepdim=True)
    return replace(images, images=images.images.to(device), shown=shown.float())


def _tensor_set(images: Tensor, preprocessing: Preprocessing | None) -> ImageSet:
    if images.ndim != 4 or 0 in images.shape or not images.is_floating_point():
        raise InvalidInput(
            f"images are {images.dtype} of shape {tuple(images.shape)}; give floating-point values of shape (batch, "
            "channel, height, width), preprocessed as the model expects them"
        )
    if not bool(images.isfinite().all()):
        raise InvalidInput("the images have NaN or infinite values")
    images = images.detach()
    return ImageSet(
        name="given images",
        images=images if images.dtype == torch.float64 else images.float(),
        labels=None,
        class_names=None,
        image_names=tuple(f"image-{index:03d}" for index in range(len(images))),
        preprocessing=preprocessing or UnknownPreprocessing.of(images),
    )


def _accepted_pictures(pictures: Tensor, images: ImageSet) -> Tensor:
    size = (len(images), *images.images.shape[2:])
    if pictures.ndim != 4 or pictures.shape[1] not in (1, 3) or (len(pictures), *pictures.shape[2:]) != size:
        raise InvalidInput(
            f"pictures have shape {tuple(pictures.shape)}; images of shape {tuple(images.images.shape)} need "
            f"{(size[0], '1 or 3', *size[1:])}"
        )
    if not (pictures.is_floating_point() and float(pictures.min()) >= 0 and float(pictures.max()) <= 1):
        raise InvalidInput("pictures must be floating-point values in [0, 1]")
    return pictures.detach()


def methods_by_name(methods: MethodsLike | None) -> dict[str, Method]:
    """Methods by name: one that is a row of the table takes the name of the row, another its title or own name.

    Args:
        methods: as in `attribute`; None are the usual ones.

    Raises:
        InvalidInput: a name of the table stands for another method.
    """
    methods = DEFAULT_METHODS if methods is None else methods
    named = named_methods(methods)
    if not isinstance(methods, Mapping):
        rows = {name: entry.make() for name, entry in METHODS.items()}
        named = {
            next((row for row, usual in rows.items() if usual == method), name): method
            for name, method in named.items()
        }
    for name, method in named.items():
        if name in METHODS and type(METHODS[name].make()) is not type(method):
            raise InvalidInput(
                f"the method called {name!r} is {method.title}; that name stands for {METHODS[name].title}, so choose "
                "another"
            )
    return named


def config_of(
    model: nn.Module,
    methods: MethodsLike | None,
    settings: Mapping[str, Any],
    randomizer: Randomizer | None = None,
    **values: Any,
) -> CheckConfig:
    """The configuration of objects; its model and data stand for nothing.

    Args:
        model: computes in float32, or where its weights are float64, in float64.
        methods: as in `methods_by_name`; where none are given, those that the model cannot have are left out.
        settings: fields of `CheckConfig` by name.
        randomizer: that is given as an object.
        values: further fields.

    Raises:
        UnknownName: no such setting.
        InvalidInput: one that the model, images or randomizer replace, or a value that does not fit.
    """
    known = [each.name for each in fields(CheckConfig) if each.name not in (*_GIVEN, *_NAMED)]
    for name in settings:
        if name not in known:
            raise UnknownName("setting", name, known)
        if randomizer is not None and name in _RANDOMIZATION:
            raise InvalidInput(f"{name} is a part of the randomizer; set it there")
    double = any(each.dtype == torch.float64 for each in model.parameters())
    usual: dict[str, Any] = {
        "precision": "float64" if double else "float32",
        "methods": DEFAULT_METHODS,
        "on_refused": "skip" if methods is None else "stop",
    }
    if randomizer is not None:
        usual["last_relu"] = "keep"
    return CheckConfig(**{**usual, **values, **settings})


def _hash(value: Any) -> str:
    return hashlib.sha256(json.dumps(fingerprint(value)).encode()).hexdigest()
