"""Classifiers of timm by name; requires the extra `timm`."""

import importlib
import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from torch import nn

from probatum.errors import InvalidInput, ModelError, UnknownName
from probatum.imports import described
from probatum.models.sources.base import Source
from probatum.models.spec import ModelSpec
from probatum.preprocessing import Preprocessing


@dataclass(frozen=True)
class TimmSource(Source):
    """A classifier of timm, with the preprocessing of the weights that timm names for it.

    Args:
        name: as in `timm.create_model`, with or without the name of the weights behind a dot.
    """

    name: str

    @cached_property
    def _timm(self) -> Any:
        try:
            timm = importlib.import_module("timm")
        except ImportError as error:
            raise ModelError("models of timm need timm: pip install 'probatum[timm]'") from error
        if not timm.is_model(self.name):
            raise UnknownName("model of timm", self.name, timm.list_models())
        return timm

    @cached_property
    def spec(self) -> ModelSpec:
        """Metadata from timm's configuration of the weights, which are not downloaded."""
        timm = self._timm
        try:
            found = timm.get_pretrained_cfg(self.name)
        except RuntimeError as error:
            raise InvalidInput(f"timm has no weights of this name: {error}") from error
        config = {} if found is None else found.to_dict()
        classes = int(config.get("num_classes") or 1000)
        data = timm.data.resolve_data_config(pretrained_cfg=config)
        return ModelSpec(
            name=f"timm:{self.name}",
            title=f"{self.name} (timm)",
            preprocessing=_preprocessing(data, self.name),
            num_classes=classes,
            where=timm.models.model_entrypoint(self.name.partition(".")[0]).__module__,
            class_names=_class_names(timm, config, classes),
        )

    def build(self, num_classes: int | None = None, *, initialize: bool = True) -> nn.Module:
        """Build the network as timm does, with random weights."""
        return self._make(num_classes, pretrained=False)

    def load_default(self, num_classes: int | None = None) -> nn.Module:
        """Build the network with the weights that timm downloads."""
        try:
            return self._make(num_classes, pretrained=True)
        except Exception as error:  # from the network, the disk, or a library
            raise ModelError(
                f"the published weights of {self.name} could not be loaded ({described(error)}); "
                "give a checkpoint file, or 'none' for random weights"
            ) from error

    def _make(self, num_classes: int | None, *, pretrained: bool) -> nn.Module:
        options = {} if num_classes is None else {"num_classes": num_classes}
        model: nn.Module = self._timm.create_model(self.name, pretrained=pretrained, **options)
        return model


def _preprocessing(data: dict[str, Any], name: str) -> Preprocessing | None:
    """The preprocessing of timm's evaluation; None if it is of another kind, and has to be given."""
    _, height, width = data["input_size"]
    if height != width or data["interpolation"] not in ("bilinear", "bicubic") or data["crop_mode"] == "border":
        return None
    return Preprocessing(
        mean=tuple(data["mean"]),
        std=tuple(data["std"]),
        resize=math.floor(height / data["crop_pct"]),
        crop=height,
        interpolation=data["interpolation"],
        keep_ratio=data["crop_mode"] != "squash",
    )


def _class_names(timm: Any, config: dict[str, Any], classes: int) -> tuple[str, ...] | None:
    """The names of ImageNet's classes, of which timm knows several selections."""
    subset = timm.data.infer_imagenet_subset(config)
    if subset is None:
        return None
    info = timm.data.ImageNetInfo(subset)
    return tuple(info.index_to_description(index) for index in range(classes))
