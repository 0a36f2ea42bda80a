"""LayerCAM: each feature of a layer, weighted by its own positive gradient."""

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from probatum.attributions.class_activation import ClassActivationMap
from probatum.engine import Evaluation, FeatureMap


@dataclass(frozen=True)
class LayerCAM(ClassActivationMap):
    """The features of a layer, each times its own gradient where that is positive, summed over the channels.

        M = upsample( ReLU( Σ_k ReLU(∂ S_c / ∂ A_k) ⊙ A_k ) )

    The weights keep their places, so that also early layers, with their fine grids, give maps that can be read.

    Source: Jiang, Zhang, Hou, Cheng & Wei (2021), IEEE Transactions on Image Processing 30, 5875-5888,
    doi:10.1109/TIP.2021.3089943.

    Args:
        layer: as for `GradCAM`.
        relu: the paper's final ReLU; it changes nothing behind a ReLU, where A is not negative.
        layout: as for `GradCAM`.

    Returns (when called):
        (batch, 1, *space), not negative with `relu`.

    Raises:
        UnknownName, ModelError: as `GradCAM`.

    Differs from the paper: maps of several layers are not fused, and those of shallow layers not scaled by tanh.
    """

    title = "LayerCAM"

    def value(self, at: Evaluation, feature_map: FeatureMap) -> Float[Tensor, "rows 1 *space"]:
        """The enlarged map of each row."""
        activation, gradient = feature_map.read(at)
        return self.enlarged((gradient.relu() * activation).sum(1, keepdim=True), at)
