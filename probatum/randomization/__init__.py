"""Model and label randomization: stages, initializers, random streams and the papers' protocols."""

from probatum.randomization.automatic import automatic_stages
from probatum.randomization.blocks import block_stages, usual_stages
from probatum.randomization.classes import other_classes
from probatum.randomization.initializers import (
    INITIALIZERS,
    Identity,
    Initializer,
    Kaiming,
    Moments,
    Normal,
    Permutation,
    Reset,
    TruncatedNormal,
    Xavier,
    initializer,
)
from probatum.randomization.labels import RandomizedLabels, permute_labels, random_labels
from probatum.randomization.presets import PRESETS, Preset, Smoothing, preset
from probatum.randomization.randomizer import BATCH_NORM, ORDERS, Entry, Randomizer, Step, stream
from probatum.randomization.stages import Stage, StagePlan, stages_from_table

__all__ = [
    "BATCH_NORM",
    "INITIALIZERS",
    "ORDERS",
    "PRESETS",
    "Entry",
    "Identity",
    "Initializer",
    "Kaiming",
    "Moments",
    "Normal",
    "Permutation",
    "Preset",
    "RandomizedLabels",
    "Randomizer",
    "Reset",
    "Smoothing",
    "Stage",
    "StagePlan",
    "Step",
    "TruncatedNormal",
    "Xavier",
    "automatic_stages",
    "block_stages",
    "initializer",
    "other_classes",
    "permute_labels",
    "preset",
    "random_labels",
    "stages_from_table",
    "stream",
    "usual_stages",
]
