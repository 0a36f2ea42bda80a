"""Models by name, with their metadata and weights."""

import os
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn

from probatum.errors import InvalidInput, UnknownName
from probatum.imports import is_import_path, refuse_bare_file
from probatum.models.checkpoints import known_state, load_state, other_classes
from probatum.models.seeding import seeded
from probatum.models.sources import HuggingFaceSource, OwnSource, SmallSource, Source, TimmSource, TorchvisionSource
from probatum.models.sources.small import SMALL
from probatum.models.sources.torchvision import torchvision_names
from probatum.models.spec import ModelSpec
from probatum.models.state_files import read_state
from probatum.plugins import registered

_SOURCES: dict[str, Source] = {
    **{name: SmallSource(name) for name in SMALL},
    **{name: TorchvisionSource(name) for name in torchvision_names()},
}

_LIBRARIES: dict[str, Callable[[str], Source]] = {"timm": TimmSource, "hf": HuggingFaceSource}

MODELS: dict[str, ModelSpec] = {name: source.spec for name, source in _SOURCES.items()}
"""Metadata of the models that need nothing but their name."""


def find_source(name: str) -> Source:
    """Return the source of a model.

    Args:
        name: a key of `MODELS`; `timm:NAME`; `hf:NAME` or `hf:FOLDER`; or `package.module:name` or `./file.py:name`, or
            the name that an installed package registers for one of these objects, whose code is run: see `OwnSource`.

    Raises:
        UnknownName: no such model.
        InvalidInput: a file without the name of an object in it.
    """
    if name in _SOURCES:
        return _SOURCES[name]
    kind, colon, rest = name.partition(":")
    if colon and rest and kind in _LIBRARIES:
        return _LIBRARIES[kind](rest)
    if is_import_path(name):
        return OwnSource(name)
    refuse_bare_file(name)
    found = registered("models", _SOURCES)
    if name in found:
        return OwnSource(found[name].path)
    raise UnknownName("model", name, [*MODELS, *found])


def model_spec(name: str) -> ModelSpec:
    """Return the metadata of a model by name; raises what `find_source` raises."""
    return find_source(name).spec


def load_model(
    name: str, weights: str | os.PathLike[str] = "default", num_classes: int | None = None, seed: int = 0
) -> nn.Module:
    """Make a model in eval mode, on the CPU; the global random state does not change.

    Args:
        name: as in `find_source`.
        weights: "default" for the published weights (downloaded once, then cached), or those that one's own code makes;
            "none" for random weights; or a file with a state dict that fits exactly, see `load_checkpoint`.
        num_classes: outputs of the last layer. None takes the number that a file's last layer has, else the model's
            own. If it differs from that of published weights, the last layer is random.
        seed: of the random weights.

    Raises:
        UnknownName: no such model.
        InvalidInput: no such file, a file that does not fit, a model without published weights, or code that fails.
        ModelError: published weights that cannot be downloaded.
    """
    if num_classes is not None and num_classes < 1:
        raise InvalidInput(f"num_classes is {num_classes}; it must be at least 1")
    source = find_source(name)
    with torch.device("cpu"), seeded(seed):
        if weights == "default":
            model = source.load_default(num_classes)
        elif weights == "none":
            model = _build_random(source, num_classes)
        else:
            model = _load_file(source, Path(weights), num_classes)
    return model.eval()


def _build_random(source: Source, num_classes: int | None) -> nn.Module:
    if source.own_code:
        raise InvalidInput(f"the weights of {source.spec.title} are those that its code makes; leave out 'none'")
    return source.build(num_classes)


def _load_file(source: Source, path: Path, num_classes: int | None) -> nn.Module:
    """Build a model with as many classes as the last layer in a file has, and load the file."""
    state, auxiliary = read_state(path), source.spec.auxiliary
    model = source.build(num_classes, initialize=False)
    if num_classes is None:
        known = known_state(state, model.state_dict(), auxiliary)
        classes = other_classes(model.state_dict(), known)
        if classes is not None and not source.resizable:
            raise InvalidInput(
                f"{path} has {classes} classes, {source.spec.title} makes another number; name a function that makes "
                "as many, or that has a parameter num_classes"
            )
        resized = None if classes is None else source.build(classes, initialize=False)
        if resized is not None and other_classes(resized.state_dict(), known) is None:
            model = resized
    load_state(model, state, path, auxiliary)
    return model
