"""Training that is done once: trained weights kept in a cache folder by the hash of everything that determines them.

A training that is interrupted leaves a file there, from which an equal one resumes.
"""

import hashlib
import json
import os
import warnings
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from probatum.errors import InvalidInput
from probatum.models import EpochRecord, TrainingConfig, TrainingReport, load_checkpoint, save_checkpoint, train
from probatum.progress import Progress
from probatum.runs.files import read_json
from probatum.runs.fingerprint import fingerprint
from probatum.runs.plain_values import parse_dataclass
from probatum.storage import write_whole

VERSION = 1  # of the training's numerics: raise it when a change makes old weights different from new ones


def cache_folder() -> Path:
    """$PROBATUM_CACHE, or `probatum` in the user's cache folder."""
    given = os.environ.get("PROBATUM_CACHE")
    return Path(given) if given else Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "probatum"


def train_once(
    model: nn.Module,
    train_images: Tensor,
    train_labels: Tensor,
    test_images: Tensor,
    test_labels: Tensor,
    config: TrainingConfig,
    *,
    what: str,
    progress: Progress | None = None,
    say: Callable[[str], None] | None = None,
) -> TrainingReport:
    """Trains a model, resumes an equal training that was interrupted, or loads the weights of one that was done before.

    Trainings are equal where the model's code and first weights, the images and labels, the configuration, the kind of
    device and, on the CPU, the number of threads are.

    Args:
        model: changed in place, on its device; left in eval mode.
        train_images: (image, ...).
        train_labels: (image,) class indices.
        test_images: (image, ...).
        test_labels: (image,) class indices.
        config: the hyperparameters.
        what: what is trained, for the progress.
        progress: called with (steps done, steps in all, what).
        say: called with a sentence where nothing is trained.

    Returns:
        the report of the training, whenever it was done.
    """
    tensors = (train_images, train_labels, test_images, test_labels)
    weights = cached_weights([model, config, *tensors], next(model.parameters()).device)
    report = recall(model, weights)
    if report is not None:
        if say is not None:
            say(f"{what} was trained before; its weights are those of {weights}")
        model.eval()
        return report
    report = train(
        model,
        train_images,
        train_labels,
        test_images,
        test_labels,
        config,
        lambda done, total, _: progress(done, total, f"training {what}") if progress else None,
        unfinished_file(weights),
    )
    remember(model.eval(), report, weights)
    return report


def cached_weights(determining: Sequence[object], device: torch.device) -> Path:
    """The file of the cache for the weights of a training.

    Args:
        determining: everything that determines the weights, see `fingerprint`.
        device: of the training.
    """
    threads = torch.get_num_threads() if device.type == "cpu" else None  # decide how sums are rounded
    software = [VERSION, torch.__version__, np.__version__, device.type, threads]
    key = json.dumps([software, fingerprint(determining)])
    return cache_folder() / f"{hashlib.sha256(key.encode()).hexdigest()[:32]}.pt"


def unfinished_file(weights: Path) -> Path:
    """The file from which an interrupted training resumes, beside that of its weights."""
    return weights.with_suffix(".unfinished")


def recall(model: nn.Module, weights: Path) -> TrainingReport | None:
    """Loads the weights of a training that was kept; None, and the model as it was, where there is no sound entry."""
    facts = weights.with_suffix(".json")
    if not (weights.is_file() and facts.is_file()):
        return None
    first = {name: value.clone() for name, value in model.state_dict().items()}
    try:
        report = read_training(facts)
        load_checkpoint(model, weights)
    except InvalidInput:  # a damaged entry is trained again and replaced
        model.load_state_dict(first)
        return None
    return report


def remember(model: nn.Module, report: TrainingReport, weights: Path) -> None:
    """Keeps a training; a folder that cannot be written costs the next run a training and this one nothing."""
    try:
        save_checkpoint(model, weights)
        write_training(report, weights.with_suffix(".json"))
        unfinished_file(weights).unlink(missing_ok=True)
    except (OSError, InvalidInput) as error:
        warnings.warn(f"the training is not kept: {error}; set PROBATUM_CACHE to a folder", stacklevel=2)


def write_training(report: TrainingReport, path: Path) -> None:
    """Writes what a training reached."""
    write_whole(path, json.dumps(asdict(report)).encode())


def read_training(path: Path) -> TrainingReport:
    """Reads what `write_training` wrote; InvalidInput where it is not that."""
    try:
        values = read_json(path)
        *history, best = (
            parse_dataclass(EpochRecord, each, "training's epoch") for each in (*values["history"], values["best"])
        )
        reached = values["reached_target"]
        if not history or not (reached is None or isinstance(reached, bool)):
            raise InvalidInput("it has no epoch, or its reached_target is neither true, false nor null")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InvalidInput(f"{path} holds no record of a training: {error}") from error
    return TrainingReport(tuple(history), best, reached)
