"""Image classifiers of Hugging Face, by hub name or from a folder; requires the extra `vision`."""

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from PIL import Image
from torch import nn

from probatum.errors import MissingFile, ModelError
from probatum.imports import described
from probatum.models.sources.base import Source
from probatum.models.sources.inputs import verified
from probatum.models.spec import ModelSpec
from probatum.models.text.hugging_face import quiet
from probatum.preprocessing import Preprocessing

_INTERPOLATIONS = {2: "bilinear", 3: "bicubic"}  # Pillow's numbers


@dataclass(frozen=True)
class HuggingFaceSource(Source):
    """An image classifier of transformers, with the preprocessing of its image processor.

    Weights are read only from safetensors files, and code of the checkpoint is never run. Attention is not fused, so
    that its steps are visible.

    Args:
        where: a folder written by `save_pretrained`, or a name on the hub, which is downloaded once.
    """

    where: str

    @property
    def _title(self) -> str:
        return Path(self.where).name

    @cached_property
    def _transformers(self) -> Any:
        try:
            return importlib.import_module("transformers")
        except ImportError as error:
            raise ModelError("models of Hugging Face need transformers: pip install 'probatum[vision]'") from error

    @cached_property
    def _config(self) -> Any:
        return self._read("AutoConfig")

    @cached_property
    def spec(self) -> ModelSpec:
        """Metadata from the configuration of the model and of its image processor."""
        config = self._config
        names = tuple(str(config.id2label[index]) for index in range(config.num_labels))
        return ModelSpec(
            name=f"hf:{self.where}",
            title=self._title,
            preprocessing=self._preprocessing(),
            num_classes=config.num_labels,
            where=type(config).__module__,
            class_names=None if names[0] == "LABEL_0" else names,
        )

    def build(self, num_classes: int | None = None, *, initialize: bool = True) -> nn.Module:
        """Build the network with random weights."""
        config = self._config if num_classes is None else self._read("AutoConfig", num_labels=num_classes)
        model: nn.Module = self._transformers.AutoModelForImageClassification.from_config(
            config, attn_implementation="eager"
        )
        return model

    def load_default(self, num_classes: int | None = None) -> nn.Module:
        """Load the weights of the folder, or those that are downloaded."""
        options: dict[str, Any] = {}
        if num_classes is not None:
            options = {"num_labels": num_classes, "ignore_mismatched_sizes": True}
        model, loading = self._read(
            "AutoModelForImageClassification",
            attn_implementation="eager",
            use_safetensors=True,
            output_loading_info=True,
            **options,
        )
        if loading["missing_keys"]:
            missing = sorted(loading["missing_keys"])[0]
            raise ModelError(f"{self.where} has no {missing}: it is no image classifier; fine-tune it as one first")
        network: nn.Module = model
        return network

    def _read(self, kind: str, **options: Any) -> Any:
        """What `from_pretrained` of a class of transformers makes of the folder or name."""
        folder = Path(self.where).expanduser()
        is_local = folder.is_absolute() or self.where.startswith((".", "~")) or self.where.count("/") > 1
        if is_local and not folder.is_dir():
            raise MissingFile("folder", self.where)
        where = str(folder) if folder.is_dir() else self.where
        with quiet(self._transformers):
            try:
                return getattr(self._transformers, kind).from_pretrained(
                    where, **{"local_files_only": folder.is_dir(), "trust_remote_code": False} | options
                )
            except Exception as error:  # many kinds, each with a long message
                raise ModelError(
                    f"{self.where} cannot be loaded by transformers ({described(error)}); "
                    "give a folder with config.json and safetensors weights, or a name on the hub that can be reached"
                ) from error

    def _preprocessing(self) -> Preprocessing | None:
        """The preprocessing of the image processor; None if there is none of a kind that is known."""
        try:
            processor = self._read("AutoImageProcessor")
        except ModelError:
            return None

        def theirs(picture: Image.Image) -> Any:
            return processor(picture, return_tensors="pt")["pixel_values"][0]

        try:
            return verified(_parts(processor.to_dict()), theirs, self._title)
        except (KeyError, TypeError, ValueError):  # of another kind: its preprocessing has to be given
            return None


def _parts(values: Mapping[str, Any]) -> Preprocessing:
    """Preprocessing of the settings of an image processor."""
    size, crop = values.get("size") or {}, values.get("crop_size") or {}
    scale = values.get("rescale_factor", 1 / 255) if values.get("do_rescale", True) else 1.0
    normalized = values.get("do_normalize", True)
    mean = values["image_mean"] if normalized else (0.0, 0.0, 0.0)
    std = values["image_std"] if normalized else (1.0, 1.0, 1.0)
    side = int(size["shortest_edge"] if "shortest_edge" in size else _square(size))
    keep_ratio, resize, cropped = "shortest_edge" in size, side, side
    if values.get("do_center_crop"):
        cropped = _square(crop)
    elif keep_ratio and values.get("crop_pct"):  # ConvNeXt's
        resize = int(side / float(values["crop_pct"]))
    return Preprocessing(
        mean=tuple(float(value) / (255 * scale) for value in mean),
        std=tuple(float(value) / (255 * scale) for value in std),
        resize=resize,
        crop=cropped,
        interpolation="bicubic" if _INTERPOLATIONS[int(values["resample"])] == "bicubic" else "bilinear",
        keep_ratio=keep_ratio,
    )


def _square(size: Mapping[str, Any]) -> int:
    if size["height"] != size["width"]:
        raise ValueError(f"{size} is not square")
    return int(size["height"])
