"""The rule of the DeconvNet at each ReLU."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from probatum.engine.rules.relu import Rectifier, ReLURule


@dataclass(frozen=True)
class DeconvolutionReLU(ReLURule):
    """Positive signals pass, whatever the input was.

        R_in = 1[R_out > 0] · R_out

    Source: Zeiler & Fergus (2014), arXiv:1311.2901, section 2.1 ("Rectification").
    """

    title: ClassVar[str] = "DeconvNet"

    def passed_on(self, rectifier: Rectifier) -> Callable[[Tensor, Tensor], Tensor]:
        """Takes the arriving signal in place of autograd's gradient, which is zero where the input was negative."""
        return lambda gradient, arriving: arriving.clamp(min=0).to(gradient.dtype)
