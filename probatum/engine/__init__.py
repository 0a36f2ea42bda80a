"""The attribution engine: hooks, gradients, sample points, noise streams and the memory budget. It knows no method."""

from probatum.engine.copying import copy_model, frozen_copy
from probatum.engine.evaluate import GUIDED, PLAIN, Evaluation, InputGradient, LayerGradient, Need, relu_coverage
from probatum.engine.plan import Progress, Request, Variant, all_logits, run, run_variants
from probatum.engine.relu import GuidedReLU, ReLUCoverage
from probatum.engine.sampling import Noise, Path
from probatum.engine.trace import LayerCall, execution_order, find_layer, last_convolution, used_parameters
from probatum.engine.view import View, prepare

__all__ = [
    "GUIDED",
    "PLAIN",
    "Evaluation",
    "GuidedReLU",
    "InputGradient",
    "LayerCall",
    "LayerGradient",
    "Need",
    "Noise",
    "Path",
    "Progress",
    "ReLUCoverage",
    "Request",
    "Variant",
    "View",
    "all_logits",
    "copy_model",
    "execution_order",
    "find_layer",
    "frozen_copy",
    "last_convolution",
    "prepare",
    "relu_coverage",
    "run",
    "run_variants",
    "used_parameters",
]
