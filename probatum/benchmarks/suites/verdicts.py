"""How far verdicts can be trusted: on known methods, under other images and randomizations, between metrics."""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from importlib.util import find_spec
from itertools import combinations
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from probatum.attributions import (
    EdgeDetector,
    Gradient,
    GuidedBackprop,
    InputXGradient,
    IntegratedGradients,
    SmoothGrad,
)
from probatum.benchmarks.agreement import rank_agreement, reliability
from probatum.benchmarks.config import BenchConfig
from probatum.benchmarks.contest import Arena
from probatum.benchmarks.known_maps import FixedMap, ImageItself, Noise
from probatum.benchmarks.record import OURS, SHARES, Entry
from probatum.benchmarks.suites.findings import Findings
from probatum.data import Preprocessing, load_dataset, load_photographs
from probatum.data.shipped import SHIPPED, shipped_photographs
from probatum.experiments.adversary import NoiseOfWeights
from probatum.experiments.build import configured_metric, load_or_train, preprocessing_of
from probatum.experiments.config import DEFAULT_METRICS, CheckConfig
from probatum.experiments.result import SanityResult
from probatum.experiments.sanity import sanity_check
from probatum.experiments.verdicts import INSENSITIVE, SENSITIVE, UNDECIDED, Judgement, judge
from probatum.metrics import Metric
from probatum.models import load_model, model_spec
from probatum.models.last_relu import last_relu, without_last_relu
from probatum.randomization import Randomizer, Reset, automatic_stages

INDEPENDENT = {"edges": EdgeDetector(), "image": ImageItself(), "fixed": FixedMap()}
DEPENDENT = {"weights": NoiseOfWeights()}
KNOWN = {**INDEPENDENT, **DEPENDENT}
TESTED = {
    "gradient": Gradient(),
    "smoothgrad": SmoothGrad(samples=10),
    "input-x-gradient": InputXGradient(),
    "integrated-gradients": IntegratedGradients(10),
    "guided-backprop": GuidedBackprop(),
}
_CHECKPOINTS = {"squeezenet1_0": "squeezenet1_0-deepcompressed.pth", "lite0": "tf_efficientnet_lite0.pth"}


@dataclass(frozen=True)
class Study:
    """How much is done.

    Args:
        images: in the pool of each network.
        trials: randomizations of the pool.
        drawn: images of a repetition.
        repetitions: checks of images and trials drawn from the pool.
        noise: repetitions with noise that is redrawn, on digits and on photographs.
        tested: by name, the methods under test.
        training: images that the small networks learn from.
    """

    images: int = 16
    trials: int = 3
    drawn: int = 10
    repetitions: int = 40
    noise: tuple[int, int] = (100, 4)
    tested: tuple[str, ...] = tuple(TESTED)
    training: int = 10_000


SHORT = Study()
LONG = Study(images=40, trials=10, drawn=20, repetitions=200, noise=(500, 20), training=60_000)
QUICK = Study(6, 2, 5, 3, (2, 1), ("gradient",), 200)


@dataclass(frozen=True)
class Network:
    """A network and the images that it is checked on."""

    title: str
    model: nn.Module
    images: Tensor
    photographs: bool


def run(config: BenchConfig, arena: Arena) -> Findings:
    """The study in minutes."""
    return measured(config, arena, QUICK if config.quick else SHORT)


def run_long(config: BenchConfig, arena: Arena) -> Findings:
    """The study with more images, randomizations and repetitions."""
    return measured(config, arena, QUICK if config.quick else LONG)


def measured(config: BenchConfig, arena: Arena, study: Study) -> Findings:
    """Judges known methods and those under test on each network, and counts what should not happen."""
    findings = Findings()
    for title, load in _networks(config, study).items():
        arena.progress(f"{title}: loading")
        network = load(arena.progress)
        if isinstance(network, str):
            findings.lines.append(f"{title} is left out: {network}")
            continue
        arena.progress(f"{title}: maps")
        result = _checked(network, KNOWN | {name: TESTED[name] for name in study.tested}, study.trials, config.seed)
        findings.entries += _known(network, result)
        findings.entries += _stability(network, result, study, config.seed)
        findings.entries += _metrics(network, result, study)
        arena.progress(f"{title}: noise")
        findings.entries.append(_noise(network, study, config.seed))
    findings.lines.append(
        "verdicts after all layers were drawn anew by their own initializers; of each network a pool of "
        f"{study.images} images and {study.trials} trials, repetitions of {study.drawn} images and {study.trials - 1} "
        "trials drawn from it"
    )
    return findings


