"""The attribution engine: hooks, gradients, sample points, noise streams and the memory budget. It knows no method."""

from probatum.engine.compute import Compute
from probatum.engine.copying import copy_model, frozen_copy
from probatum.engine.coverage import held_coverage, relu_coverage
from probatum.engine.evaluate import (
    ATTENTION,
    LOGIT,
    MULTIPLIERS,
    PLAIN,
    AttentionWeights,
    Evaluation,
    InputGradient,
    LayerGradient,
    Logit,
    Measurement,
    Multipliers,
)
from probatum.engine.external import ExternalMaps, LogitsOf, MakeMaps
from probatum.engine.extra import Extra
from probatum.engine.feature_maps import FeatureMap, find_feature_map, token_layouts
from probatum.engine.layouts import Layout, Tokens, as_layout
from probatum.engine.logits import all_logits
from probatum.engine.masking import SlidingWindow
from probatum.engine.noise import image_keys
from probatum.engine.outputs import Output
from probatum.engine.plan import Tick, run, run_variants
from probatum.engine.positions import most_tokens
from probatum.engine.precision import PRECISIONS
from probatum.engine.prepared_model import PreparedModel, prepare, prepare_like, prepare_with
from probatum.engine.references import (
    Distribution,
    EachBaseline,
    GivenBaselines,
    NoisyBaselines,
    RandomPath,
    Reference,
)
from probatum.engine.refinement import Effort, Maps, Refinement
from probatum.engine.requests import Request, Variant
from probatum.engine.rules import (
    AlphaBeta,
    BackwardRule,
    Box,
    ConstantsHeld,
    DeconvolutionReLU,
    Epsilon,
    Flat,
    Gamma,
    GuidedReLU,
    LayerRule,
    RelevanceRule,
    ReLUCoverage,
    ReLURule,
    WSquare,
)
from probatum.engine.sampling import Expansion, Noise, NumberedPath, PointStream, Rows, StraightPath
from probatum.engine.targets import Targets, TargetsLike
from probatum.engine.trace import LayerCall, execution_order, find_layer, used_parameters

__all__ = [
    "ATTENTION",
    "LOGIT",
    "MULTIPLIERS",
    "PLAIN",
    "PRECISIONS",
    "AlphaBeta",
    "AttentionWeights",
    "BackwardRule",
    "Box",
    "Compute",
    "ConstantsHeld",
    "DeconvolutionReLU",
    "Distribution",
    "EachBaseline",
    "Effort",
    "Epsilon",
    "Evaluation",
    "Expansion",
    "ExternalMaps",
    "Extra",
    "FeatureMap",
    "Flat",
    "Gamma",
    "GivenBaselines",
    "GuidedReLU",
    "InputGradient",
    "LayerCall",
    "LayerGradient",
    "LayerRule",
    "Layout",
    "Logit",
    "LogitsOf",
    "MakeMaps",
    "Maps",
    "Measurement",
    "Multipliers",
    "Noise",
    "NoisyBaselines",
    "NumberedPath",
    "Output",
    "PointStream",
    "PreparedModel",
    "RandomPath",
    "ReLUCoverage",
    "ReLURule",
    "Reference",
    "Refinement",
    "RelevanceRule",
    "Request",
    "Rows",
    "SlidingWindow",
    "StraightPath",
    "Targets",
    "TargetsLike",
    "Tick",
    "Tokens",
    "Variant",
    "WSquare",
    "all_logits",
    "as_layout",
    "copy_model",
    "execution_order",
    "find_feature_map",
    "find_layer",
    "frozen_copy",
    "held_coverage",
    "image_keys",
    "most_tokens",
    "prepare",
    "prepare_like",
    "prepare_with",
    "relu_coverage",
    "run",
    "run_variants",
    "token_layouts",
    "used_parameters",
]
