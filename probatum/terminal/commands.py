"""What the commands do: compute, write into a folder, and show. Imported by a command when it starts its work."""

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from probatum.benchmarks import (
    USUAL,
    BenchConfig,
    Record,
    figure,
    get_suite,
    markdown,
    protocol,
    run_suite,
    write_records,
)
from probatum.benchmarks import table as bench_table
from probatum.data import DATASETS, load_dataset
from probatum.errors import InvalidInput, ModelError, UnknownName
from probatum.experiments import CheckConfig, compare_presets, new_folder, run_check
from probatum.experiments.build import choose_device
from probatum.experiments.compare import is_comparison, read_comparison, read_comparison_config
from probatum.experiments.explain import Request, explain, is_explanation, read_request
from probatum.experiments.limits import check_seed
from probatum.experiments.run_folder import read_config
from probatum.experiments.text.run import TextConfig, explain_sentences
from probatum.models import (
    MODELS,
    PAPER_MNIST,
    QUICK_DIGITS,
    TrainingConfig,
    load_model,
    model_spec,
    save_checkpoint,
    train,
)
from probatum.report import save_figure
from probatum.report.comparison import draw_comparison
from probatum.report.html import write_report
from probatum.report.run import draw_explanation, draw_run
from probatum.report.sentences import draw_sentences, sentence_maps
from probatum.report.tokens import tokens_text
from probatum.reproductions import (
    ReproductionConfig,
    asked_of,
    is_reproduction,
    read_reproduction,
    redraw_reproduction,
    run_reproduction,
)
from probatum.runs.ranks import Ranks, joined_ranks
from probatum.runs.resume import is_same_run
from probatum.terminal.meter import Meter, metered
from probatum.terminal.output import show, show_table
from probatum.terminal.summaries import show_check, show_findings, show_skipped, show_verdicts


def run_checks(config: CheckConfig, presets: Sequence[str], folder: Path, *, named: bool = True) -> None:
    """Runs one check or a comparison, in all processes that torchrun started; the first one alone speaks.

    A folder that was not named by the user gives way to one that is free or holds this run, unfinished.
    """
    several = {"presets": list(presets)} if len(presets) > 1 else {}
    config = replace(config, preset=presets[0])
    with joined_ranks() as ranks:
        if not named:
            folder = Path(ranks.broadcast(str(free_folder(folder, {"config": config.to_json(), **several}))))
        with metered() if ranks.is_main else nullcontext() as meter:
            if several:
                _run_presets(config, presets, folder, ranks, meter)
            else:
                _run_check(config, folder, ranks, meter)


def _run_check(config: CheckConfig, folder: Path, ranks: Ranks, meter: Meter | None) -> None:
    drawn: list[Path] = []
    setup, result = run_check(
        config,
        folder,
        meter,
        ranks=ranks,
        draw=lambda folder: drawn.extend(draw_run(folder, meter.drawing if meter else None)),
        say=meter.say if meter else None,
    )
    if ranks.is_main:
        show_check(setup, result)
        show(f"report.html, {len(drawn) - 1} figures, results.csv and maps are in {folder}")


def _run_presets(config: CheckConfig, presets: Sequence[str], folder: Path, ranks: Ranks, meter: Meter | None) -> None:
    drawn: list[Path] = []
    comparison = compare_presets(
        config,
        presets,
        folder,
        meter,
        ranks=ranks,
        draw=lambda folder: drawn.extend(draw_comparison(folder, meter.drawing if meter else None)),
        say=meter.say if meter else None,
    )
    if ranks.is_main:
        count = len(drawn) - len(presets) - 1  # each preset's run has a page among its files, and the comparison one
        show(f"report.html, verdicts.csv, {count} figures and a run folder for each preset are in {folder}")
        show_verdicts(comparison)


def run_attribution(request: Request, folder: Path) -> None:
    """Computes attribution maps of images."""
    title = f"{model_spec(request.config.model).title}, seed {request.config.seed}"
    with metered() as meter:
        found = explain(
            request, folder, meter, draw=lambda found, folder: draw_explanation(found, folder, title), say=meter.say
        )
    rows = zip(found.image_names, found.class_names, found.targets, found.confidences, strict=True)
    cells = [(image, name, str(index), f"{confidence:.3f}") for image, name, index, confidence in rows]
    show_table("explained", ("image", "class", "index", "probability"), cells, numeric=2)
    show_skipped(found.skipped)
    show(f"report.html and the maps of {len(found.maps)} methods are in {folder}")


def reproduce(config: ReproductionConfig, folder: Path | None) -> None:
    """Reruns a paper's experiments."""
    folder = folder or free_folder(Path("runs") / f"{config.paper}-{config.preset}", asked_of(config))
    with metered() as meter:
        findings = run_reproduction(config, folder, meter, meter.say)
    show_findings(findings)
    show(f"report.html, figures, scorecard.md and all results are in {folder}")