def _checked(network: Network, methods: Mapping[str, object], trials: int, seed: int) -> SanityResult:
    """The check of all layers at once."""
    stages = automatic_stages(network.model, network.images)
    return sanity_check(
        network.model,
        network.images,
        methods=methods,
        metrics=_metric_table(network),
        randomizer=Randomizer(network.model, stages, Reset(), "full", seed),
        trials=trials,
        seed=seed,
    )


def _metric_table(network: Network) -> dict[str, Metric]:
    return {name: configured_metric(name, network.images.shape[2:]) for name in DEFAULT_METRICS}


def _known(network: Network, result: SanityResult) -> Iterator[Entry]:
    """Judges all methods, and counts false words on those whose verdict is known."""
    judgement = judge(result, controls=())
    for method, summary in judgement.summaries.items():
        scores = {verdict.metric: verdict.value for verdict in summary.verdicts if np.isfinite(verdict.value)}
        note = summary.word if summary.word != UNDECIDED else f"{summary.word}: {summary.reason}"
        yield Entry(network.title, OURS, SHARES + method, scores=scores, note=note)
    words = {method: summary.word for method, summary in judgement.summaries.items()}
    blind = _share(words[name] == SENSITIVE for name in INDEPENDENT)
    yield _value(network, "methods that never use the model, called sensitive", blind)
    yield _value(network, "a sensitive method, called insensitive", float(words["weights"] == INSENSITIVE))


def _stability(network: Network, result: SanityResult, study: Study, seed: int) -> Iterator[Entry]:
    """Judges other images and randomizations, and counts words that change."""
    generator = np.random.default_rng(seed)
    drawn: list[Judgement] = []
    for _ in range(study.repetitions):
        images = generator.choice(len(result.image_names), study.drawn, replace=False)
        trials = generator.choice(study.trials, max(1, study.trials - 1), replace=False)
        drawn.append(judge(_part(result, np.sort(images), np.sort(trials)), controls=()))
    words = {method: [judgement.summary(method).word for judgement in drawn] for method in result.methods}
    pairs = [set(pair) for found in words.values() for pair in combinations(found, 2)]
    opposite = _share(pair == {SENSITIVE, INSENSITIVE} for pair in pairs)
    yield _value(network, "verdicts that turn into their opposite", opposite)
    opposed = _share(_opposed(judgement, method) for judgement in drawn for method in result.methods)
    yield _value(network, "repetitions in which two metrics say opposite words", opposed)
    firm = _share(word != UNDECIDED for found in words.values() for word in found)
    yield _value(network, "repetitions that decide", firm)


def _metrics(network: Network, result: SanityResult, study: Study) -> Iterator[Entry]:
    """Measures how far images agree within a metric, and metrics with one another."""
    rows = [result.methods.index(name) for name in study.tested]
    live = np.where(result.live, result.scores, np.nan)[rows, :, -1]  # (method, metric, image, trial)
    ceilings = np.where(np.isfinite(result.ceiling), result.ceiling, 1.0)[rows]
    chances = np.where(np.isfinite(live), result.chance[rows, :, -1], np.nan)
    scores, chances = (_over_trials(each) for each in (live, chances))
    tables = {"raw": scores / ceilings, "calibrated": (scores - chances) / (ceilings - chances)}
    for name, table in tables.items():
        alphas = {metric: reliability(table[:, column]) for column, metric in enumerate(result.metrics)}
        yield Entry(network.title, OURS, f"Krippendorff's alpha over images, {name} shares", scores=alphas)
    for name, table in tables.items():
        agreement = rank_agreement(np.nanmean(table, axis=2).T)
        yield _value(network, f"rank correlation between metrics, {name} shares", agreement)
    without = judge(replace(result, chance=np.zeros_like(result.chance)), controls=())
    for name, judgement in (("without chance levels", without), ("with chance levels", judge(result, controls=()))):
        opposed = sum(_opposed(judgement, method) for method in study.tested)
        yield _value(network, f"methods with opposite words from two metrics, {name}", float(opposed))


def _noise(network: Network, study: Study, seed: int) -> Entry:
    """Counts how often noise that is redrawn at each call is undecided."""
    repetitions = study.noise[network.photographs]
    few = replace(network, images=network.images[: study.drawn])
    words = [
        judge(_checked(few, {"noise": Noise()}, study.trials, seed + number)).summary("noise").word
        for number in range(repetitions)
    ]
    undecided = _share(word == UNDECIDED for word in words)
    return _value(network, f"noise that is redrawn, left undecided ({repetitions} repetitions)", undecided)


def _value(network: Network, what: str, value: float) -> Entry:
    return Entry(network.title, OURS, what, scores={"value": value})


