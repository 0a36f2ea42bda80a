"""Input × Gradient: each input value times its gradient."""

from dataclasses import dataclass

from torch import Tensor

from probatum.attributions.base import Method
from probatum.engine import PLAIN, Evaluation, PreparedModel, Request


@dataclass(frozen=True)
class InputXGradient(Method):
    """The elementwise product of the input and the gradient.

        M(x) = x ⊙ ∂ S_c(x) / ∂ x

    Source: Shrikumar, Greenside, Shcherbina & Kundaje (2016), arXiv:1605.01713. Its local counterpart, without the
    multiplier, is `Gradient`.
    """

    title = "Input × Gradient"

    def request(self, prepared: PreparedModel, images: Tensor) -> Request:
        """One point, the image itself."""
        return Request(self.value, frozenset({PLAIN}))

    @staticmethod
    def value(at: Evaluation) -> Tensor:
        """The product x ⊙ ∂ S_c / ∂ x; under SmoothGrad, x is the noisy image."""
        return at.points * at.gradient
