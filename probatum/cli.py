"""The terminal: each command reads options, builds a configuration, calls one function and writes what it returns."""

import sys
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

import probatum
from probatum.benchmarks import (
    SUITES,
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
from probatum.errors import InvalidInput, ModelError
from probatum.experiments import (
    CheckConfig,
    compare_presets,
    new_folder,
    run_check,
)
from probatum.experiments.build import choose_device
from probatum.experiments.compare import is_comparison, read_comparison, read_comparison_config
from probatum.experiments.config import DEFAULT_METRICS, PAPER_METHODS
from probatum.experiments.explain import Request, explain, is_explanation, read_request
from probatum.experiments.run_folder import read_config
from probatum.experiments.text.run import USUAL_METHODS, TextConfig, explain_sentences, read_sentences
from probatum.models import PAPER_MNIST, QUICK_DIGITS, load_model, model_spec, save_checkpoint
from probatum.models import train as train_model
from probatum.randomization import BATCH_NORM, INITIALISERS, ORDERS, PRESETS
from probatum.report import save_figure
from probatum.report.comparison import draw_comparison
from probatum.report.html import write_report
from probatum.report.run import draw_explanation, draw_run
from probatum.report.sentences import draw_sentences, sentence_maps
from probatum.report.tokens import tokens_text
from probatum.reproductions import (
    PAPERS,
    ReproductionConfig,
    asked_of,
    is_reproduction,
    read_reproduction,
    redraw_reproduction,
    run_reproduction,
)
from probatum.runs.ranks import Ranks, joined_ranks
from probatum.runs.resume import is_same_run
from probatum.terminal import (
    Kind,
    Meter,
    keep_freed_memory,
    metered,
    one_line,
    show,
    show_check,
    show_findings,
    show_skipped,
    show_table,
    show_verdicts,
    stoppable,
    table_of,
)

app = typer.Typer(
    name="probatum",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Attribution maps for PyTorch classifiers, and the sanity checks that tell which of them deserve trust.",
    context_settings={"help_option_names": ["-h", "--help"]},
)


_ALL_METHODS = ",".join(PAPER_METHODS)
_SUITES = ", ".join(f"{suite.name} ({suite.minutes} min)" for suite in SUITES.values())
_TEXT_METHODS = ",".join(USUAL_METHODS)
_USUAL_METRICS = ",".join(DEFAULT_METRICS)


Model = Annotated[str | None, typer.Option(help="Model by name: basic_cnn, mlp, or any torchvision classifier.")]
Weights = Annotated[
    str | None, typer.Option(help="'train' (small networks), 'default' (published), 'none' (random), or a checkpoint.")
]
DataDir = Annotated[str | None, typer.Option(help="Folder that holds MNIST/raw or FashionMNIST/raw.")]
Methods = Annotated[str, typer.Option(help="Methods by name, separated by commas; see `probatum list methods`.")]
Layer = Annotated[str | None, typer.Option(help="Grad-CAM's layer by dotted path; else the model's usual one.")]
Samples = Annotated[
    int | None, typer.Option(help="Noise samples of SmoothGrad and the SHAP methods; else the papers' numbers.")
]
Steps = Annotated[int | None, typer.Option(help="Steps of Integrated Gradients; else the papers' number.")]
BaselineName = Annotated[
    str, typer.Option(help="Baseline of Integrated Gradients, DeepLIFT and SHAP: zero, black, blurred or mean.")
]
Seed = Annotated[int, typer.Option(help="Seed of everything random.")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, ...")]
PrecisionName = Annotated[str, typer.Option("--precision", help="float32, tf32 (CUDA), bfloat16 or float64.")]
ChannelsLast = Annotated[
    bool, typer.Option("--channels-last", help="Compute with channels last: faster, another order.")
]
FoldBatchNorm = Annotated[bool, typer.Option("--fold-batch-norm", help="Fold batch norm into convolutions: faster.")]
MemoryBudget = Annotated[str | None, typer.Option(help="Memory for activations, such as '2 GiB'.")]
OnError = Annotated[str, typer.Option(help="Of a photograph that cannot be read: stop, or skip it.")]


def _show_version(wanted: bool | None) -> None:
    if wanted:
        show(f"probatum {probatum.__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool | None, typer.Option("--version", help="Show the version and stop.", is_eager=True, callback=_show_version)
    ] = None,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    pass


@app.command(
    epilog="Example: probatum check --model squeezenet1_0 --weights FILE --data FOLDER --images 5 --samples 10"
)
def check(
    data: Annotated[
        str, typer.Option(help="Data set (digits, mnist, fashion-mnist), folder, image or .txt list.")
    ] = "digits",
    data_dir: DataDir = None,
    images: Annotated[int, typer.Option(help="How many images to explain.")] = 10,
    model: Model = None,
    weights: Weights = None,
    train_images: Annotated[int, typer.Option(help="How many training images 'train' uses.")] = 10_000,
    methods: Methods = _ALL_METHODS,
    metrics: Annotated[
        str | None,
        typer.Option(help=f"Metrics by name, separated by commas; else the preset's, or {_USUAL_METRICS}."),
    ] = None,
    preset: Annotated[
        str, typer.Option(help=f"Randomization protocol, or several, separated by commas: {', '.join(PRESETS)}.")
    ] = "adebayo",
    order: Annotated[str | None, typer.Option(help=f"Instead of the preset's: {', '.join(ORDERS)}.")] = None,
    initialiser: Annotated[
        str | None, typer.Option(help=f"Instead of the preset's: {', '.join(INITIALISERS)}.")
    ] = None,
    batch_norm: Annotated[str | None, typer.Option(help=f"Instead of the preset's: {', '.join(BATCH_NORM)}.")] = None,
    trials: Annotated[int | None, typer.Option(help="Independent randomizations, instead of the preset's.")] = None,
    layer: Layer = None,
    samples: Samples = None,
    steps: Steps = None,
    baseline: BaselineName = "zero",
    seed: Seed = 0,
    keep_maps: Annotated[int, typer.Option(help="Of how many images the maps are stored and drawn.")] = 3,
    device: Device = "auto",
    precision: PrecisionName = "float32",
    channels_last: ChannelsLast = False,
    fold_batch_norm: FoldBatchNorm = False,
    memory_budget: MemoryBudget = None,
    on_error: OnError = "stop",
    out: Annotated[Path | None, typer.Option(help="Run folder to make or to continue; else one below runs/.")] = None,
) -> None:
    """Run the model-randomization sanity check.

    Without options: train the basic CNN on rendered digits and compare the maps of ten methods with those of networks
    whose layers are randomized one after another, from the output down. Several presets make a table of verdicts. A run
    that was interrupted continues when the same command is given again; torchrun shares it among processes.
    """
    presets = _names(preset) or (preset,)
    chosen_model, chosen_weights = _defaults(data, model, weights)
    config = CheckConfig(
        data=data,
        data_dir=data_dir,
        images=images,
        model=chosen_model,
        weights=chosen_weights,
        train_images=train_images,
        methods=_names(methods),
        metrics=None if metrics is None else _names(metrics),
        preset=presets[0],
        order=order,
        initialiser=initialiser,
        batch_norm=batch_norm,
        trials=trials,
        layer=layer,
        samples=samples,
        steps=steps,
        baseline=baseline,
        seed=seed,
        keep_maps=keep_maps,
        device=device,
        precision=precision,
        channels_last=channels_last,
        fold_batch_norm=fold_batch_norm,
        memory_budget=memory_budget,
        on_error=on_error,
    )
    _run_checks(config, presets, out or Path("runs") / f"check-{Path(data).stem}-{chosen_model}", named=out is not None)


@app.command(
    epilog="Example: probatum attribute cat.jpg dog.jpg --model resnet18 --methods gradient,grad-cam --out maps"
)
def attribute(
    sources: Annotated[list[str], typer.Argument(help="Images, a folder, a .txt list, or the name of a data set.")],
    out: Annotated[Path, typer.Option(help="Folder to make or to continue.")],
    model: Model = None,
    weights: Weights = None,
    methods: Methods = _ALL_METHODS,
    target: Annotated[int | None, typer.Option(help="Class index to explain; else the predicted class.")] = None,
    images: Annotated[int, typer.Option(help="At most so many images.")] = 16,
    data_dir: DataDir = None,
    train_images: Annotated[int, typer.Option(help="How many training images 'train' uses.")] = 10_000,
    layer: Layer = None,
    samples: Samples = None,
    steps: Steps = None,
    baseline: BaselineName = "zero",
    seed: Seed = 0,
    device: Device = "auto",
    precision: PrecisionName = "float32",
    channels_last: ChannelsLast = False,
    fold_batch_norm: FoldBatchNorm = False,
    memory_budget: MemoryBudget = None,
    on_error: OnError = "stop",
) -> None:
    """Compute attribution maps of images, as arrays and as pictures.

    A run that was interrupted continues when the same command is given again.
    """
    chosen_model, chosen_weights = _defaults(sources[0], model, weights)
    config = CheckConfig(
        data=sources[0],
        data_dir=data_dir,
        images=images,
        model=chosen_model,
        weights=chosen_weights,
        train_images=train_images,
        methods=_names(methods),
        layer=layer,
        samples=samples,
        steps=steps,
        baseline=baseline,
        seed=seed,
        device=device,
        precision=precision,
        channels_last=channels_last,
        fold_batch_norm=fold_batch_norm,
        memory_budget=memory_budget,
        on_error=on_error,
    )
    _run_attribution(Request(config, tuple(sources), target), out)


@app.command(
    "attribute-text",
    epilog="Example: probatum attribute-text 'the plot is not bad' --methods integrated-gradients --out tokens",
)
def attribute_text(
    out: Annotated[Path, typer.Option(help="Folder to make.")],
    sentences: Annotated[list[str] | None, typer.Argument(help="Sentences, each in quotes.")] = None,
    file: Annotated[Path | None, typer.Option(help="Text file with one more sentence a line.")] = None,
    model: Annotated[
        str,
        typer.Option(
            help="'sentences' or 'sst2': a small encoder, trained here once; or a Hugging Face classifier, "
            "a folder or a name on the hub."
        ),
    ] = "sentences",
    data_dir: Annotated[str | None, typer.Option(help="Folder that holds sst2/.")] = None,
    methods: Methods = _TEXT_METHODS,
    target: Annotated[int | None, typer.Option(help="Class index to explain; else the predicted class.")] = None,
    samples: Samples = None,
    steps: Steps = None,
    baseline: Annotated[str, typer.Option(help="Baseline of the embeddings: pad or zero.")] = "pad",
    seed: Seed = 0,
    device: Device = "auto",
    precision: PrecisionName = "float32",
    memory_budget: MemoryBudget = None,
) -> None:
    """Score the tokens of sentences: coloured here, and as tokens.html, tokens.png and tokens.csv."""
    config = TextConfig(
        sentences=(*(sentences or ()), *(read_sentences(file) if file is not None else ())),
        model=model,
        data_dir=data_dir,
        methods=_names(methods),
        target=target,
        samples=samples,
        steps=steps,
        baseline=baseline,
        seed=seed,
        device=device,
        precision=precision,
        memory_budget=memory_budget,
    )
    with new_folder(out) as scratch, metered() as meter:
        found = explain_sentences(config, scratch, meter)
        draw_sentences(found, scratch, f"{model}, baseline {baseline}, seed {seed}")
    for title, (tokens,) in sentence_maps(found).items():
        show(title)
        show(tokens_text(tokens))
    show(f"tokens.html, tokens.png and tokens.csv are in {out}")


@app.command(epilog="Example: probatum train --data mnist --data-dir DIR --preset paper --out mnist-cnn.pt")
def train(
    out: Annotated[Path, typer.Option(help="Checkpoint file to write.")],
    data: Annotated[str, typer.Option(help=f"Data set: {', '.join(DATASETS)}.")] = "digits",
    data_dir: DataDir = None,
    model: Annotated[str, typer.Option(help="basic_cnn or mlp.")] = "basic_cnn",
    preset: Annotated[str, typer.Option(help="'quick', or 'paper': Adam 1e-4, batches of 50, 50 epochs.")] = "quick",
    train_images: Annotated[int | None, typer.Option(help="Of the training split; else all of it.")] = None,
    epochs: Annotated[int | None, typer.Option(help="Instead of the preset's.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Instead of the preset's.")] = None,
    learning_rate: Annotated[float | None, typer.Option(help="Instead of the preset's.")] = None,
    target_accuracy: Annotated[float | None, typer.Option(help="Stop once this test accuracy is reached.")] = None,
    seed: Seed = 0,
    device: Device = "auto",
) -> None:
    """Train one of the papers' small networks."""
    if out.exists():
        raise InvalidInput(f"{out} exists already; choose another --out, or remove it yourself")
    if preset not in ("quick", "paper"):
        raise InvalidInput(f"training preset {preset!r} does not exist; choose quick or paper")
    given = {"epochs": epochs, "batch_size": batch_size, "learning_rate": learning_rate}
    changes: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    base = PAPER_MNIST if preset == "paper" else QUICK_DIGITS
    config = replace(base, seed=seed, target_accuracy=target_accuracy, **changes)
    training_set = load_dataset(data, "train", train_images, data_dir, seed)
    test_set = load_dataset(data, "test", None, data_dir, seed)
    network = load_model(model, "none", len(DATASETS[data].class_names), seed).to(choose_device(device))
    assert training_set.labels is not None
    assert test_set.labels is not None
    with metered() as meter:
        report = train_model(
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
        raise ModelError(f"the target accuracy {target_accuracy} was not reached; give more --epochs or --train-images")


@app.command(epilog="Example: probatum reproduce wienecke2021 figure1 --preset quick --data-dir DIR")
def reproduce(
    paper: Annotated[str, typer.Argument(help=f"One of {', '.join(PAPERS)}.")],
    figures: Annotated[list[str] | None, typer.Argument(help="Figures of the paper; else all.")] = None,
    preset: Annotated[
        str, typer.Option(help="'quick', or 'paper' for the paper's own sizes, models and data.")
    ] = "quick",
    data_dir: Annotated[
        str | None,
        typer.Option(help="Folder with MNIST/, FashionMNIST/, tiny-imagenet-200/, imagenet-samples/, sst2/."),
    ] = None,
    photographs: Annotated[str | None, typer.Option(help="Folder of photographs for the ImageNet experiments.")] = None,
    model: Annotated[str | None, typer.Option(help="Another torchvision model for the ImageNet experiments.")] = None,
    weights: Annotated[
        str, typer.Option(help="Of the pretrained model: 'default', 'none', or a checkpoint.")
    ] = "default",
    text_model: Annotated[
        str | None, typer.Option(help="Hugging Face sentence classifier, by name or folder, for experiments on text.")
    ] = None,
    seed: Seed = 0,
    device: Device = "auto",
    memory_budget: MemoryBudget = None,
    out: Annotated[Path | None, typer.Option(help="Folder to make or to continue; else one below runs/.")] = None,
) -> None:
    """Rerun a paper's experiments: its figures, and a scorecard of its claims.

    A reproduction that was interrupted continues when the same command is given again.
    """
    if preset not in ("quick", "paper"):
        raise InvalidInput(f"preset {preset!r} does not exist; choose quick or paper")
    config = ReproductionConfig(
        paper=paper,
        figures=tuple(figures or ()),
        preset="paper" if preset == "paper" else "quick",
        data_dir=data_dir,
        photographs=photographs,
        model=model,
        weights=weights,
        text_model=text_model,
        device=device,
        seed=seed,
        memory_budget=memory_budget,
    )
    _run_reproduction(config, out or _free(Path("runs") / f"{paper}-{preset}", asked_of(config)))


@app.command(epilog="Example: probatum report runs/check-digits-basic_cnn")
def report(run: Annotated[Path, typer.Argument(help="A run folder.")]) -> None:
    """Draw the figures of a run or a reproduction and its page, report.html, again from its stored results."""
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


@app.command(epilog="Example: probatum rerun runs/check-digits-basic_cnn --out again")
def rerun(
    run: Annotated[Path, typer.Argument(help="A folder that check, attribute or reproduce made.")],
    out: Annotated[Path, typer.Option(help="Folder to make.")],
) -> None:
    """Compute a run or a reproduction again, from nothing but its config.json."""
    if is_reproduction(run):
        _run_reproduction(read_reproduction(run), out)
    elif is_explanation(run):
        _run_attribution(read_request(run), out)
    elif is_comparison(run):
        _run_checks(*read_comparison_config(run), out)
    else:
        config = read_config(run)
        _run_checks(config, [config.preset], out)


@app.command(epilog="Example: probatum bench methods panel --threads 2 --out runs/bench")
def bench(
    suites: Annotated[
        list[str] | None,
        typer.Argument(help=f"Some of {_SUITES}; else all up to 10 min. Minutes are those of two idle CPU cores."),
    ] = None,
    model: Annotated[str | None, typer.Option(help="Model by name, instead of the suite's own.")] = None,
    weights: Annotated[
        str, typer.Option(help="'none' (random: the time is the same), 'default' (published), or a checkpoint.")
    ] = "none",
    batch: Annotated[int | None, typer.Option(help="Images in one call (suite metrics: pairs of maps).")] = None,
    rounds: Annotated[int | None, typer.Option(help="Windows of each contestant.")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Suites in tiny form; their times mean nothing.")] = False,
    threads: Annotated[int | None, typer.Option(help="CPU threads of torch.")] = None,
    data_dir: Annotated[str | None, typer.Option(help="Folder with imagenet-samples/ and MNIST/.")] = None,
    seed: Seed = 0,
    device: Device = "auto",
    out: Annotated[Path | None, typer.Option(help="Folder to make; else one below runs/.")] = None,
) -> None:
    """Measure speed, memory and agreement beside the bare model and other libraries."""
    config = BenchConfig(model, weights, batch, device, rounds, quick, threads, data_dir, seed)
    choose_device(device)  # before anything else, so that a missing one is said at once
    chosen = [get_suite(name) for name in suites or USUAL]
    minutes, records = sum(suite.minutes for suite in chosen), list[Record]()
    folder = out or _free(Path("runs") / "bench")
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


@app.command("list", epilog="Example: probatum list methods")
def list_(kind: Annotated[Kind, typer.Argument(help="What to list.")]) -> None:
    """List what there is, and where each is implemented."""
    show_table(kind.value, *table_of(kind))


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command line: exit code 0 when done, 2 for wrong usage, 1 for what failed, each with one clear line."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if arguments is None and "bench" not in words[:2]:  # which measures what happens in a process like any other
        keep_freed_memory()
    with stoppable(), one_line("--debug" in words):
        # --debug is welcome anywhere on the line.
        app([word for word in words if word != "--debug"])


def _run_checks(config: CheckConfig, presets: Sequence[str], folder: Path, *, named: bool = True) -> None:
    """Runs one check or a comparison, in all processes that torchrun started; the first one alone speaks.

    A folder that was not named by the user gives way to one that is free or holds this run, unfinished.
    """
    several = {"presets": list(presets)} if len(presets) > 1 else {}
    config = replace(config, preset=presets[0])
    with joined_ranks() as ranks:
        if not named:
            folder = Path(ranks.broadcast(str(_free(folder, {"config": config.to_json(), **several}))))
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


def _run_attribution(request: Request, folder: Path) -> None:
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


def _run_reproduction(config: ReproductionConfig, folder: Path) -> None:
    with metered() as meter:
        findings = run_reproduction(config, folder, meter, meter.say)
    show_findings(findings)
    show(f"report.html, figures, scorecard.md and all results are in {folder}")


def _report_suite(meter: Meter, done: int, total: int, suite: str, what: str) -> None:
    """Passes on what a suite of benchmarks is doing."""
    meter(done, total, f"{suite}: {what}")


def _defaults(data: str, model: str | None, weights: str | None) -> tuple[str, str]:
    """The model and weights that suit the data: a small trained network for a data set, ResNet-18 for photographs."""
    model = model or ("basic_cnn" if data in DATASETS else "resnet18")
    small = model_spec(model).channels == 1
    return model, weights or ("train" if small else "default")


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def _free(folder: Path, asked: dict[str, Any] | None = None) -> Path:
    """The folder, or the first of folder-2, ... that does not exist or holds the unfinished run of what is asked."""
    candidate, number = folder, 2
    while candidate.exists() and (asked is None or not is_same_run(candidate, asked)):
        candidate, number = folder.with_name(f"{folder.name}-{number}"), number + 1
    return candidate
