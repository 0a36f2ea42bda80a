"""`probatum bench`: speed, memory and agreement."""

from typing import Annotated

import typer

from probatum.terminal import catalog
from probatum.terminal.catalog import Kind
from probatum.terminal.completion import listed, one_of
from probatum.terminal.known import file_or, one_name, some_names, split
from probatum.terminal.options import (
    Device,
    InputSize,
    Mean,
    Out,
    ReportOptions,
    Seed,
    Std,
    grouped,
    numbers,
    whole_numbers,
)

_MINUTES = ", ".join(f"{name} ({minutes} min)" for name, _, minutes, _ in catalog.table_of(Kind.suites)[1])


@grouped
def bench(
    report: ReportOptions,
    suites: Annotated[
        list[str] | None,
        typer.Argument(
            help=f"Some of {_MINUTES}; else all up to 10 min. Minutes are those of two idle CPU cores.",
            **one_name("benchmark suite", listed(Kind.suites)),
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(help="Model by name, instead of the suite's own.", autocompletion=one_of(listed(Kind.models))),
    ] = None,
    weights: Annotated[
        str,
        typer.Option(
            help="'none' (random: the time is the same), 'default' (published), or a checkpoint file.",
            callback=file_or(("none", "default"), "checkpoint file"),
        ),
    ] = "none",
    methods: Annotated[
        str | None,
        typer.Option(
            help="Methods by name or of your own (module:name, ./file.py:name), by commas, for the suite roofline.",
            **some_names("method", listed(Kind.methods), own=True),
        ),
    ] = None,
    batch: Annotated[
        str | None, typer.Option(help="Images in one call (suite metrics: pairs of maps), or several such as 1,8,32.")
    ] = None,
    input_size: InputSize = None,
    mean: Mean = None,
    std: Std = None,
    rounds: Annotated[
        int | None, typer.Option(help="How often everything is timed, in turns; else the suite's own.")
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Try each suite in tiny form, in about a minute; its times mean nothing.")
    ] = False,
    threads: Annotated[int | None, typer.Option(help="CPU threads of torch; else torch's own number.")] = None,
    data_dir: Annotated[
        str | None,
        typer.Option(help="Folder with imagenet-samples/ and MNIST/, for suites that look at maps; else other images."),
    ] = None,
    seed: Seed = 0,
    device: Device = "auto",
    compare: Annotated[
        str | None,
        typer.Option(help="A record.json or the folder of another run, to compare times with; slower ones fail."),
    ] = None,
    out: Out = None,
) -> None:
    """Measure speed, memory and agreement.

    Beside the methods run the bare model and other libraries.

    With --methods and no suite, the suite roofline measures the machine, the bare model and each of these methods.
    """
    from probatum.benchmarks import BenchConfig
    from probatum.terminal import commands

    config = BenchConfig(
        model,
        weights,
        () if batch is None else whole_numbers(batch),
        () if methods is None else split(methods),
        input_size,
        None if mean is None else numbers(mean),
        None if std is None else numbers(std),
        device,
        rounds,
        quick,
        threads,
        data_dir,
        seed,
    )
    commands.benchmark(config, suites or (), compare, out, report)
