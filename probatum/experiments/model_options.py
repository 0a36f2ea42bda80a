"""Facts about a configured model: errors of its code, recorded weights, names of the classes, its code."""

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from probatum.data import DATASETS
from probatum.errors import InvalidInput, MissingFile, ModelError, ProbatumError
from probatum.experiments.config import CheckConfig
from probatum.imports import described
from probatum.models import ModelSpec
from probatum.models.registry import find_source
from probatum.runs.files import read_json, reading
from probatum.runs.fingerprint import fingerprint


@contextmanager
def running(spec: ModelSpec, images: Tensor) -> Iterator[None]:
    """Turns an error of a model's own code into a ModelError that names the images and the error."""
    try:
        yield
    except (ProbatumError, MemoryError, torch.OutOfMemoryError):
        raise
    except Exception as error:  # code of any kind
        shape = "×".join(map(str, images.shape[1:]))
        raise ModelError(
            f"{spec.title} fails on an image of {shape}: {described(error)}; --input-size sets "
            "the size, and --mean and --std, with a value for each channel, the number of channels"
        ) from error


def recorded_weights(folder: Path) -> str | None:
    """The hash of the weights of a finished run; None where they are made anew: trained, or random."""
    with reading(folder, "run of probatum"):
        values = read_json(folder / "config.json")
        config = values.get("config")
        if not isinstance(config, dict) or config.get("weights") in ("train", "none"):
            return None
        found = values.get("model", {}).get("weights_sha256")
        return None if found is None else str(found)


def identity_of_code(config: CheckConfig, model: nn.Module) -> dict[str, Any]:
    """A hash of the code of a model of one's own, beside that of its weights; of other models nothing."""
    if not find_source(config.model).own_code:
        return {}
    return {"code": hashlib.sha256(json.dumps(fingerprint(model)).encode()).hexdigest()}


def class_names_of(config: CheckConfig, spec: ModelSpec, classes: int) -> tuple[str, ...] | None:
    """The names of a model's classes: those of `classes`, of the data set, or of the published weights.

    Args:
        config: names the list of classes and the data.
        spec: of the model.
        classes: how many logits the model has; names of another number of classes are not its own.

    Returns:
        One name per logit, or None where nothing names them.

    Raises:
        InvalidInput: the list that is asked for has another length.
    """
    if config.classes is not None:
        names = read_class_names(Path(config.classes))
        if len(names) != classes:
            raise InvalidInput(f"{config.classes} names {len(names)} classes, {spec.title} has {classes} logits")
        return names
    of_data = DATASETS[config.data].class_names if config.data in DATASETS else None
    return next((names for names in (of_data, spec.class_names) if names and len(names) == classes), None)


def read_class_names(path: Path) -> tuple[str, ...]:
    """The lines of a text file, or the sub-folders of a folder in the order of torchvision's ImageFolder.

    Raises:
        InvalidInput: there is no such file or folder, or there are no names in it.
    """
    if not path.exists():
        raise MissingFile("file or folder of class names", path)
    if path.is_dir():
        names = sorted(each.name for each in path.iterdir() if each.is_dir() and not each.name.startswith("."))
        if not names:
            raise InvalidInput(f"{path} has no sub-folders, one a class; or name a text file with one class a line")
    else:
        try:
            names = [line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines()]
        except (OSError, UnicodeDecodeError) as error:
            raise InvalidInput(f"{path} is no text file with one class a line, and no folder ({error})") from error
        while names and not names[-1]:
            names.pop()
    if not names or not all(names):
        raise InvalidInput(f"{path} does not name one class a line")
    return tuple(names)
