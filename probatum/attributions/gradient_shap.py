"""GradientSHAP: gradients at random places between the image and random baselines."""

import math
from dataclasses import dataclass, field

from torch import Tensor

from probatum.attributions.baselines import Baselines, Zero, as_distribution
from probatum.attributions.completeness import CompleteMethod
from probatum.engine import PLAIN, Evaluation, Expansion, NoisyBaselines, PreparedModel, RandomPath, Request
from probatum.engine.arguments import require_count
from probatum.errors import InvalidInput


@dataclass(frozen=True)
class GradientSHAP(CompleteMethod):
    """Integrated Gradients in expectation over baselines, by one random point of a path for each sample.

        M(x) = 1/n Σ_k (x̃_k − x′_k) ⊙ ∂ S_c(x′_k + α_k (x̃_k − x′_k)) / ∂ x,   x̃_k = x + σ ε_k

    with x′_k any of the baselines, α_k ~ U(0, 1) and ε_k ~ N(0, 1). Completeness holds in expectation alone:
    E Σ M(x) = E [S_c(x̃) − S_c(x′)]. `convergence_delta` tells what the drawn samples lack of it.

    Source: Lundberg & Lee (2017), arXiv:1705.07874, and its code; Erion et al. (2021), arXiv:1906.10670, equation 3
    ("expected gradients").

    Args:
        samples: n.
        baselines: as for `DeepLiftSHAP`, whose noisy baselines are the same at one seed.
        noise_fraction: σ as a fraction of the image's range; 0 explains the image itself, as in the papers.
        multiply_by_inputs: True is the global variant above; False the local one, the mean of the gradients.

    Raises:
        InvalidInput: the baselines do not fit the images or are not finite.

    Differs from the paper:
        1. The default baselines are those of `DeepLiftSHAP`; the papers take training images.
    """

    samples: int = 50
    baselines: Baselines = field(default_factory=lambda: NoisyBaselines(Zero()))
    noise_fraction: float = 0.0
    multiply_by_inputs: bool = True
    title = "GradientSHAP"
    stochastic = True

    def __post_init__(self) -> None:
        require_count("samples of GradientSHAP", self.samples)
        if not (math.isfinite(self.noise_fraction) and self.noise_fraction >= 0):
            raise InvalidInput(f"the noise fraction of GradientSHAP is {self.noise_fraction}; it is at least 0")

    def request(self, prepared: PreparedModel, images: Tensor) -> Request:
        """The drawn points."""
        return Request(self.value, frozenset({PLAIN}), self.endpoints(images))

    def endpoints(self, images: Tensor) -> tuple[Expansion, ...]:
        """From each drawn baseline to the image, or to its noisy version."""
        return (RandomPath(self.samples, as_distribution(self.baselines, images), self.noise_fraction),)

    def value(self, at: Evaluation) -> Tensor:
        """(x̃ − x′) ⊙ ∂ S_c / ∂ x at one drawn point."""
        return (at.origins - at.baselines) * at.gradient if self.multiply_by_inputs else at.gradient
