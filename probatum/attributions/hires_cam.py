"""HiResCAM: where the features of a layer speak for a class, each by its own gradient."""

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from probatum.attributions.class_activation import ClassActivationMap
from probatum.engine import Evaluation, FeatureMap


@dataclass(frozen=True)
class HiResCAM(ClassActivationMap):
    """The features of a layer, each times its own gradient, summed over the channels and enlarged to the image.

        M = upsample( Σ_k ∂ S_c / ∂ A_k ⊙ A_k )

    Where nothing but a linear layer follows, the map before its enlargement sums to the logit less its bias. Where
    the mean over the places and a linear layer follow, it is Grad-CAM without the ReLU.

    Source: Draelos & Carin (2020), arXiv:2011.08891.

    Args:
        layer: as for `GradCAM`.
        relu: whether what speaks against the class is cut off; the paper keeps it.
        layout: as for `GradCAM`.

    Returns (when called):
        (batch, 1, *space), signed.

    Raises:
        UnknownName, ModelError: as `GradCAM`.
    """

    relu: bool = False
    title = "HiResCAM"

    def value(self, at: Evaluation, feature_map: FeatureMap) -> Float[Tensor, "rows 1 *space"]:
        """The enlarged map of each row."""
        activation, gradient = feature_map.read(at)
        return self.enlarged((activation * gradient).sum(1, keepdim=True), at)
