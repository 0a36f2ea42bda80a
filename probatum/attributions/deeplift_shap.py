"""DeepLiftSHAP: DeepLIFT, averaged over a distribution of baselines."""

from dataclasses import dataclass, field

from torch import Tensor

from probatum.attributions.baselines import Baselines, Zero, as_distribution
from probatum.attributions.completeness import CompleteMethod
from probatum.attributions.deeplift import DeepLIFT
from probatum.engine import MULTIPLIERS, EachBaseline, Expansion, NoisyBaselines, PreparedModel, Request


@dataclass(frozen=True)
class DeepLiftSHAP(CompleteMethod):
    """The mean of DeepLIFT's maps over K baselines, which approximates Shapley values of the inputs.

        M(x) = 1/K Σ_k (x − x′_k) ⊙ m(x, x′_k)

    The maps are complete: Σ M(x) = S_c(x) − 1/K Σ_k S_c(x′_k), checked for each baseline.

    Source: Lundberg & Lee (2017), arXiv:1705.07874, section 4.2 ("Deep SHAP").

    Args:
        baselines: x′_k: a tensor (K, ...) such as some training images; a function of the images, (batch, ...) ->
            (batch, K, ...); or `NoisyBaselines`, which are drawn for each image apart and need no data.
        multiply_by_inputs: True is the global variant above; False the local one, the mean of the multipliers.

    Raises:
        InvalidInput: the baselines do not fit the images or are not finite.
        ModelError: what `DeepLIFT` raises.

    Differs from the paper:
        1. Its baselines are training images. The default, which needs none, are ten draws of Gaussian noise around
           zero, σ a fifth of the image's range.
    """

    baselines: Baselines = field(default_factory=lambda: NoisyBaselines(Zero()))
    multiply_by_inputs: bool = True
    title = "DeepLiftSHAP"
    stochastic = True

    def request(self, prepared: PreparedModel, images: Tensor) -> Request:
        """The image beside each baseline."""
        value = DeepLIFT(multiply_by_inputs=self.multiply_by_inputs).value
        return Request(value, frozenset({MULTIPLIERS}), self.endpoints(images))

    def endpoints(self, images: Tensor) -> tuple[Expansion, ...]:
        """From every baseline to the image."""
        return (EachBaseline(as_distribution(self.baselines, images)),)
