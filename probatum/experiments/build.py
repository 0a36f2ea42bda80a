"""From a configuration to the things it names: data, model, methods, metrics, randomizer."""

import math
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from probatum.attributions import (
    Black,
    Method,
    SmoothGrad,
    attribute,
    resolved,
)
from probatum.attributions.base import MethodsLike
from probatum.data import DATASETS, ImageSet, Preprocessing, load_dataset, load_photographs
from probatum.data.datasets import LARGEST
from probatum.engine import (
    Compute,
    Extra,
    Output,
    PreparedModel,
    Targets,
    TargetsLike,
    all_logits,
    prepare,
    prepare_with,
)
from probatum.errors import InvalidInput, UnknownName
from probatum.experiments.config import CheckConfig
from probatum.experiments.model_options import class_names_of, running, with_inputs
from probatum.experiments.options import methods_with_options, set_fields
from probatum.experiments.refusals import Refusals, fitting_methods
from probatum.metrics import HOGCorrelation, Metric, get_metric
from probatum.models import QUICK_DIGITS, ModelSpec, TrainingReport, load_model, model_spec, save_checkpoint
from probatum.models.last_relu import last_relu, without_last_relu
from probatum.models.sources.small import SMALL
from probatum.models.spec import unknown_preprocessing
from probatum.progress import Progress
from probatum.randomization import (
    Randomizer,
    Smoothing,
    StagePlan,
    automatic_stages,
    block_stages,
    initializer,
    preset,
    stages_from_table,
    usual_stages,
)
from probatum.runs.cache import read_training, train_once, write_training
from probatum.runs.identity import identity_of_inputs, identity_of_software

OWN_RANDOMIZER = "own"  # stands for the preset's name where a randomizer is given
_FEW = 8  # images that tell whether a model ends in a ReLU


@dataclass(frozen=True, eq=False, kw_only=True)
class Subject:
    """A model and images to explain.

    Args:
        spec: facts about the model.
        model: on its device.
        data: the images, on the model's device.
        targets: the classes to explain, the predicted ones where none are given.
        probabilities: softmax probabilities of all classes, (image, class).
        class_names: of the model's classes, or None.
        skipped: name and fault of each image that could not be read and was left out.
        output: where the logits are in what the model returns, as in `prepare`.
        extra: further inputs of the model, one row an image, as in `prepare`.
    """

    spec: ModelSpec
    model: nn.Module
    data: ImageSet
    targets: Tensor
    probabilities: Tensor
    class_names: tuple[str, ...] | None
    skipped: tuple[tuple[str, str], ...] = ()
    output: Output | None = None
    extra: Extra = ()

    @property
    def confidences(self) -> Tensor:
        """The targets' softmax probabilities, (image,)."""
        return self.probabilities.gather(1, self.targets[:, None])[:, 0]

    def class_name(self, index: int) -> str:
        """The name of a class, or its number where it has none."""
        return self.class_names[index] if self.class_names is not None else str(index)

    def label_name(self, label: int) -> str:
        """The name of a label, which for a folder of photographs numbers its sub-folders."""
        return self.data.class_names[label] if self.data.class_names is not None else self.class_name(label)

    def prepared(self, compute: Compute) -> PreparedModel:
        """The prepared model, with the images as its example."""
        return prepare_with(self.model, compute, example=self.data.images, output=self.output, extra=self.extra)


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
    spec = with_inputs(model_spec(config.model), config)
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
    )
    methods, refused = methods_that_fit(config, methods, subject, say=say)
    return replace(setup_of(config, subject, methods, metrics, training=training), refused=refused)


def subject_of(
    spec: ModelSpec,
    model: nn.Module,
    data: ImageSet,
    targets: TargetsLike | None = None,
    *,
    class_names: Callable[[int], tuple[str, ...] | None],
    memory_budget: int | str | None,
    skipped: tuple[tuple[str, str], ...] = (),
    output: Output | None = None,
    extra: Extra = (),
) -> Subject:
    """Classifies the images of a model that is at hand.

    Args:
        spec: facts about the model.
        model: on the images' device, like all tensors.
        data: the images.
        targets: the classes to explain, as in `attribute`; None is the predicted ones.
        class_names: names so many classes, or knows no names of theirs.
        memory_budget: as in `attribute`.
        skipped: as in `Subject`, like the next two.
        output: where the logits are.
        extra: further inputs.

    Raises:
        InvalidInput: a target is out of range.
        ModelError: the model does not take the images.
    """
    prepared = prepare(model, memory_budget=memory_budget, output=output, extra=extra or None)
    prepared.require_extra(data.images)
    with running(spec, data.images):
        probabilities = all_logits(prepared, data.images).softmax(1)
    chosen = probabilities.argmax(1)
    if targets is not None:
        given = Targets.of(data.images, targets)
        if given.lowest < 0 or given.highest >= probabilities.shape[1]:
            wrong = given.lowest if given.lowest < 0 else given.highest
            raise InvalidInput(
                f"target {wrong} is out of range: {spec.title} has classes 0 to {probabilities.shape[1] - 1}"
            )
        chosen = given.classes.to(torch.int64)
    return Subject(
        spec=spec,
        model=model,
        data=data,
        targets=chosen,
        probabilities=probabilities,
        class_names=class_names(probabilities.shape[1]),
        skipped=skipped,
        output=output,
        extra=extra,
    )


