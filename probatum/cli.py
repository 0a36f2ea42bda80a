"""The terminal: each command reads options, builds a configuration and calls one function, which it then imports."""

import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

import probatum
from probatum.terminal import bench_command, catalog, list_commands, verdict_commands
from probatum.terminal.allocator import keep_freed_memory
from probatum.terminal.catalog import Kind
from probatum.terminal.completion import listed, offered, one_of, variants_of_paper
from probatum.terminal.ending import one_line, plain_warnings, stoppable
from probatum.terminal.known import file_or, image_sources, one_name, paper_figures, some_names, split
from probatum.terminal.options import (
    ComputeOptions,
    Data,
    DataDir,
    DataSet,
    Device,
    LeastConfidence,
    MemoryBudget,
    MethodOptions,
    Methods,
    NetworkOptions,
    NewRun,
    OnError,
    Out,
    Precision,
    Preset,
    ProtocolOptions,
    ReportOptions,
    Samples,
    Seed,
    Steps,
    StoredRun,
    Target,
    TrainingOptions,
    chosen_methods,
    configured,
    grouped,
)
from probatum.terminal.output import show, show_json
from probatum.terminal.typer_commands import Group, Work

app = typer.Typer(
    name="probatum",
    cls=Group,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Attribution maps for PyTorch classifiers, and the sanity checks that tell which of them deserve trust.",
    epilog="Start with: probatum check. Each command explains itself: probatum check --help",
    context_settings={"help_option_names": ["-h", "--help"]},
)
_command = partial(app.command, cls=Work)

_TEXT_METHODS = ",".join(catalog.defaults("text-methods"))
_VARIANTS = "; ".join(
    f"of {paper} {', '.join(found)}" for paper in catalog.names(Kind.papers) if (found := catalog.variants(paper))
)


def _show_version(wanted: bool) -> bool:
    if wanted:
        show(f"probatum {probatum.__version__}")
        raise typer.Exit
    return wanted


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", help="Show the version and stop.", is_eager=True, callback=_show_version)
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    pass


@_command(epilog="Example: probatum check --model squeezenet1_0 --weights FILE --data FOLDER --images 5 --samples 10")
@grouped
def check(
    network: NetworkOptions,
    methods: MethodOptions,
    protocol: ProtocolOptions,
    compute: ComputeOptions,
    report: ReportOptions,
    data: Data = "digits",
    data_dir: DataDir = None,
    images: Annotated[int, typer.Option(help="How many images to explain.")] = 10,
    seed: Seed = 0,
    on_error: OnError = "stop",
    least_confidence: LeastConfidence = None,
    out: Out = None,
) -> None:
    """Run the model-randomization sanity check.

    Without options: train the basic CNN on rendered digits and compare the maps of ten methods with those of networks
    whose layers are randomized one after another, from the output down. Several presets make a table of verdicts. A run
    that was interrupted continues when the same command is given again; torchrun shares it among processes.
    """
    from probatum.experiments.config import CheckConfig
    from probatum.terminal import commands

    presets = split(protocol.preset) or (protocol.preset,)
    chosen = commands.chosen_network(network, data)
    config = configured(
        CheckConfig,
        *(network, methods, protocol, compute),
        data=data,
        data_dir=data_dir,
        images=images,
        **chosen,
        **chosen_methods(methods),
        metrics=None if protocol.metrics is None else split(protocol.metrics),
        preset=commands.randomization_of(presets),
        seed=seed,
        on_error=on_error,
    )
    folder = commands.folder_name("check", Path(data).stem, chosen["model"])
    commands.run_checks(config, presets, least_confidence, out, folder, report)


@_command(epilog="Example: probatum attribute cat.jpg dog.jpg --model resnet18 --methods gradient,grad-cam --out maps")
@grouped
def attribute(
    sources: Annotated[
        list[str],
        typer.Argument(help="Images, a folder, a .txt list, or the name of a data set.", **image_sources()),
    ],
    out: NewRun,
    network: NetworkOptions,
    methods: MethodOptions,
    compute: ComputeOptions,
    report: ReportOptions,
    target: Target = None,
    formats: Annotated[
        str,
        typer.Option(
            "--format",
            help="Formats of the maps, separated by commas: npz (always written), pt, png, tif.",
            **some_names("format of maps", lambda: ("npz", "pt", "png", "tif")),
        ),
    ] = "npz",
    images: Annotated[int, typer.Option(help="At most so many images.")] = 16,
    data_dir: DataDir = None,
    seed: Seed = 0,
    on_error: OnError = "stop",
) -> None:
    """Compute attribution maps of images.

    The maps are written as arrays and as pictures.

    A run that was interrupted continues when the same command is given again.
    """
    from probatum.experiments.config import CheckConfig
    from probatum.experiments.explain import Request
    from probatum.terminal import commands

    config = configured(
        CheckConfig,
        *(network, methods, compute),
        data=sources[0],
        data_dir=data_dir,
        images=images,
        **commands.chosen_network(network, sources[0]),
        **chosen_methods(methods),
        seed=seed,
        on_error=on_error,
    )
    commands.run_attribution(Request(config, tuple(sources), target, split(formats)), out, report)


