"""Work of the commands: compute, write into a folder, and show. Imported when a command starts its work."""

import re
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, TypeVar

import torch

from probatum.benchmarks import USUAL, BenchConfig
from probatum.benchmarks.compare import read_stored
from probatum.benchmarks.kind import BenchRequest
from probatum.benchmarks.roofline import ROOFLINE
from probatum.conformance import NotConforming, check_explainer
from probatum.data import DATASETS, load_dataset
from probatum.data.download import download
from probatum.errors import InvalidInput, ModelError, UnknownName
from probatum.experiments import CheckConfig
from probatum.experiments.build import choose_device
from probatum.experiments.compare import ComparisonRequest
from probatum.experiments.explain import Request as AttributionRequest
from probatum.experiments.limits import check_seed
from probatum.experiments.localization.run import LocalizationRequest
from probatum.experiments.localization.work import LEAST_CONFIDENCE
from probatum.experiments.model_options import recorded_weights
from probatum.experiments.run_pair import PairRequest
from probatum.experiments.sanity import DEFAULT_PRESET
from probatum.experiments.text.run import TextConfig
from probatum.models import (
    PAPER_MNIST,
    QUICK_DIGITS,
    TrainingConfig,
    load_model,
    save_checkpoint,
    train,
)
from probatum.models.sources.small import SMALL
from probatum.reproductions import ReproductionConfig
from probatum.reproductions.yona2021.pairs import DECIDING, OTHER
from probatum.runs.cache import cached_weights, unfinished_file
from probatum.runs.kinds import Kind, Request, execute
from probatum.runs.ranks import ALONE, Ranks, joined_ranks
from probatum.runs.remote import opened
from probatum.runs.resume import is_same_run
from probatum.terminal.kinds import (
    ATTRIBUTION,
    BENCHMARK,
    CHECK,
    COMPARISON,
    LOCALIZATION,
    REPRODUCTION,
    RUN_PAIR,
    TEXT_ATTRIBUTION,
    kind_of,
)
from probatum.terminal.meter import metered
from probatum.terminal.options import NetworkOptions, ReportOptions, TrainingOptions, numbers
from probatum.terminal.output import show, show_json, show_table

Asked = TypeVar("Asked", bound=Request)
Result = TypeVar("Result")

SHOWN = ReportOptions()
FASTER = "fewer --images, --samples, --steps or --methods make it shorter"


def run(
    kind: Kind[Asked, Result],
    request: Asked,
    folder: str | None,
    default: str = "",
    report: ReportOptions = SHOWN,
    weights: str | None = None,
) -> None:
    """Makes a run, or what is left of it, in all processes that torchrun started, and shows it.

    Args:
        kind: of the run.
        request: what it is asked to do.
        folder: of the user's choice; None takes one below `runs/` that is free or holds this run, unfinished.
        default: the name of that one.
        report: what is printed.
        weights: hash that those of the model must have, or None.
    """
    with joined_ranks() as ranks:
        chosen = ranks.device(choose_device(request.device))
        if folder is None:
            folder = ranks.broadcast(str(_free(Path("runs") / default, kind.asked(request))))
        with opened(folder, ranks.size) as path:
            _run(kind, request, path, chosen, ranks, report, weights)
            if ranks.is_main:
                show_run(kind, path, report)


def _run(
    kind: Kind[Asked, Result],
    request: Asked,
    folder: Path,
    device: torch.device,
    ranks: Ranks,
    report: ReportOptions,
    weights: str | None,
) -> None:
    """Makes a run and shows how far it is."""
    with (
        metered(
            FASTER if kind.name in (CHECK.name, COMPARISON.name, LOCALIZATION.name) else "",
            report.quiet,
            in_parts=kind.name == REPRODUCTION.name,
        )
        if ranks.is_main
        else nullcontext() as meter
    ):
        drawing = meter.drawing if meter is not None else None
        execute(
            kind,
            request,
            folder,
            device,
            progress=meter,
            ranks=ranks,
            draw=lambda folder: list(kind.draw(folder, drawing, ranks)),
            say=meter.say if meter is not None else None,
            weights=weights,
        )


