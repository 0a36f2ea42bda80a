"""Backward rules, one a file: what a backward pass does differently at some calls of the forward pass."""

from probatum.engine.rules.base import BackwardRule, RuledPass, RulePass
from probatum.engine.rules.constants_held import ConstantsHeld, HeldCoverage
from probatum.engine.rules.deconvolution import DeconvolutionReLU
from probatum.engine.rules.guided import GuidedReLU
from probatum.engine.rules.hooks import Arrival, Backward
from probatum.engine.rules.layer_rules import AlphaBeta, Box, Epsilon, Flat, Gamma, LayerRule, WSquare
from probatum.engine.rules.relevance import RelevanceRule
from probatum.engine.rules.relu import Rectifier, ReLUCoverage, ReLURule

__all__ = [
    "AlphaBeta",
    "Arrival",
    "Backward",
    "BackwardRule",
    "Box",
    "ConstantsHeld",
    "DeconvolutionReLU",
    "Epsilon",
    "Flat",
    "Gamma",
    "GuidedReLU",
    "HeldCoverage",
    "LayerRule",
    "ReLUCoverage",
    "ReLURule",
    "Rectifier",
    "RelevanceRule",
    "RulePass",
    "RuledPass",
    "WSquare",
]
