"""`probatum list`: what there is, one command for each list, and the stages of a model."""

from collections.abc import Callable
from typing import Annotated

import typer

from probatum.terminal import catalog
from probatum.terminal.catalog import Kind
from probatum.terminal.completion import listed, one_of
from probatum.terminal.known import file_or
from probatum.terminal.options import InputSize, Interpolation, Layer, Mean, Output, Stages, Std
from probatum.terminal.output import show_json, show_table
from probatum.terminal.typer_commands import Command, Group, Work

# A command for each list, not one with an argument: typer would import a library to check its value.
app = typer.Typer(
    name="list",
    cls=Group,
    rich_markup_mode=None,
    help="List what there is, and where each is implemented.",
    epilog="Example: probatum list methods",
)


def _command_that_lists(kind: Kind) -> Callable[[bool], None]:
    def show_list(
        as_json: Annotated[bool, typer.Option("--json", help="Print a JSON list of objects.")] = False,
    ) -> None:
        columns, rows = catalog.table_of(kind)
        if as_json:
            show_json([dict(zip(columns, row, strict=True)) for row in rows])
        else:
            show_table(kind.value, columns, rows)

    return show_list


for _kind in Kind:
    _columns = ", ".join(catalog.columns_of(_kind))
    app.command(_kind.value, cls=Command, help=f"Columns: {_columns}.")(_command_that_lists(_kind))


@app.command(cls=Work, epilog="Example: probatum list stages ./net.py:make --input-size 64 --mean 0.5 --std 0.5")
def stages(
    model: Annotated[
        str,
        typer.Argument(
            help="Model by name; yours as ./file.py:name or package.module:name, whose code then runs.",
            autocompletion=one_of(listed(Kind.models)),
        ),
    ],
    weights: Annotated[
        str | None,
        typer.Option(
            help="'none' (random), 'default' (published, or those of your own model), or a checkpoint file.",
            callback=file_or(("none", "default"), "checkpoint file"),
        ),
    ] = None,
    stages: Stages = None,
    layer: Layer = None,
    input_size: InputSize = None,
    mean: Mean = None,
    std: Std = None,
    interpolation: Interpolation = None,
    output: Output = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Show what a check of a model will work with: stages, Grad-CAM's layer, guided ReLUs, methods that are refused.

    One image passes through the model; nothing is trained.
    """
    from probatum.experiments.config import CheckConfig
    from probatum.experiments.model_facts import model_facts, weights_to_look_at
    from probatum.terminal.model_lines import show_facts
    from probatum.terminal.options import numbers

    config = CheckConfig(
        model=model,
        weights=weights or weights_to_look_at(model),
        stages=stages,
        layer=layer,
        input_size=input_size,
        mean=numbers(mean) if mean else None,
        std=numbers(std) if std else None,
        interpolation=interpolation,
        output=output,
    )
    facts = model_facts(config)
    show_json(facts.to_json()) if as_json else show_facts(facts)
