"""`probatum verdicts`: stored verdicts, and the card of a model."""

from pathlib import Path
from typing import Annotated

import typer

from probatum.terminal.output import show
from probatum.terminal.typer_commands import Group, Work

app = typer.Typer(
    name="verdicts",
    cls=Group,
    rich_markup_mode=None,
    help="Store the verdicts of a check, or make a card.",
)
_Run = Annotated[str, typer.Argument(help="The run folder of a check, or its address in object storage.")]


@app.command(cls=Work, epilog="Example: probatum verdicts freeze runs/check-digits-basic_cnn --out verdicts.json")
def freeze(
    run: _Run,
    out: Annotated[Path | None, typer.Option(help="File to write; else verdicts.json in the run folder.")] = None,
) -> None:
    """Store the verdicts, for `pytest --probatum-verdicts FILE`, which fails when one changes."""
    from probatum.experiments.frozen import NAME, freeze, write_verdicts
    from probatum.experiments.run_folder import read_run
    from probatum.runs.remote import opened

    with opened(run) as folder:
        path = out or folder / NAME
        frozen = freeze(read_run(folder))
        write_verdicts(frozen, path)
    for method, verdict in frozen.verdicts.items():
        show(f"{method}: {verdict}")
    show(f"stored in {path}")


@app.command(cls=Work, epilog="Example: probatum verdicts card runs/check-digits-basic_cnn --out docs")
def card(
    run: _Run,
    out: Annotated[Path | None, typer.Option(help="Folder to write to; else the run folder.")] = None,
) -> None:
    """Write sanity-card.json and sanity-card.svg, a badge for the README of a model."""
    from probatum.experiments.run_folder import read_run
    from probatum.report.card import write_card
    from probatum.runs.remote import opened

    with opened(run) as folder:
        for path in write_card(read_run(folder), out or folder):
            show(str(path))