def identity_of_subject(subject: Subject) -> dict[str, Any]:
    """Weights, images, targets and software, as JSON values."""
    return {
        **identity_of_inputs(subject.model, subject.data.images, subject.targets),
        "image names": list(subject.data.image_names),
        **identity_of_software(subject.data.images.device),
    }


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


def will_train(config: CheckConfig, trained: Path | None) -> bool:
    """True where a network is to be trained that the run has not trained yet."""
    return config.weights == "train" and not (trained is not None and trained.is_file())


def rehearse(
    config: CheckConfig, spec: ModelSpec, methods: dict[str, Method], image: Tensor, target: int | None = None
) -> None:
    """Explains one image by an untrained network, so that an option that does not fit is found before the training."""
    model = load_model(spec.name, "none", seed=config.seed).to(image.device)
    prepared = prepare_with(model, config.compute, example=image)
    if config.on_refused == "skip":
        fitting_methods(methods, prepared, image, target or 0, say=None)
        return
    short = {name: set_fields(method, {"samples": 2, "steps": 2})[0] for name, method in methods.items()}
    attribute(prepared, image, target or 0, short)


def methods_that_fit(
    config: CheckConfig,
    methods: dict[str, Method],
    subject: Subject,
    say: Callable[[str], None] | None = None,
) -> tuple[dict[str, Method], Refusals]:
    """The methods that a model can have, and the others if they may be skipped: see `fitting_methods`."""
    if config.on_refused == "stop":
        return methods, ()
    prepared, target = subject.prepared(config.compute), int(subject.targets[0])
    return fitting_methods(methods, prepared.of_images(slice(0, 1)), subject.data.images[:1], target, say)


def set_up_again(setup: Setup, config: CheckConfig) -> Setup:
    """The model, images and targets of a setup under another preset or other methods and metrics.

    Args:
        setup: what a configuration named that differs in nothing else.
        config: names the methods, metrics and the randomization.
    """
    methods = configured_methods(config, setup.spec, setup.data.preprocessing)
    for name, _ in setup.refused:
        methods.pop(name, None)
    return replace(
        setup,
        methods=resolved(methods, prepare(setup.model), setup.data.images),
        metrics=configured_metrics(config, setup.data),
        protocol=config.preset,
        randomizer=configured_randomizer(config, setup.model, setup.randomizer.plan),
        trials=config.trials or preset(config.preset).trials,
    )


def configured_stages(config: CheckConfig, subject: Subject) -> StagePlan:
    """The stages that are asked for: the table's, blocks or layers."""
    if subject.spec.stages and config.stages is None:
        return stages_from_table(subject.model, subject.spec.stages, images=subject.data.images)
    layers = automatic_stages(subject.model, subject.data.images, subject.output, subject.extra)
    if config.stages is None:
        return usual_stages(layers)
    return block_stages(layers) if config.stages == "blocks" else layers


def configured_randomizer(config: CheckConfig, model: nn.Module, plan: StagePlan) -> Randomizer:
    """The preset's randomizer, with the parts that the configuration replaces."""
    protocol = preset(config.preset)
    return Randomizer(
        model,
        plan,
        initializer(config.initializer) if config.initializer else protocol.initializer,
        config.order or protocol.order,
        config.seed,
        config.batch_norm or protocol.batch_norm,
        protocol.redraw,
    )