def _part(result: SanityResult, images: np.ndarray, trials: np.ndarray) -> SanityResult:
    """Some images and trials of a result."""
    return replace(
        result,
        image_names=tuple(result.image_names[image] for image in images),
        targets=tuple(result.targets[image] for image in images),
        scores=result.scores[:, :, :, images][..., trials],
        constant=result.constant[:, :, images][..., trials],
        ceiling=result.ceiling[:, :, images],
        chance=result.chance[:, :, :, images][..., trials],
    )


def _opposed(judgement: Judgement, method: str) -> bool:
    """True if two metrics say opposite words of a method."""
    words = {verdict.word for verdict in judgement.summary(method).verdicts}
    return {SENSITIVE, INSENSITIVE} <= words


def _over_trials(values: np.ndarray) -> np.ndarray:
    counts = np.isfinite(values).sum(axis=-1)
    means: np.ndarray = np.where(counts > 0, np.nansum(values, axis=-1) / np.maximum(counts, 1), np.nan)
    return means


def _share(found: Iterable[bool]) -> float:
    values = list(found)
    return sum(values) / len(values) if values else np.nan


Say = Callable[[str], None]


def _networks(config: BenchConfig, study: Study) -> dict[str, Callable[[Say], Network | str]]:
    """The networks by name; each is loaded, or says what is missing."""
    wanted = {
        "CNN on rendered digits": lambda say: _digits(config, study, "digits", say),
        "CNN on MNIST": lambda say: _digits(config, study, "mnist", say),
        "SqueezeNet 1.0": lambda say: _squeezenet(config, study),
        "EfficientNet-Lite0": lambda say: _lite0(config, study),
    }
    return dict(list(wanted.items())[:1]) if config.quick else wanted


def _digits(config: BenchConfig, study: Study, data: str, say: Say) -> Network | str:
    root = _data(config)
    if data == "mnist" and not (root and (root / "MNIST").is_dir()):
        return "the folder of data has no MNIST"
    place = str(root) if data == "mnist" else None
    device = config.chosen_device
    training = CheckConfig(data=data, data_dir=place, train_images=study.training, device=str(device), seed=config.seed)
    spec = model_spec("basic_cnn")
    model, _ = load_or_train(training, spec, lambda done, total, what: say(what))
    images = load_dataset(data, "test", study.images, place, config.seed).images
    title = f"CNN on {'MNIST' if data == 'mnist' else 'rendered digits'}"
    return Network(title, model.to(device), images.to(device), photographs=False)


def _squeezenet(config: BenchConfig, study: Study) -> Network | str:
    path = _checkpoint(config, "squeezenet1_0")
    if path is None:
        return f"the folder checkpoints beside that of the data has no {_CHECKPOINTS['squeezenet1_0']}"
    spec = model_spec("squeezenet1_0")
    model = load_model(spec.name, str(path)).eval()
    images = _photographs(config, study, preprocessing_of(spec))
    name = last_relu(model, images[:4])
    assert name is not None, "SqueezeNet ends in a ReLU"
    device = config.chosen_device
    return Network("SqueezeNet 1.0", without_last_relu(model, name).to(device), images.to(device), photographs=True)


def _lite0(config: BenchConfig, study: Study) -> Network | str:
    path = _checkpoint(config, "lite0")
    if path is None:
        return f"the folder checkpoints beside that of the data has no {_CHECKPOINTS['lite0']}"
    if find_spec("timm") is None:
        return "timm is not installed; pip install 'probatum[timm]'"
    import timm

    model = timm.create_model("tf_efficientnet_lite0", pretrained=False)
    model.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    half = (0.5, 0.5, 0.5)
    images = _photographs(config, study, Preprocessing(half, half, 256, 224, interpolation="bicubic"))
    device = config.chosen_device
    return Network("EfficientNet-Lite0", model.eval().to(device), images.to(device), photographs=True)


def _photographs(config: BenchConfig, study: Study, preprocessing: Preprocessing) -> Tensor:
    """Those of the folder of data, or the few that the package carries."""
    root = _data(config)
    if root and (root / "imagenet-samples").is_dir():
        return load_photographs(root / "imagenet-samples", preprocessing, limit=study.images).images
    return shipped_photographs(preprocessing, min(study.images, len(SHIPPED))).images


def _data(config: BenchConfig) -> Path | None:
    place = config.data_dir or os.environ.get("PROBATUM_DATA")
    return Path(place) if place else None


def _checkpoint(config: BenchConfig, name: str) -> Path | None:
    root = _data(config)
    path = None if root is None else root.parent / "checkpoints" / _CHECKPOINTS[name]
    return path if path is not None and path.is_file() else None