def show_run(kind: Kind[Any, Any], folder: Path, report: ReportOptions = SHOWN) -> None:
    """Shows a finished run as asked for.

    Raises:
        ModelError: its results cannot be trusted.
    """
    if report.as_json:
        show_json({"kind": kind.name, "folder": str(folder), **kind.document(folder)})
    elif not report.quiet:
        kind.show(folder)
    kind.verify(folder)


def run_checks(
    config: CheckConfig,
    presets: Sequence[str],
    least_confidence: float | None,
    folder: str | None,
    default: str,
    report: ReportOptions,
) -> None:
    """Runs one check, or compares those of several presets."""
    localizes = presets == (LOCALIZATION.name,)
    if least_confidence is not None and not localizes:
        raise InvalidInput(f"--least-confidence goes with --preset {LOCALIZATION.name} alone")
    if localizes:
        least = LEAST_CONFIDENCE if least_confidence is None else least_confidence
        name = f"{LOCALIZATION.name}-{default.partition('-')[2]}"
        run(LOCALIZATION, LocalizationRequest(config, least), folder, name, report)
    elif len(presets) > 1:
        request = ComparisonRequest(replace(config, preset=presets[0]), tuple(presets))
        run(COMPARISON, request, folder, default, report)
    else:
        run(CHECK, replace(config, preset=presets[0]), folder, default, report)


def randomization_of(presets: Sequence[str]) -> str:
    """The first randomization preset of those that are asked for; that of the default where localization is alone.

    Raises:
        InvalidInput: localization and a randomization are asked for together.
    """
    if LOCALIZATION.name in presets and len(presets) > 1:
        raise InvalidInput(
            "localization randomizes nothing, so its verdicts fit no table with those of other presets; give it alone"
        )
    return DEFAULT_PRESET if LOCALIZATION.name in presets else presets[0]


def run_attribution(request: AttributionRequest, folder: str, report: ReportOptions) -> None:
    """Computes attribution maps of images."""
    run(ATTRIBUTION, request, folder, report=report)


def explain_text(config: TextConfig, folder: str, report: ReportOptions) -> None:
    """Scores the tokens of sentences."""
    run(TEXT_ATTRIBUTION, config, folder, report=report)


def reproduce(config: ReproductionConfig, folder: str | None, report: ReportOptions) -> None:
    """Reruns a paper's experiments."""
    run(REPRODUCTION, config, folder, f"{config.paper}-{config.preset}", report)


def benchmark(
    config: BenchConfig, suites: Sequence[str], compare: str | None, folder: str | None, report: ReportOptions
) -> None:
    """Runs suites of benchmarks; those that are finished stay, whatever ends the rest.

    Where no suite is named, these are the ones of the stored record to compare with, or `roofline` for methods.
    """
    if not suites and compare is not None:
        suites = [record.suite for record in read_stored(compare)]
    usual = (ROOFLINE,) if config.methods else USUAL
    run(BENCHMARK, BenchRequest(config, tuple(suites or usual), compare), folder, "bench", report)


def draw_again(run: str) -> None:
    """Draws the figures and the page of a run from its stored results, and shows them."""
    with opened(run) as folder:
        kind = kind_of(folder)
        for path in kind.draw(folder, None, ALONE):
            show(str(path))
        show_run(kind, folder)


def run_again(stored: str, out: str, report: ReportOptions) -> None:
    """Computes a run from its config.json."""
    with opened(stored) as folder:
        kind = kind_of(folder)
        request, weights = kind.request(folder), recorded_weights(folder)
    run(kind, request, out, report=report, weights=weights)


def compare_runs(first: str, second: str, out: str, report: ReportOptions) -> None:
    """Puts two checks side by side."""
    run(RUN_PAIR, PairRequest(first, second), out, report=report)


def download_data(names: Sequence[str], data_dir: Path, report: ReportOptions) -> None:
    """Downloads data sets; of Tiny-ImageNet the ten classes that the reproductions use."""
    with metered(quiet=report.quiet) as meter:
        places = download(names, data_dir, classes=(*DECIDING, *OTHER), progress=meter)
    found = dict(zip(names, map(str, places), strict=True))
    if report.as_json:
        show_json({"kind": "download", "folders": found})
    elif not report.quiet:
        for name, place in found.items():
            show(f"{name} is in {place}")


