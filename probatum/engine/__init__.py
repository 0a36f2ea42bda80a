"""The attribution engine: hooks, gradients, sample points, noise streams and the memory budget. It knows no method."""

from probatum.engine.copying import copy_model, frozen_copy
from probatum.engine.evaluate import (
    GUIDED,
    MULTIPLIERS,
    PLAIN,
    Evaluation,
    InputGradient,
    LayerGradient,
    Multipliers,
    Need,
    relu_coverage,
)
from probatum.engine.noise import image_keys
from probatum.engine.plan import Progress, Request, Variant, all_logits, run, run_variants
from probatum.engine.precision import PRECISIONS
from probatum.engine.references import (
    Distribution,
    EachBaseline,
    GivenBaselines,
    NoisyBaselines,
    RandomPath,
    Reference,
)
from probatum.engine.relu import GuidedReLU, ReLUCoverage
from probatum.engine.sampling import Expansion, Noise, Path, PointStream, Rows
from probatum.engine.targets import Targets
from probatum.engine.trace import LayerCall, execution_order, find_layer, last_convolution, used_parameters
from probatum.engine.view import View, prepare, prepare_like

__all__ = [
    "GUIDED",
    "MULTIPLIERS",
    "PLAIN",
    "PRECISIONS",
    "Distribution",
    "EachBaseline",
    "Evaluation",
    "Expansion",
    "GivenBaselines",
    "GuidedReLU",
    "InputGradient",
    "LayerCall",
    "LayerGradient",
    "Multipliers",
    "Need",
    "Noise",
    "NoisyBaselines",
    "Path",
    "PointStream",
    "Progress",
    "RandomPath",
    "ReLUCoverage",
    "Reference",
    "Request",
    "Rows",
    "Targets",
    "Variant",
    "View",
    "all_logits",
    "copy_model",
    "execution_order",
    "find_layer",
    "frozen_copy",
    "image_keys",
    "last_convolution",
    "prepare",
    "prepare_like",
    "relu_coverage",
    "run",
    "run_variants",
    "used_parameters",
]