def choose_device(name: str) -> torch.device:
    """Reads a device; "auto" is CUDA where there is one."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise InvalidInput(f"device {name!r} does not exist; write auto, cpu, cuda or cuda:1") from None
    if device.type == "cuda" and not torch.cuda.is_available():
        raise InvalidInput(f"device {name!r} was asked for, but torch sees no CUDA device here; use --device cpu")
    return device


def load_images(
    source: str,
    spec: ModelSpec,
    count: int,
    data_dir: str | None,
    seed: int,
    skip: Callable[[str, str], None] | None = None,
) -> ImageSet:
    """Loads the images to explain: some of each class of a data set, or the first photographs of a folder.

    `skip` takes the name and fault of each photograph that cannot be read; without it, one is refused.
    """
    if source in DATASETS:
        own = DATASETS[source].preprocessing
        if spec.channels not in (None, own.channels):
            raise InvalidInput(
                f"{spec.title} takes images of {spec.channels} channels, {source} has {own.channels}; "
                "use basic_cnn or mlp, or a folder of photographs"
            )
        classes = len(DATASETS[source].class_names)
        enough = max(count, min(20 * count, LARGEST), 40 * classes) if DATASETS[source].endless else None
        pool = load_dataset(source, "test", enough, data_dir, seed)
        return _evenly(pool, count)
    if not os.path.exists(source):
        raise UnknownName("data set, file or folder", source, DATASETS)
    if spec.name in SMALL:
        raise InvalidInput(f"{spec.title} takes images of 1 channel, not photographs; use --model squeezenet1_0, say")
    return load_photographs(source, preprocessing_of(spec), limit=count, skip=skip)


def preprocessing_of(spec: ModelSpec) -> Preprocessing:
    """How photographs become inputs of a model; InvalidInput where that is not known."""
    if spec.preprocessing is None:
        raise InvalidInput(unknown_preprocessing(spec.title))
    return spec.preprocessing


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
    dataset = DATASETS[config.data]
    record = None if trained is None else trained.with_suffix(".json")
    if trained is not None and record is not None and record.is_file():
        model = load_model(spec.name, str(trained), len(dataset.class_names))
        return model.eval(), read_training(record)
    training_set = load_dataset(config.data, "train", config.train_images, config.data_dir, config.seed)
    test_set = load_dataset(config.data, "test", min(2_000, dataset.sizes[1]), config.data_dir, config.seed)
    model = load_model(spec.name, "none", len(dataset.class_names), config.seed)
    report = train_once(
        model.to(device or choose_device(config.device)),
        training_set.images,
        _labels(training_set),
        test_set.images,
        _labels(test_set),
        replace(QUICK_DIGITS, seed=config.seed),
        what=spec.title,
        progress=progress,
        say=say,
    )
    if trained is not None and record is not None:
        save_checkpoint(model, trained)
        write_training(report, record)  # last: where it is, the weights are whole
    return model, report


def configured_methods(
    config: CheckConfig, spec: ModelSpec, preprocessing: Preprocessing, methods: MethodsLike | None = None
) -> dict[str, Method]:
    """The methods of a check with its options, smoothed where the preset says so.

    Args:
        config: names the options, and the methods where none are given.
        spec: of the model.
        preprocessing: of the images, which tells the value of black.
        methods: instead of those that the configuration names.

    Raises:
        InvalidInput: an option that fits none of the methods.
    """
    smoothing = preset(config.preset).smoothing
    baseline = Black(preprocessing.black) if config.baseline == "black" else config.baseline
    given = {"layer": config.layer, "layout": config.layout, "steps": config.steps, "baseline": baseline}
    usual: dict[str, Any] = {"layer": spec.grad_cam_layer}
    # A preset that smooths has noise samples of its own, whatever the methods have.
    (given if smoothing is None else usual)["samples"] = config.samples
    chosen = methods_with_options(config.methods if methods is None else methods, given, usual)
    if smoothing is None:
        return chosen
    smoothing = replace(smoothing, samples=config.samples or smoothing.samples)
    return {name: smoothed(method, smoothing) for name, method in chosen.items()}


def smoothed(method: Method, smoothing: Smoothing) -> Method:
    """A method averaged over noisy copies of the image, whatever the method is.

    SmoothGrad and SmoothGrad² of independent noise twice are the same with the two variances added, so their own noise
    grows; what is left out is that the second noise would be scaled by the range of the noisy image.

    Raises:
        InvalidInput: the method is a variance over noise, whose average over noise is none.
    """
    if not isinstance(method, SmoothGrad):
        return SmoothGrad(method, smoothing.samples, smoothing.noise_fraction)
    if method.statistic == "variance" or method.noise_std is not None:
        raise InvalidInput(
            "VarGrad and noise in the units of the input cannot be smoothed; leave them out of --methods"
        )
    return replace(
        method,
        samples=max(method.samples, smoothing.samples),
        noise_fraction=math.hypot(method.noise_fraction, smoothing.noise_fraction),
    )


def configured_metrics(config: CheckConfig, data: ImageSet) -> dict[str, Metric]:
    """The metrics of a check, fit for the size of the images."""
    return {name: configured_metric(name, data.images.shape[2:]) for name in config.chosen_metrics}


def configured_metric(name: str, size: torch.Size) -> Metric:
    """A metric of the table; HOG cells shrink from 16 pixels so that at least seven fit along a small image."""
    metric = get_metric(name)
    if isinstance(metric.measure, HOGCorrelation):
        cell = max(1, min(metric.measure.cell_size, min(size) // 7))
        return replace(metric, measure=replace(metric.measure, cell_size=cell))
    return metric


def _labels(data: ImageSet) -> Tensor:
    assert data.labels is not None, f"{data.name} has no labels"
    return data.labels


def _evenly(pool: ImageSet, count: int) -> ImageSet:
    """The first images of every class in turn, sorted by class, until there are `count`."""
    labels = _labels(pool).tolist()
    seen: dict[int, int] = {}
    turns = []
    for index, label in enumerate(labels):
        turns.append((seen.get(label, 0), label, index))
        seen[label] = seen.get(label, 0) + 1
    if count > len(turns):
        raise InvalidInput(f"{count} images were asked for, {pool.name} has {len(turns)}")
    chosen = sorted(turns)[:count]
    return pool.subset([index for _, _, index in sorted(chosen, key=lambda turn: (turn[1], turn[2]))])