def train_network(
    config: TrainingConfig,
    out: Path,
    *,
    data: str,
    data_dir: str | None,
    model: str,
    train_images: int | None,
    device: str,
) -> None:
    """Trains a small network and writes its best weights into a file."""
    small = [name for name, spec in MODELS.items() if spec.channels == 1]
    if model_spec(model).name not in small:
        raise InvalidInput(f"model {model!r} cannot be trained here; choose {' or '.join(small)}")
    if out.exists():
        raise InvalidInput(f"{out} exists already; choose another --out, or remove it yourself")
    chosen_device = choose_device(device)
    training_set = load_dataset(data, "train", train_images, data_dir, config.seed)
    test_set = load_dataset(data, "test", None, data_dir, config.seed)
    network = load_model(model, "none", len(DATASETS[data].class_names), config.seed).to(chosen_device)
    assert training_set.labels is not None
    assert test_set.labels is not None
    with metered() as meter:
        report = train(
            network,
            training_set.images,
            training_set.labels,
            test_set.images,
            test_set.labels,
            config,
            lambda done, total, _: meter(done, total, f"training {model}"),
        )
    save_checkpoint(network, out)
    rows = [(str(e.epoch), f"{e.loss:.4f}", f"{e.running_accuracy:.4f}", f"{e.accuracy:.4f}") for e in report.history]
    show_table(f"{model} on {data}", ("epoch", "loss", "training accuracy", "test accuracy"), rows, numeric=3)
    show(f"best test accuracy {report.best_accuracy:.4f}, weights in {out}")
    if report.reached_target is False:
        raise ModelError(
            f"the target accuracy {config.target_accuracy} was not reached; give more --epochs or --train-images"
        )


def training_config(preset: str, **changes: Any) -> TrainingConfig:
    """The hyperparameters of a training preset, where they are not given."""
    check_seed(changes["seed"])
    presets = {"quick": QUICK_DIGITS, "paper": PAPER_MNIST}
    if preset not in presets:
        raise UnknownName("training preset", preset, presets)
    return replace(presets[preset], **{name: value for name, value in changes.items() if value is not None})


def benchmark(config: BenchConfig, suites: Sequence[str], folder: Path | None) -> None:
    """Runs suites of benchmarks; those that are finished stay, whatever ends the rest."""
    choose_device(config.device)  # before anything else, so that a missing one is said at once
    chosen = [get_suite(name) for name in suites or USUAL]
    minutes, records = sum(suite.minutes for suite in chosen), list[Record]()
    folder = folder or free_folder(Path("runs") / "bench")
    ended: BaseException | None = None
    with new_folder(folder) as scratch, metered() as meter:
        try:
            for number, suite in enumerate(chosen):
                done = sum(earlier.minutes for earlier in chosen[:number])
                progress = partial(_report_suite, meter, done, minutes, suite.name)
                records.append(run_suite(suite.name, config, progress))
                write_records(records, scratch / "record.json")
                (scratch / "table.md").write_text(markdown(records), encoding="utf-8")
                if records[-1].entries:
                    save_figure(figure(records[-1]), scratch / f"{suite.name}.png")
        except BaseException as error:  # what is measured stays, whatever ends the rest
            if not records:
                raise
            ended = error
    for record in records:
        show_table(f"{record.suite}: {record.title}", *bench_table(record))
        for line in record.lines:
            show(line)
    show(protocol(records[-1]))
    show(f"record.json, table.md and the figures of {len(records)} of {len(chosen)} suites are in {folder}")
    if ended is not None:
        raise ended


def explain_text(config: TextConfig, folder: Path) -> None:
    """Scores the tokens of sentences."""
    with new_folder(folder) as scratch, metered() as meter:
        found = explain_sentences(config, scratch, meter)
        draw_sentences(found, scratch, f"{config.model}, baseline {config.baseline}, seed {config.seed}")
    for title, (tokens,) in sentence_maps(found).items():
        show(title)
        show(tokens_text(tokens))
    show(f"tokens.html, tokens.png and tokens.csv are in {folder}")


def draw_again(run: Path) -> None:
    """Draws the figures and the page of a run from its stored results."""
    if is_reproduction(run):
        show_findings(redraw_reproduction(run))
        return
    if is_explanation(run):
        paths = [write_report(run)]
    elif is_comparison(run):
        paths = draw_comparison(run)
        show_verdicts(read_comparison(run))
    else:
        paths = draw_run(run)
    for path in paths:
        show(str(path))


def run_again(run: Path, folder: Path) -> None:
    """Computes a run from its config.json."""
    if is_reproduction(run):
        reproduce(read_reproduction(run), folder)
    elif is_explanation(run):
        run_attribution(read_request(run), folder)
    elif is_comparison(run):
        run_checks(*read_comparison_config(run), folder)
    else:
        config = read_config(run)
        run_checks(config, [config.preset], folder)


def _report_suite(meter: Meter, done: int, total: int, suite: str, what: str) -> None:
    """Passes on what a suite of benchmarks is doing."""
    meter(done, total, f"{suite}: {what}")


def suitable_network(data: str, model: str | None, weights: str | None) -> tuple[str, str]:
    """The model and weights that suit the data: a small trained network for a data set, ResNet-18 for photographs."""
    model = model or ("basic_cnn" if data in DATASETS else "resnet18")
    small = model_spec(model).channels == 1
    return model, weights or ("train" if small else "default")


def free_folder(folder: Path, asked: dict[str, Any] | None = None) -> Path:
    """The folder, or the first of folder-2, ... that does not exist or holds the unfinished run of what is asked."""
    candidate, number = folder, 2
    while candidate.exists() and (asked is None or not is_same_run(candidate, asked)):
        candidate, number = folder.with_name(f"{folder.name}-{number}"), number + 1
    return candidate
