"""Guided Backprop: a gradient that drops what is negative at every ReLU."""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from probatum.attributions.base import Method
from probatum.engine import GUIDED, Evaluation, PreparedModel, Request


@dataclass(frozen=True)
class GuidedBackprop(Method):
    """The gradient under a modified backward rule at each ReLU.

        R_in = 1[x > 0] · 1[R_out > 0] · R_out

    where x is the ReLU's input, R_out the signal that arrives from above and R_in the one passed on. Every ReLU call is
    guided: modules, in-place and reused ones, `F.relu`, `torch.relu` and `Tensor.relu`. Other activations pass the
    plain gradient; `engine.relu_coverage` counts both.

    Source: Springenberg, Dosovitskiy, Brox & Riedmiller (2014), arXiv:1412.6806, section 3.4.

    Raises:
        ModelError: the model makes no ReLU call.

    Differs from the paper:
        1. The signal starts at a class's logit, not at a neuron of an inner layer.
    """

    title: ClassVar[str] = "Guided Backprop"

    def request(self, prepared: PreparedModel, images: Tensor) -> Request:
        """One point, the image itself."""
        return Request(self.value, frozenset({GUIDED}))

    @staticmethod
    def value(at: Evaluation) -> Tensor:
        """The guided ∂ S_c / ∂ x."""
        return at.guided_gradient
