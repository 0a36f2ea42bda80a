"""Backward rules, one a file: what a backward pass does differently at some calls of the forward pass."""

from probatum.engine.rules.base import Backward, BackwardRule, RuledPass, RulePass
from probatum.engine.rules.deconvolution import DeconvolutionReLU
from probatum.engine.rules.guided import GuidedReLU
from probatum.engine.rules.relu import Rectifier, ReLUCoverage, ReLURule

__all__ = [
    "Backward",
    "BackwardRule",
    "DeconvolutionReLU",
    "GuidedReLU",
    "ReLUCoverage",
    "ReLURule",
    "Rectifier",
    "RulePass",
    "RuledPass",
]
