"""From a configuration to its model: loaded, or trained here."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
from torch import nn

from probatum.data import DATASETS, load_dataset
from probatum.errors import InvalidInput
from probatum.experiments.build.data import labels_of
from probatum.experiments.build.device import choose_device
from probatum.experiments.config import CheckConfig
from probatum.models import QUICK_DIGITS, ModelSpec, TrainingReport, load_model, model_spec, save_checkpoint
from probatum.models.sources.small import SMALL
from probatum.progress import Progress
from probatum.runs.cache import read_training, train_once, write_training


def configured_spec(config: CheckConfig) -> ModelSpec:
    """Facts about the model, with the preprocessing that is asked for."""
    spec = model_spec(config.model)
    return spec.with_inputs(config.input_size, config.mean, config.std, config.interpolation)


def untrained(config: CheckConfig, spec: ModelSpec) -> nn.Module:
    """The model with random weights."""
    return load_model(spec.name, "none", seed=config.seed)


def will_train(config: CheckConfig, trained: Path | None) -> bool:
    """True where a network is to be trained that the run has not trained yet."""
    return config.weights == "train" and not (trained is not None and trained.is_file())


def load_or_train(
    config: CheckConfig,
    spec: ModelSpec,
    progress: Progress | None,
    device: torch.device | None = None,
    trained: Path | None = None,
    say: Callable[[str], None] | None = None,
) -> tuple[nn.Module, TrainingReport | None]:
    """Loads the weights that are named, or trains a small network on the data set, once for all runs: see `train_once`.

    Where `trained` is given, the network and the training's record beside it are taken from there, or else put there.
    """
    if config.weights != "train":
        return load_model(spec.name, config.weights, seed=config.seed), None
    if config.data not in DATASETS or spec.name not in SMALL:
        raise InvalidInput(
            f"{' and '.join(SMALL)} can be trained here, on {', '.join(DATASETS)}; for {spec.title} on {config.data}, "
            "give --weights default, none or a checkpoint file"
        )
    if trained is None:
        return _train(config, spec, progress, device or choose_device(config.device), say)
    record = trained.with_suffix(".json")
    if record.is_file():
        return load_model(spec.name, str(trained), len(DATASETS[config.data].class_names)).eval(), read_training(record)
    model, report = _train(config, spec, progress, device or choose_device(config.device), say)
    save_checkpoint(model, trained)
    write_training(report, record)  # last: where it is, the weights are whole
    return model, report


def _train(
    config: CheckConfig,
    spec: ModelSpec,
    progress: Progress | None,
    device: torch.device,
    say: Callable[[str], None] | None,
) -> tuple[nn.Module, TrainingReport]:
    """Trains a small network on the data set of the configuration, or takes it from the cache."""
    dataset = DATASETS[config.data]
    if say is not None and config.train_images <= dataset.sizes[0]:  # rendering digits already takes a while
        say(f"loading {config.train_images:,} training images of {dataset.title} for {spec.title}")
    training_set = load_dataset(config.data, "train", config.train_images, config.data_dir, config.seed)
    test_set = load_dataset(config.data, "test", min(2_000, dataset.sizes[1]), config.data_dir, config.seed)
    model = load_model(spec.name, "none", len(dataset.class_names), config.seed)
    report = train_once(
        model.to(device),
        training_set.images,
        labels_of(training_set),
        test_set.images,
        labels_of(test_set),
        replace(QUICK_DIGITS, seed=config.seed),
        what=spec.title,
        progress=progress,
        say=say,
    )
    return model, report