@_command(
    "attribute-text",
    epilog="Example: probatum attribute-text 'the plot is not bad' --methods integrated-gradients --out tokens",
)
@grouped
def attribute_text(
    report: ReportOptions,
    out: NewRun,
    sentences: Annotated[list[str] | None, typer.Argument(help="Sentences, each in quotes.")] = None,
    file: Annotated[
        Path | None,
        typer.Option(help="Text file with one more sentence a line.", callback=file_or((), "file of sentences")),
    ] = None,
    model: Annotated[
        str,
        typer.Option(
            help="'sentences' or 'sst2': a small encoder, trained here once; or a Hugging Face classifier, "
            "a folder or a name on the hub.",
            autocompletion=one_of(offered("text-model")),
        ),
    ] = "sentences",
    data_dir: Annotated[str | None, typer.Option(help="Folder that holds sst2/.")] = None,
    methods: Methods = _TEXT_METHODS,
    target: Target = None,
    samples: Samples = None,
    steps: Steps = None,
    baseline: Annotated[
        str,
        typer.Option(
            help="Baseline of the embeddings: pad or zero.", **one_name("baseline of text", offered("text-baseline"))
        ),
    ] = "pad",
    seed: Seed = 0,
    device: Device = "auto",
    precision: Precision = "float32",
    memory_budget: MemoryBudget = None,
) -> None:
    """Score the tokens of sentences.

    They are shown in color, and written as report.html, tokens.png and tokens.csv.
    """
    from probatum.experiments.text.run import TextConfig, read_sentences
    from probatum.terminal import commands

    config = TextConfig(
        sentences=(*(sentences or ()), *(read_sentences(file) if file is not None else ())),
        model=model,
        data_dir=data_dir,
        methods=split(methods),
        target=target,
        samples=samples,
        steps=steps,
        baseline=baseline,
        seed=seed,
        device=device,
        precision=precision,
        memory_budget=memory_budget,
    )
    commands.explain_text(config, out, report)


@_command(epilog="Example: probatum train --data mnist --data-dir DIR --preset paper --out mnist-cnn.pt")
@grouped
def train(
    training: TrainingOptions,
    report: ReportOptions,
    out: Annotated[Path, typer.Option(help="Checkpoint file to write.")],
    data: DataSet = "digits",
    data_dir: DataDir = None,
    seed: Seed = 0,
    device: Device = "auto",
) -> None:
    """Train one of the papers' small networks."""
    from probatum.terminal import commands

    commands.train_network(training, seed, out, data=data, data_dir=data_dir, device=device, report=report)


@_command(epilog="Example: probatum reproduce wienecke2021 figure1 --preset quick --data-dir DIR")
@grouped
def reproduce(
    report: ReportOptions,
    paper: Annotated[
        str,
        typer.Argument(
            help=f"One of {', '.join(catalog.names(Kind.papers))}.", **one_name("paper", listed(Kind.papers))
        ),
    ],
    figures: Annotated[
        list[str] | None,
        typer.Argument(
            help="Figures and tables of the paper, such as figure1 (see `probatum list papers`); else all.",
            **paper_figures(),
        ),
    ] = None,
    preset: Preset = "quick",
    data_dir: Annotated[
        str | None,
        typer.Option(
            help="Folder with MNIST/, FashionMNIST/, tiny-imagenet-200/, imagenet-demo/, imagenet-samples/, sst2/."
        ),
    ] = None,
    photographs: Annotated[
        str | None,
        typer.Option(
            help="Folder of photographs for the ImageNet experiments; else imagenet-demo/ and imagenet-samples/.",
            callback=file_or((), "folder of photographs"),
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            help="Another torchvision model for the ImageNet experiments.", autocompletion=one_of(listed(Kind.models))
        ),
    ] = None,
    weights: Annotated[
        str,
        typer.Option(
            help="Weights of the pretrained model: 'default' (published), 'none' (random), or a checkpoint file.",
            callback=file_or(("default", "none"), "checkpoint file"),
        ),
    ] = "default",
    text_model: Annotated[
        str | None, typer.Option(help="Hugging Face sentence classifier, by name or folder, for experiments on text.")
    ] = None,
    variant: Annotated[
        list[str] | None,
        typer.Option(
            help=f"A variant of the protocol, repeatable: {_VARIANTS}.",
            autocompletion=variants_of_paper,
        ),
    ] = None,
    seed: Seed = 0,
    device: Device = "auto",
    memory_budget: MemoryBudget = None,
    out: Out = None,
) -> None:
    """Rerun a paper: its figures and a scorecard.

    The scorecard judges the paper's claims by its experiments.

    A reproduction that was interrupted continues when the same command is given again.
    """
    from probatum.reproductions import ReproductionConfig
    from probatum.terminal import commands

    config = ReproductionConfig(
        paper=paper,
        figures=tuple(figures or ()),
        preset=preset,
        data_dir=data_dir,
        photographs=photographs,
        model=model,
        weights=weights,
        text_model=text_model,
        device=device,
        seed=seed,
        memory_budget=memory_budget,
        variants=tuple(variant or ()),
    )
    commands.reproduce(config, out, report)


