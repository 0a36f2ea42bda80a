"""From a configuration to its methods and metrics."""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from probatum.attributions import Black, Method, SmoothGrad, attribute, get_method
from probatum.attributions.base import MethodsLike
from probatum.data import ImageSet, Preprocessing
from probatum.engine import prepare_with
from probatum.errors import InvalidInput
from probatum.experiments.build.model import untrained
from probatum.experiments.build.subject import Subject
from probatum.experiments.config import DEFAULT_METHODS, CheckConfig
from probatum.experiments.options import SHORT, methods_with_options, set_fields
from probatum.experiments.refusals import Refusals, fitting_methods, refusals
from probatum.metrics import HOGCorrelation, Metric, get_metric
from probatum.models import ModelSpec
from probatum.randomization import Smoothing, preset

FOR_TRANSFORMERS = "conservative-propagation"


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
    smooths = preset(config.preset).smoothing is not None
    baseline = Black(preprocessing.black) if config.baseline == "black" else config.baseline
    given: dict[str, Any] = {"layer": config.layer, "layout": config.layout, "baseline": baseline}
    given |= {"steps": config.steps, "tolerance": config.tolerance, "ceiling": config.ceiling}
    given["composite"] = config.composite
    usual: dict[str, Any] = {"layer": spec.grad_cam_layer}
    # A preset that smooths has noise samples of its own, whatever the methods have.
    (usual if smooths else given)["samples"] = config.samples
    chosen = methods_with_options(config.methods if methods is None else methods, given, usual)
    return {name: _as_the_preset_says(config, method) for name, method in chosen.items()}


def _as_the_preset_says(config: CheckConfig, method: Method) -> Method:
    """A method itself, or smoothed where the preset smooths all of them."""
    smoothing = preset(config.preset).smoothing
    if smoothing is None:
        return method
    return smoothed(method, replace(smoothing, samples=config.samples or smoothing.samples))


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


def rehearse(
    config: CheckConfig, spec: ModelSpec, methods: dict[str, Method], image: Tensor, target: int | None = None
) -> None:
    """Explains one image by an untrained network, so that an option that does not fit is found before the training."""
    prepared = prepare_with(untrained(config, spec).to(image.device), config.compute, example=image)
    if config.on_refused == "skip":
        fitting_methods(methods, prepared, image, target or 0, say=None)
        return
    short = {name: set_fields(method, SHORT)[0] for name, method in methods.items()}
    attribute(prepared, image, target or 0, short)


def methods_that_fit(
    config: CheckConfig,
    methods: dict[str, Method],
    subject: Subject,
    say: Callable[[str], None] | None = None,
) -> tuple[dict[str, Method], Refusals]:
    """The methods that a model can have, and the others if they may be skipped: see `fitting_methods`.

    Where Guided Backprop is skipped among the default methods, one that knows attention, norms and GELU joins them.
    """
    if config.on_refused == "stop":
        return methods, ()
    prepared, target = subject.prepared(config.compute).of_images(slice(0, 1)), int(subject.targets[0])
    image = subject.data.images[:1]
    chosen, refused = fitting_methods(methods, prepared, image, target, say)
    if config.methods != DEFAULT_METHODS or "guided-backprop" not in dict(refused):
        return chosen, refused
    joining = for_transformers(config)
    if refusals(joining, prepared, image, target):
        return chosen, refused
    if say is not None:
        say(f"{FOR_TRANSFORMERS} takes the place of {', '.join(name for name, _ in refused)}")
    return joining | chosen, refused


def for_transformers(config: CheckConfig) -> dict[str, Method]:
    """The method that joins the default ones where those with rules for ReLUs are refused."""
    return {FOR_TRANSFORMERS: _as_the_preset_says(config, get_method(FOR_TRANSFORMERS))}


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
