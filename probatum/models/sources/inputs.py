"""Preprocessing as other libraries describe it, checked against what they compute."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from PIL import Image
from torch import Tensor

from probatum.errors import InvalidInput
from probatum.preprocessing import Preprocessing

_CONVERSIONS = ("ToTensor", "PILToTensor", "ToImage", "ConvertImageDtype", "ToDtype")
_PARTS = ("input_size", "resize", "mean", "std", "interpolation", "keep_ratio")
_LEVELS = 3  # of 255: libraries round resized pixels differently


def read_preprocessing(value: Any, title: str) -> Preprocessing:
    """Read a preprocessing in one of the forms in which it is commonly written.

    Args:
        value: a `Preprocessing`; a dict of `input_size`, `mean` and `std`, and if need be `resize`, `interpolation` and
            `keep_ratio`; torchvision's transforms of published weights; or a `Compose` of torchvision's `Grayscale`,
            `Resize`, `CenterCrop`, conversion to a tensor and `Normalize`.
        title: of the model, for messages.

    Raises:
        InvalidInput: it has another form, or computes something else than these parts say.
    """
    if isinstance(value, Preprocessing):
        return value
    try:
        if isinstance(value, Mapping):
            return _from_parts(value)
        parts = _of_steps(value.transforms) if hasattr(value, "transforms") else _of_preset(value)
        return verified(_from_parts(parts), value, title)
    except (AttributeError, TypeError, ValueError) as error:
        raise InvalidInput(
            f"the preprocessing of {title} ({type(value).__name__}) cannot be read: {error}; write a dict of "
            "input_size, mean and std, or give --input-size, --mean and --std"
        ) from error


def verified(preprocessing: Preprocessing, reference: Callable[[Image.Image], Any], title: str) -> Preprocessing:
    """Return a preprocessing that gives the tensors of another implementation.

    Args:
        preprocessing: as it was read.
        reference: makes a tensor (3, height, width) of a picture.
        title: of the model, for messages.

    Raises:
        InvalidInput: the two differ by more than the rounding of pixels.
    """
    side = preprocessing.resize or preprocessing.crop or 32
    rows, columns = np.mgrid[0 : side + 21, 0 : 2 * side + 9]
    waves = [np.sin(rows / side * a + columns / side * b) for a, b in ((3, 1), (1, 4), (2, 2))]
    picture = Image.fromarray((np.stack(waves, axis=-1) * 120 + 128).astype(np.uint8))
    if preprocessing.channels == 1:
        picture = picture.convert("L")
    own, theirs = preprocessing.apply(picture), reference(picture)
    if not isinstance(theirs, Tensor) or theirs.shape != own.shape:
        shape = tuple(theirs.shape) if isinstance(theirs, Tensor) else type(theirs).__name__
        raise InvalidInput(f"the preprocessing of {title} gives {shape} where {tuple(own.shape)} was expected")
    if float((own - theirs).abs().max()) > _LEVELS / 255 / min(preprocessing.std):
        raise InvalidInput(
            f"the preprocessing of {title} does more than resize, crop and normalize; "
            "give --input-size, --mean and --std to replace it"
        )
    return preprocessing


def _from_parts(parts: Mapping[str, Any]) -> Preprocessing:
    unknown = [name for name in parts if name not in _PARTS]
    missing = [name for name in ("input_size", "mean", "std") if name not in parts]
    if unknown or missing:
        raise ValueError(f"it has no {missing[0]}" if missing else f"{unknown[0]!r} is unknown")
    size = int(parts["input_size"])
    return Preprocessing(
        mean=tuple(map(float, parts["mean"])),
        std=tuple(map(float, parts["std"])),
        resize=int(parts.get("resize", size)),
        crop=size,
        interpolation=parts.get("interpolation", "bilinear"),
        keep_ratio=bool(parts.get("keep_ratio", True)),
    )


def _of_preset(value: Any) -> dict[str, Any]:
    """The parts of torchvision's `ImageClassification`."""
    return {
        "input_size": _side(value.crop_size),
        "resize": _side(value.resize_size),
        "mean": value.mean,
        "std": value.std,
        "interpolation": value.interpolation.value,
    }


def _of_steps(steps: Any) -> dict[str, Any]:
    """The parts of torchvision's `Compose`."""
    parts: dict[str, Any] = {}
    for step in steps:
        kind = type(step).__name__
        if kind == "Resize":
            square = isinstance(step.size, (list, tuple)) and len(step.size) == 2
            parts |= {"resize": _side(step.size), "keep_ratio": not square}
            parts |= {"interpolation": step.interpolation.value}
        elif kind == "CenterCrop":
            parts["input_size"] = _side(step.size)
        elif kind == "Normalize":
            parts |= {"mean": step.mean, "std": step.std}
        elif kind == "Grayscale" and step.num_output_channels > 1:
            raise ValueError("Grayscale makes three channels, and photographs are read as gray only for one")
        elif kind not in (*_CONVERSIONS, "Grayscale"):
            raise ValueError(f"{kind} is none of Grayscale, Resize, CenterCrop, {', '.join(_CONVERSIONS)}, Normalize")
    if not parts.get("keep_ratio", True):
        parts.setdefault("input_size", parts["resize"])
    return parts


def _side(size: Any) -> int:
    sides = set(size) if isinstance(size, (list, tuple)) else {size}
    if len(sides) != 1:
        raise ValueError(f"size {size} is not square")
    return int(sides.pop())
