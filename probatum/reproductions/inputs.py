"""Inputs of a reproduction: checked and listed before any work begins, and the part of them that identifies a run."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import torch

from probatum.data import image_files
from probatum.errors import InvalidInput, ModelError
from probatum.models import load_model, model_spec
from probatum.models.text.hugging_face import load_text_classifier
from probatum.reproductions.base import Experiment, ReproductionConfig

DATA = {
    "MNIST": "probatum download mnist --data-dir DIR",
    "FashionMNIST": "probatum download fashion-mnist --data-dir DIR",
    "tiny-imagenet-200": "probatum download tiny-imagenet --data-dir DIR",
    "sst2": "probatum download sst2 --data-dir DIR",
}
"""Folders of the data folder that experiments read, and the command that gets each."""

PHOTOGRAPHS = ("imagenet-demo", "imagenet-samples")
"""Folders of the data folder from which photographs come where no `--photographs` are given."""


def require_inputs(config: ReproductionConfig, experiments: Sequence[Experiment]) -> None:
    """Check everything that the experiments need before any work begins.

    Files and folders come first. Only if they are all there, each network is loaded once: published weights are
    downloaded now and not after hours.

    Raises:
        InvalidInput: something is missing; the message lists all of it, with the command that gets it.
    """
    missing = list(_missing_files(config, experiments)) or list(_missing_networks(config, experiments))
    if missing:
        names = ", ".join(experiment.name for experiment in experiments)
        raise InvalidInput(f"{config.paper} ({names}) with the preset {config.preset!r} needs {'; '.join(missing)}")


def _missing_files(config: ReproductionConfig, experiments: Sequence[Experiment]) -> Iterator[str]:
    root = Path(config.data_dir or "")
    if config.data_dir is not None and not root.is_dir():
        yield f"the data folder {root}, which does not exist"
    if config.photographs is not None and not Path(config.photographs).is_dir():
        yield f"the folder of photographs {config.photographs}, which does not exist"
    if config.weights not in ("default", "none") and not Path(config.weights).is_file():
        yield f"the weights {config.weights}, which do not exist"
    for name in _needed_data(config, experiments):
        if config.data_dir is None or not (root / name).is_dir():
            yield f"{name}/ in the folder of --data-dir ({DATA[name]})"
    explained = any(experiment.inputs.photographs for experiment in experiments) and _wants_networks(config)
    if explained and config.photographs is None and not any(map(image_files, _photographs(config))):
        yield "photographs (--photographs DIR, or imagenet-samples/ in the folder of --data-dir)"


def _needed_data(config: ReproductionConfig, experiments: Sequence[Experiment]) -> list[str]:
    """Folders of the data folder that nothing replaces."""
    needed = [] if config.substitutes else _all(experiments, "data")
    return needed + (_all(experiments, "paper_data") if config.preset == "paper" else [])


def _missing_networks(config: ReproductionConfig, experiments: Sequence[Experiment]) -> Iterator[str]:
    if _wants_networks(config):
        for name in dict.fromkeys(config.model or one for one in _all(experiments, "networks")):
            yield from _network_failures(name, config.weights, experiments)
    checkpoint = next((one.inputs.text for one in experiments if one.inputs.text), None)
    head = ("negative", "positive")  # for a checkpoint that has none and is to be fine-tuned
    if checkpoint is not None and config.text_model is not None:
        yield from _failure(partial(load_text_classifier, config.text_model, head), "give another --text-model")
    elif checkpoint is not None and not config.substitutes:
        yield from _failure(partial(load_text_classifier, checkpoint, head), "give --text-model FOLDER")


def _network_failures(name: str, weights: str, experiments: Sequence[Experiment]) -> Iterator[str]:
    """Why a network cannot be loaded, or the experiments for which it does not do."""
    wanting = {one.name: one.inputs.suits for one in experiments if one.inputs.suits is not None}
    if weights == "none" and not wanting:
        return
    try:
        model, preprocessing = load_model(name, weights), model_spec(name).preprocessing
    except (InvalidInput, ModelError) as error:
        yield f"a network that can be loaded: {error} (give --weights FILE)"
        return
    if preprocessing is None:
        return
    side = preprocessing.crop or preprocessing.resize or 224
    for experiment, suits in wanting.items():
        try:
            suits(model, torch.zeros(1, preprocessing.channels, side, side))
        except ModelError as error:
            yield f"another network for {experiment}: {error} (give another --model, or leave {experiment} out)"


def _wants_networks(config: ReproductionConfig) -> bool:
    """True if pretrained networks are used: always, but for the preset "quick" without `--model`."""
    return not config.substitutes or config.model is not None


def _all(experiments: Sequence[Experiment], kind: str) -> list[str]:
    return list(dict.fromkeys(name for experiment in experiments for name in getattr(experiment.inputs, kind)))


def _failure(load: Callable[[], object], remedy: str) -> Iterator[str]:
    try:
        load()
    except (InvalidInput, ModelError) as error:
        yield f"a network that can be loaded: {error} ({remedy})"


def _photographs(config: ReproductionConfig) -> list[Path]:
    """The folders of photographs in the data folder."""
    if config.data_dir is None:
        return []
    return [folder for name in PHOTOGRAPHS if (folder := Path(config.data_dir) / name).is_dir()]


def present_data(config: ReproductionConfig, experiments: Sequence[Experiment]) -> list[str]:
    """The folders of the data folder that the experiments read and that exist."""
    names = _all(experiments, "data") + _all(experiments, "paper_data")
    names += PHOTOGRAPHS if any(experiment.inputs.photographs for experiment in experiments) else ()
    root = Path(config.data_dir or "")
    return [name for name in names if config.data_dir is not None and (root / name).is_dir()]


def fingerprints(config: ReproductionConfig, data: Sequence[str]) -> dict[str, str]:
    """A hash of each input: of a file its content, of a folder the names and sizes of its files.

    Args:
        config: names files and folders.
        data: folders of the data folder that are read.
    """
    paths = {name: Path(config.data_dir or "") / name for name in data}
    given = {name: getattr(config, name) for name in ("photographs", "weights", "text_model")}
    paths |= {name: Path(value) for name, value in given.items() if value and Path(value).exists()}
    return {name: hashlib.sha256(_content(path)).hexdigest() for name, path in paths.items()}


def _content(path: Path) -> bytes:
    if path.is_file():
        return path.read_bytes()
    # Two levels; the data sets that are deeper have many files, and their lists lie above them.
    parts = (part for depth in ("*", "*/*") for part in path.glob(depth) if part.is_file())
    return repr(sorted((str(part.relative_to(path)), part.stat().st_size) for part in parts)).encode()
