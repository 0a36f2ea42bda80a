"""The facts about a model in the terminal."""

from collections.abc import Iterator

from probatum.experiments.model_facts import ModelFacts
from probatum.terminal.catalog import defaults
from probatum.terminal.output import columns, show, show_table
from probatum.terminal.verdict_lines import wrapped

SHOWN_PATHS = 3  # of the modules of a stage


def show_facts(facts: ModelFacts) -> None:
    """Prints a table of the stages, and a line for each other fact."""
    rows = [(stage.name, _few(stage.modules), f"{stage.parameters:,}") for stage in facts.stages]
    show_table("stages, the output first", ("stage", "modules", "parameters"), rows, numeric=1)
    for sentence in (*_facts(facts), *_refusals(facts)):
        show(wrapped(sentence, columns()))


def _facts(facts: ModelFacts) -> Iterator[str]:
    size = "×".join(map(str, facts.input_shape))
    yield f"{facts.title}: {facts.parameters:,} parameters, {facts.classes} classes, images of {size}; {facts.where}"
    if facts.unused:
        yield f"Never used by the forward pass, and never drawn anew: {_few(facts.unused)}"
    layout = f", {facts.grad_cam_layout}" if facts.grad_cam_layout else ""
    yield f"Grad-CAM's layer: {facts.grad_cam_layer}{layout}"
    yield f"Guided Backprop: {facts.relus}"
    yield f"Conservative Propagation: {facts.held}"
    if facts.last_relu:
        yield f"The model ends in the ReLU {facts.last_relu}; the values before it are explained (see --last-relu)"


def _refusals(facts: ModelFacts) -> Iterator[str]:
    """A sentence for each reason that refuses methods, those of the default check last."""
    usual = defaults("methods")
    of_check: dict[str, list[str]] = {}
    others: dict[str, list[str]] = {}
    for name, reason in facts.refused:
        (of_check if name in usual else others).setdefault(reason, []).append(name)
    for reason, names in others.items():
        yield f"Not for this model: {', '.join(names)} ({reason})"
    for reason, names in of_check.items():
        yield f"{', '.join(names)} will be refused: {reason}"
    if not of_check:
        yield "No method of the default ones will be refused."


def _few(paths: tuple[str, ...]) -> str:
    more = f" and {len(paths) - SHOWN_PATHS} more" if len(paths) > SHOWN_PATHS else ""
    return ", ".join(paths[:SHOWN_PATHS]) + more
