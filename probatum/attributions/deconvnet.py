"""DeconvNet: a class's signal, sent back through the network as through a second one that mirrors it."""

from dataclasses import dataclass

from torch import Tensor

from probatum.attributions.base import Method
from probatum.engine import DeconvolutionReLU, Evaluation, InputGradient, PreparedModel, Request


@dataclass(frozen=True)
class DeconvNet(Method):
    """The gradient under a modified backward rule at each ReLU: the rectified signal, whatever the ReLU's input was.

        R_in = 1[R_out > 0] · R_out

    where R_out is the signal that arrives from above and R_in the one passed on. Max-pools send it to where the maximum
    was (the paper's switches) and convolutions through their transposed filters, which are their plain gradients.

    Source: Zeiler & Fergus (2014), arXiv:1311.2901, section 2.1.

    Args:
        min_coverage: as for `GuidedBackprop`.

    Raises:
        ModelError: as `GuidedBackprop`.

    Differs from the paper:
        1. The signal starts at a class's logit, not at a feature map of an inner layer.
        2. Layers that the paper's network does not have, such as batch norm, pass their plain gradient.
    """

    min_coverage: float = 0.5
    title = "DeconvNet"

    def __post_init__(self) -> None:
        DeconvolutionReLU(self.min_coverage)  # refuses what is no share

    @property
    def rule(self) -> DeconvolutionReLU:
        """The rule at each ReLU."""
        return DeconvolutionReLU(self.min_coverage)

    def request(self, prepared: PreparedModel, images: Tensor) -> Request:
        """One point, the image itself."""
        return Request(self.value, frozenset({InputGradient(self.rule)}))

    def value(self, at: Evaluation) -> Tensor:
        """The rectified signal at the image."""
        return at.gradient_under(self.rule)
