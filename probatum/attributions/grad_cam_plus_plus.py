"""Grad-CAM++: Grad-CAM whose weights count each place where a feature map speaks for the class."""

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from probatum.attributions.class_activation import ClassActivationMap
from probatum.engine import Evaluation, FeatureMap


@dataclass(frozen=True)
class GradCAMPlusPlus(ClassActivationMap):
    """The feature maps A_k of a layer, weighted by their positive gradients g, each counted by a factor α.

        α_k,ij = g²_k,ij / (2 g²_k,ij + Σ_ab A_k,ab · g³_k,ij)        w_k = Σ_ij α_k,ij · ReLU(g_k,ij)
        M = upsample( ReLU( Σ_k w_k A_k ) ),   g = ∂ S_c / ∂ A

    Only g > 0 enters, where α_k,ij = 1 / (2 + g_k,ij Σ_ab A_k,ab), which is how it is computed.

    Source: Chattopadhay, Sarkar, Howlader & Balasubramanian (2018), arXiv:1710.11063, equations 5, 7 and 19.

    Args:
        layer: as for `GradCAM`. The paper's layer ends in a ReLU: where Σ_ab A_k,ab is negative, the denominator of α
            may come close to zero and one place may outweigh all others.
        relu: the paper's final ReLU.
        layout: as for `GradCAM`.

    Returns (when called):
        (batch, 1, *space), not negative with `relu`.

    Raises:
        UnknownName, ModelError: as `GradCAM`.

    Differs from the paper: the factor exp(S_c), one number for each image, is left out of the weights, because it
        overflows in float32 beyond a logit of 88. A map of the paper is exp(S_c) M.
    """

    title = "Grad-CAM++"

    def value(self, at: Evaluation, feature_map: FeatureMap) -> Float[Tensor, "rows 1 *space"]:
        """The enlarged map of each row."""
        activation, gradient = feature_map.read(at)
        space = tuple(range(2, activation.ndim))
        positive = gradient.relu()
        counted = positive / (2 + positive * activation.sum(space, keepdim=True))
        weights = counted.sum(space, keepdim=True)  # (rows, channel, 1, 1)
        return self.enlarged((weights * activation).sum(1, keepdim=True), at)
