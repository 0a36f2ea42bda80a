"""Guided Backprop: a gradient that drops what is negative at every ReLU."""

from dataclasses import dataclass

from torch import Tensor

from probatum.attributions.base import Method
from probatum.engine import Evaluation, GuidedReLU, InputGradient, PreparedModel, Request


@dataclass(frozen=True)
class GuidedBackprop(Method):
    """The gradient under a modified backward rule at each ReLU.

        R_in = 1[x > 0] · 1[R_out > 0] · R_out

    where x is the ReLU's input, R_out the signal that arrives from above and R_in the one passed on. Every ReLU call on
    the way from the image to the logits is guided, however the model spells it: modules, in-place and reused ones,
    functions, clamps at zero, `x * (x > 0)`. A ceiling (ReLU6) stops the signal where x lies above it, too.

    Source: Springenberg, Dosovitskiy, Brox & Riedmiller (2014), arXiv:1412.6806, section 3.4.

    Args:
        min_coverage: the least share of the activations that must be ReLUs, 0 to 1. Others, such as SiLU and GELU, pass
            the plain gradient; `engine.relu_coverage` counts both. 0 takes any network with a ReLU that can be guided.

    Raises:
        ModelError: the model makes no ReLU call, too few of its activations are ReLUs, or it hides a ReLU from autograd
            (`no_grad`, a custom autograd function).

    Differs from the paper:
        1. The signal starts at a class's logit, not at a neuron of an inner layer.
    """

    min_coverage: float = 0.5
    title = "Guided Backprop"

    def __post_init__(self) -> None:
        GuidedReLU(self.min_coverage)  # refuses what is no share

    @property
    def rule(self) -> GuidedReLU:
        """The rule at each ReLU."""
        return GuidedReLU(self.min_coverage)

    def request(self, prepared: PreparedModel, images: Tensor) -> Request:
        """One point, the image itself."""
        return Request(self.value, frozenset({InputGradient(self.rule)}))

    def value(self, at: Evaluation) -> Tensor:
        """The guided ∂ S_c / ∂ x."""
        return at.gradient_under(self.rule)
