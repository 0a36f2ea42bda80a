"""How well IG-SG agrees with itself under another seed, against the gradients that it spends: nested beside joint."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from probatum.attributions import IntegratedGradients, Method, SmoothGrad, attribute
from probatum.benchmarks.config import BenchConfig, Subject, real_images
from probatum.benchmarks.contest import Arena
from probatum.benchmarks.record import OURS, Entry
from probatum.benchmarks.suites.findings import Findings
from probatum.experiments.build import load_or_train
from probatum.experiments.config import CheckConfig
from probatum.maps import get_reduction
from probatum.metrics import get_metric
from probatum.models import load_model, model_spec

DISTANCE = "relative L2"
CORRELATIONS = {"Spearman": "spearman", "Spearman of absolute values": "spearman-abs"}


@dataclass(frozen=True)
class EstimatorCase:
    """A model with its images, and how many samples each estimator takes.

    Args:
        model: by name.
        images: explained.
        nested: noise samples, each with a path of `steps`.
        joint: noise samples, each with one point.
        steps: of a path.
        compared: the nested samples whose agreement the joint estimator is to reach.
    """

    model: str
    images: int
    nested: tuple[int, ...]
    joint: tuple[int, ...]
    steps: int = 50
    compared: int = 25


CASES = (
    EstimatorCase("squeezenet1_0", 3, (5, 10, 25), (12, 25, 50, 100, 200)),
    EstimatorCase("basic_cnn", 10, (5, 10, 25, 50), (12, 25, 50, 100, 200, 400)),
)
QUICK_CASES = tuple(
    EstimatorCase(model, 2, (2, 4), (4, 8, 16), steps=4, compared=4) for model in ("squeezenet1_0", "basic_cnn")
)


def run(config: BenchConfig, arena: Arena) -> Findings:
    """Measures both estimators on photographs and on digits."""
    findings = Findings()
    for case in chosen(config):
        subject = trained_subject(config, case, arena)
        title = f"IG-SG, {subject}"
        found: dict[str, list[Entry]] = {"nested": [], "joint": []}
        for estimator, counts in (("nested", case.nested), ("joint", case.joint)):
            for samples in counts:
                arena.progress(f"{title}: {estimator}, {samples} samples")
                method = _method(estimator, samples, case.steps)
                points = samples * (case.steps if estimator == "nested" else 1)
                words = f"{samples} × {case.steps}" if estimator == "nested" else str(samples)
                scores = agreement(subject, method, config.seed)
                entry = Entry(title, OURS, f"{estimator} {words}", gradients=points, scores=scores)
                found[estimator].append(entry)
        findings.entries += [*found["nested"], *found["joint"]]
        aim = found["nested"][case.nested.index(case.compared)]
        for name in (DISTANCE, *CORRELATIONS):
            needed = gradients_for(aim.scores[name], found["joint"], name)
            words = f"about {needed:.0f}" if needed is not None else "another number of"
            findings.lines.append(
                f"{title}: {name} of nested {case.compared} × {case.steps} ({aim.gradients} gradients) is "
                f"{aim.scores[name]:.3f}; the joint estimator reaches it with {words} gradients"
                + ("" if needed is not None else " than were tried")
            )
        if config.weights == "none" and subject.spec.channels == 3:
            findings.lines.append(f"{subject.spec.title} has random weights; give --weights for those of a trained one")
    findings.lines.append("agreement is between two seeds, the median of the images; gradients are those of one map")
    return findings


def chosen(config: BenchConfig) -> list[EstimatorCase]:
    """Both cases; a model that is named takes the place of the one for such images."""
    photographs, digits = QUICK_CASES if config.quick else CASES
    if config.model is None:
        return [photographs, digits]
    if model_spec(config.model).channels == 1:
        return [replace(digits, model=config.model)]
    return [replace(photographs, model=config.model), digits]


def agreement(subject: Subject, method: Method, seed: int) -> dict[str, float]:
    """Distance and correlations of the maps of two seeds, the median of the images."""
    pair = [
        attribute(subject.prepared, subject.images, subject.targets, [method], seed=seed + number)[method.title]
        for number in range(2)
    ]
    found = {DISTANCE: relative_distance(*pair)}
    for name, key in CORRELATIONS.items():
        metric = get_metric(key)
        found[name] = metric(*(get_reduction(metric.reduction)(maps) for maps in pair))
    return {name: float(values.double().median()) for name, values in found.items()}


def relative_distance(a: Tensor, b: Tensor) -> Tensor:
    """‖a − b‖ / ‖(a + b) / 2‖ of each pair of maps, (batch,)."""
    apart: Tensor = torch.linalg.vector_norm((a - b).flatten(1), dim=1)
    size: Tensor = torch.linalg.vector_norm(((a + b) / 2).flatten(1), dim=1)
    return apart / size


def gradients_for(score: float, entries: Sequence[Entry], name: str) -> float | None:
    """The gradients at which a curve of entries reaches a score, between its points in the logarithm; None outside."""
    points = [(math.log(entry.gradients), entry.scores[name]) for entry in entries if entry.gradients]
    points.sort(key=lambda point: point[1])
    logs, scores = zip(*points, strict=True)
    if not scores[0] <= score <= scores[-1]:
        return None
    return math.exp(float(np.interp(score, scores, logs)))


def _method(estimator: str, samples: int, steps: int) -> Method:
    if estimator == "joint":
        return SmoothGrad(IntegratedGradients(), samples=samples, estimator="joint")
    return SmoothGrad(IntegratedGradients(steps), samples=samples)


def trained_subject(config: BenchConfig, case: EstimatorCase, arena: Arena) -> Subject:
    """A trained model where there is one: the small network is trained, others take the weights that are given."""
    name = case.model
    spec = model_spec(name)
    device = config.chosen_device
    if spec.channels == 1:
        digits = "mnist" if config.data_dir and (Path(config.data_dir) / "MNIST").is_dir() else "digits"
        training = CheckConfig(
            data=digits,
            data_dir=config.data_dir,
            model=name,
            train_images=500 if config.quick else 5_000,
            device=str(device),
            seed=config.seed,
        )
        model, _ = load_or_train(training, spec, lambda done, total, what: arena.progress(what))
    else:
        model = load_model(name, config.weights_of(name), seed=config.seed)
    model = model.eval().requires_grad_(False).to(device)
    images = real_images(spec, config.one_batch or case.images, config.data_dir, small=config.quick).images.to(device)
    with torch.no_grad():
        return Subject(spec, model, images, model(images).argmax(1))
