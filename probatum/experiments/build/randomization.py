"""From a configuration to its stages and randomizer."""

from torch import nn

from probatum.experiments.build.subject import Subject
from probatum.experiments.config import CheckConfig
from probatum.randomization import (
    Randomizer,
    StagePlan,
    automatic_stages,
    block_stages,
    initializer,
    preset,
    stages_from_table,
    usual_stages,
)


def configured_stages(config: CheckConfig, subject: Subject) -> StagePlan:
    """The stages that are asked for: the table's, blocks or layers."""
    if subject.spec.stages and config.stages is None:
        return stages_from_table(subject.model, subject.spec.stages, images=subject.data.images)
    layers = automatic_stages(subject.model, subject.data.images, subject.output, subject.extra)
    if config.stages is None:
        return usual_stages(layers)
    return block_stages(layers) if config.stages == "blocks" else layers


def configured_randomizer(config: CheckConfig, model: nn.Module, plan: StagePlan) -> Randomizer:
    """The preset's randomizer, with the parts that the configuration replaces."""
    protocol = preset(config.preset)
    return Randomizer(
        model,
        plan,
        initializer(config.initializer) if config.initializer else protocol.initializer,
        config.order or protocol.order,
        config.seed,
        config.batch_norm or protocol.batch_norm,
        protocol.redraw,
    )
