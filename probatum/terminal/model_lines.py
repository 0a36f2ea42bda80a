"""The facts about a model in the terminal."""

from probatum.experiments.model_facts import ModelFacts
from probatum.terminal.catalog import defaults
from probatum.terminal.output import show, show_table

SHOWN_PATHS = 3  # of the modules of a stage


def show_facts(facts: ModelFacts) -> None:
    """Prints a table of the stages, and a line for each other fact."""
    rows = [(stage.name, _few(stage.modules), f"{stage.parameters:,}") for stage in facts.stages]
    show_table("stages, the output first", ("stage", "modules", "parameters"), rows, numeric=1)
    size = "×".join(map(str, facts.input_shape))
    show(f"{facts.title}: {facts.parameters:,} parameters, {facts.classes} classes, images of {size}; {facts.where}")
    if facts.unused:
        show(f"Never used by the forward pass, and never drawn anew: {_few(facts.unused)}")
    layout = f", {facts.grad_cam_layout}" if facts.grad_cam_layout else ""
    show(f"Grad-CAM's layer: {facts.grad_cam_layer}{layout}")
    show(f"Guided Backprop: {facts.relus}")
    show(f"Conservative Propagation: {facts.held}")
    if facts.last_relu:
        show(f"The model ends in the ReLU {facts.last_relu}; the values before it are explained (see --last-relu)")
    usual = defaults("methods")
    for name, reason in facts.refused:
        show(f"{name} will be refused: {reason}" if name in usual else f"Not for this model: {name} ({reason})")
    if not any(name in usual for name, _ in facts.refused):
        show("No method of the default ones will be refused.")


def _few(paths: tuple[str, ...]) -> str:
    more = f" and {len(paths) - SHOWN_PATHS} more" if len(paths) > SHOWN_PATHS else ""
    return ", ".join(paths[:SHOWN_PATHS]) + more
