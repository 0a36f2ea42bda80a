"""Everything that a check works on."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from functools import partial
from pathlib import Path

import torch

from probatum.attributions import Method, resolved
from probatum.engine import prepare
from probatum.experiments.build.data import load_images
from probatum.experiments.build.device import choose_device
from probatum.experiments.build.methods import (
    FOR_TRANSFORMERS,
    configured_methods,
    configured_metrics,
    for_transformers,
    methods_that_fit,
    rehearse,
)
from probatum.experiments.build.model import configured_spec, load_or_train, will_train
from probatum.experiments.build.randomization import configured_randomizer, configured_stages
from probatum.experiments.build.subject import Subject, subject_of
from probatum.experiments.config import CheckConfig
from probatum.experiments.model_options import class_names_of
from probatum.experiments.refusals import Refusals
from probatum.metrics import Metric
from probatum.models import TrainingReport
from probatum.models.last_relu import last_relu, without_last_relu
from probatum.progress import Progress
from probatum.randomization import Randomizer, preset

OWN_RANDOMIZER = "own"  # stands for the preset's name where a randomizer is given
_FEW = 8  # images that tell whether a model ends in a ReLU


@dataclass(frozen=True, eq=False, kw_only=True)
class Setup(Subject):
    """Everything that a check works on.

    Args:
        methods: by name.
        metrics: by name.
        protocol: name of the preset.
        randomizer: of the model.
        trials: independent randomizations.
        training: what training reached, where the model was trained here.
        last_relu: name of the ReLU that ended the model and was taken out, or None: `model` has its input as outputs.
        refused: name and reason of each method that was left out because the model cannot have it.
    """

    methods: dict[str, Method]
    metrics: dict[str, Metric]
    protocol: str
    randomizer: Randomizer
    trials: int
    training: TrainingReport | None = None
    last_relu: str | None = None
    refused: Refusals = ()


def set_up(
    config: CheckConfig,
    progress: Progress | None = None,
    device: torch.device | None = None,
    trained: Path | None = None,
    say: Callable[[str], None] | None = None,
) -> Setup:
    """Loads or trains what a configuration names.

    Args:
        config: what to do.
        progress: called with (steps done, steps in all, what is being done).
        device: instead of the configuration's.
        trained: where a trained network is stored, or taken from if it is there.
        say: called with a sentence where the network was trained before, and for each method that is left out.

    Raises:
        InvalidInput, ModelError: data, weights or layers are missing or do not fit together.
    """
    device = device or choose_device(config.device)
    spec = configured_spec(config)
    skipped: list[tuple[str, str]] = []
    skip = None if config.on_error == "stop" else lambda name, fault: skipped.append((name, fault))
    data = load_images(config.data, spec, config.images, config.data_dir, config.seed, skip)
    methods = configured_methods(config, spec, data.preprocessing)
    metrics = configured_metrics(config, data)
    if will_train(config, trained):
        rehearse(config, spec, methods, data.images[:1].to(device))
    model, training = load_or_train(config, spec, progress, device, trained, say)
    subject = subject_of(
        spec,
        model.to(device),
        replace(data, images=data.images.to(device)),
        class_names=partial(class_names_of, config, spec),
        memory_budget=config.memory_budget,
        skipped=tuple(skipped),
        output=config.logits_at,
    )
    methods, refused = methods_that_fit(config, methods, subject, say=say)
    return replace(setup_of(config, subject, methods, metrics, training=training), refused=refused)


def setup_of(
    config: CheckConfig,
    subject: Subject,
    methods: Mapping[str, Method],
    metrics: Mapping[str, Metric],
    randomizer: Randomizer | None = None,
    *,
    training: TrainingReport | None = None,
) -> Setup:
    """Everything that a check works on.

    Args:
        config: names the randomization and the way to treat the last ReLU.
        subject: the model, the images and their classes.
        methods: by name.
        metrics: by name.
        randomizer: of the subject's model, instead of the preset's.
        training: what training reached, where the model was trained here.
    """
    prepared = prepare(subject.model, output=subject.output, extra=subject.extra or None)
    few, model = subject.data.images[:_FEW], subject.model
    plain = subject.output is None and not subject.extra
    relu = last_relu(prepared.model, prepared.accept(few).clone()) if plain and config.last_relu == "skip" else None
    if relu is not None:
        model = without_last_relu(model, relu)
    if randomizer is None:
        stages = configured_stages(config, replace(subject, model=model))
        chosen = configured_randomizer(config, model, stages)
    else:
        chosen = replace(randomizer, trained=model)
        chosen.require_unused(model, subject.data.images, subject.output, prepared.extra)
    facts = {field.name: getattr(subject, field.name) for field in fields(subject)} | {"model": model}
    return Setup(
        **facts,
        methods=resolved(methods, prepared, subject.data.images),
        metrics=dict(metrics),
        protocol=config.preset if randomizer is None else OWN_RANDOMIZER,
        randomizer=chosen,
        trials=config.trials or (preset(config.preset).trials if randomizer is None else 1),
        training=training,
        last_relu=relu,
    )


def set_up_again(setup: Setup, config: CheckConfig) -> Setup:
    """The model, images and targets of a setup under another preset or other methods and metrics.

    Args:
        setup: what a configuration named that differs in nothing else.
        config: names the methods, metrics and the randomization.
    """
    methods = configured_methods(config, setup.spec, setup.data.preprocessing)
    for name, _ in setup.refused:
        methods.pop(name, None)
    if setup.refused and FOR_TRANSFORMERS in setup.methods:
        methods = for_transformers(config) | methods
    return replace(
        setup,
        methods=resolved(methods, prepare(setup.model, output=setup.output), setup.data.images),
        metrics=configured_metrics(config, setup.data),
        protocol=config.preset,
        randomizer=configured_randomizer(config, setup.model, setup.randomizer.plan),
        trials=config.trials or preset(config.preset).trials,
    )
