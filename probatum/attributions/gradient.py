"""Gradient: how the logit changes with each input value."""

from dataclasses import dataclass

from torch import Tensor

from probatum.attributions.base import Method
from probatum.engine import PLAIN, Evaluation, PreparedModel, Request


@dataclass(frozen=True)
class Gradient(Method):
    """The gradient of the target's logit.

        M(x) = ∂ S_c(x) / ∂ x

    Source: Simonyan, Vedaldi & Zisserman (2014), arXiv:1312.6034, section 3.

    Differs from the paper:
        1. The map is signed and has all channels; the paper takes the largest magnitude over the channels.
    """

    title = "Gradient"

    def request(self, prepared: PreparedModel, images: Tensor) -> Request:
        """One point, the image itself."""
        return Request(self.value, frozenset({PLAIN}))

    @staticmethod
    def value(at: Evaluation) -> Tensor:
        """∂ S_c / ∂ x."""
        return at.gradient