@_command(epilog="Example: probatum report runs/check-digits-basic_cnn")
def report(run: StoredRun) -> None:
    """Draw the figures and the page of a run again.

    They are drawn from the stored results.
    """
    from probatum.terminal import commands

    commands.draw_again(run)


@_command(epilog="Example: probatum rerun runs/check-digits-basic_cnn --out again")
@grouped
def rerun(
    report: ReportOptions,
    run: StoredRun,
    out: NewRun,
) -> None:
    """Compute a run again, from nothing but its config.json."""
    from probatum.terminal import commands

    commands.run_again(run, out, report)


@_command(epilog="Example: probatum compare runs/before runs/after --out runs/change")
@grouped
def compare(
    report: ReportOptions,
    first: Annotated[str, typer.Argument(help="The run folder of a check, or its address.")],
    second: Annotated[str, typer.Argument(help="That of another.")],
    out: NewRun,
) -> None:
    """Put two checks side by side.

    Shows verdicts, curves, maps, and the settings that differ.
    """
    from probatum.terminal import commands

    commands.compare_runs(first, second, out, report)


_command(epilog="Example: probatum bench methods panel --threads 2 --out runs/bench")(bench_command.bench)


@_command(epilog="Example: probatum conform gradient ./mine.py:explainer")
def conform(
    explainers: Annotated[
        list[str],
        typer.Argument(
            help="Methods by name, or explainers of your own (module:name, ./file.py:name).",
            **one_name("method", listed(Kind.methods), own=True),
        ),
    ],
    laws: Annotated[
        str | None,
        typer.Option(
            help="Some of the laws, separated by commas; see `probatum list laws`.",
            **some_names("law", listed(Kind.laws)),
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the outcomes as JSON.")] = False,
) -> None:
    """Check explainers against named laws.

    They are put to small networks in float64.

    Exit code 1 where a law is broken.
    """
    from probatum.terminal import commands

    commands.conform(explainers, split(laws or ""), as_json)


app.add_typer(list_commands.app)


@_command(epilog="Example: probatum download mnist sst2 --data-dir DIR")
@grouped
def download(
    report: ReportOptions,
    names: Annotated[
        list[str],
        typer.Argument(
            help="mnist, fashion-mnist, tiny-imagenet (ten classes), sst2.",
            **one_name("data set to download", offered("download")),
        ),
    ],
    data_dir: Annotated[Path, typer.Option(help="Folder to put them into.")],
) -> None:
    """Download data sets from their publishers.

    What was interrupted continues.
    """
    from probatum.terminal import commands

    commands.download_data(names, data_dir, report)


@_command(epilog="Example: probatum info --data-dir DIR")
def info(
    data_dir: DataDir = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Show versions, devices and caches.

    Says how to get what is missing.
    """
    from probatum.terminal.info import info, show_info

    facts = info(None if data_dir is None else Path(data_dir))
    show_json(facts) if as_json else show_info(facts)


app.add_typer(verdict_commands.app)


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command line: exit code 0 when done, 2 for wrong usage, 1 for what failed, each with one clear line."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if arguments is None and "bench" not in words[:2]:  # which measures what happens in a process like any other
        keep_freed_memory()
    with stoppable(), plain_warnings(), one_line("--debug" in words):
        # --debug is welcome anywhere on the line.
        raise SystemExit(app([word for word in words if word != "--debug"], standalone_mode=False) or 0)