def train_network(
    options: TrainingOptions,
    seed: int,
    out: Path,
    *,
    data: str,
    data_dir: str | None,
    device: str,
    report: ReportOptions,
) -> None:
    """Trains a small network and writes its best weights into a file."""
    config, model = training_config(options, seed), options.model
    if model not in SMALL:
        raise InvalidInput(f"model {model!r} cannot be trained here; choose {' or '.join(SMALL)}")
    if out.exists():
        raise InvalidInput(f"{out} exists already; choose another --out, or remove it yourself")
    chosen_device = choose_device(device)
    training_set = load_dataset(data, "train", options.train_images, data_dir, config.seed)
    test_set = load_dataset(data, "test", None, data_dir, config.seed)
    network = load_model(model, "none", len(DATASETS[data].class_names), config.seed).to(chosen_device)
    assert training_set.labels is not None
    assert test_set.labels is not None
    examples = (training_set.images, training_set.labels, test_set.images, test_set.labels)
    unfinished = unfinished_file(cached_weights([network, config, *examples], chosen_device))
    with metered(quiet=report.quiet) as meter:
        training = train(
            network,
            *examples,
            config,
            lambda done, total, _: meter(done, total, f"training {model}"),
            unfinished,
        )
    save_checkpoint(network, out)
    unfinished.unlink(missing_ok=True)
    rows = [(str(e.epoch), f"{e.loss:.4f}", f"{e.running_accuracy:.4f}", f"{e.accuracy:.4f}") for e in training.history]
    if report.as_json:
        show_json({"kind": "training", "file": str(out), **asdict(training)})
    elif not report.quiet:
        show_table(f"{model} on {data}", ("epoch", "loss", "training accuracy", "test accuracy"), rows, numeric=3)
        show(f"best test accuracy {training.best_accuracy:.4f}, weights in {out}")
    if training.reached_target is False:
        raise ModelError(
            f"the target accuracy {config.target_accuracy} was not reached; give more --epochs or --train-images"
        )


def training_config(options: TrainingOptions, seed: int) -> TrainingConfig:
    """The hyperparameters of a training preset, where they are not given."""
    check_seed(seed)
    presets = {"quick": QUICK_DIGITS, "paper": PAPER_MNIST}
    if options.preset not in presets:
        raise UnknownName("training preset", options.preset, presets)
    names = ("epochs", "batch_size", "learning_rate", "target_accuracy")
    given = {name: value for name in names if (value := getattr(options, name)) is not None}
    return replace(presets[options.preset], seed=seed, **given)


def chosen_network(options: NetworkOptions, data: str) -> dict[str, Any]:
    """The settings of the model, which suits the data where none is named.

    That is a small trained network for a data set, and ResNet-18 for photographs.
    """
    model = options.model or ("basic_cnn" if data in DATASETS else "resnet18")
    return {
        "model": model,
        "weights": options.weights or ("train" if model in SMALL else "default"),
        "mean": options.mean and numbers(options.mean),
        "std": options.std and numbers(options.std),
    }


def folder_name(*parts: str) -> str:
    """The name of a run's folder below `runs/`."""
    return re.sub(r"[^\w.+-]+", "-", "-".join(part.rpartition("/")[2] for part in parts))


def _free(folder: Path, asked: dict[str, Any]) -> Path:
    """The folder, or the first of folder-2, ... that does not exist or holds the unfinished run of what is asked."""
    candidate, number = folder, 2
    while candidate.exists() and not is_same_run(candidate, asked):
        candidate, number = folder.with_name(f"{folder.name}-{number}"), number + 1
    return candidate


def conform(explainers: Sequence[str], laws: Sequence[str], as_json: bool) -> None:
    """Checks explainers by name against the laws and shows what came; NotConforming where one breaks a law."""
    found = [check_explainer(name, laws=laws or None, on_fail="report") for name in explainers]
    if as_json:
        show_json([each.to_json() for each in found])
    else:
        for each in found:
            table = each.table()
            show_table(table.title, table.columns, [[str(cell) for cell in row] for row in table.rows])
    if broken := [f"{each.title}: {', '.join(law.law for law in each.broken)}" for each in found if each.broken]:
        raise NotConforming(f"laws are broken by {'; '.join(broken)}")
