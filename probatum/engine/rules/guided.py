"""The rule of Guided Backprop at each ReLU."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from probatum.engine.rules.relu import Rectifier, ReLURule


@dataclass(frozen=True)
class GuidedReLU(ReLURule):
    """Positive signals pass where the input was positive.

        R_in = 1[x > 0] · 1[R_out > 0] · R_out

    At a ReLU with a ceiling c, such as ReLU6, 1[0 < x < c] takes the place of 1[x > 0].

    Source: Springenberg, Dosovitskiy, Brox & Riedmiller (2014), arXiv:1412.6806, section 3.4.
    """

    title: ClassVar[str] = "Guided Backprop"

    def passed_on(self, rectifier: Rectifier) -> Callable[[Tensor, Tensor], Tensor]:
        """Drops what is negative in 1[x > 0] · R_out, a new tensor that the call's own backward pass has made."""
        if rectifier.strict:
            return lambda gradient, arriving: gradient.clamp_(min=0)
        outside = rectifier.outside()
        return lambda gradient, arriving: gradient.clamp_(min=0).masked_fill_(outside, 0)
