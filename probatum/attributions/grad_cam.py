"""Grad-CAM: where the feature maps of a layer speak for a class."""

import math
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from probatum.attributions.class_activation import ClassActivationMap
from probatum.engine import Evaluation, FeatureMap
from probatum.errors import InvalidInput

PAIR_OFFSET = 1.0
"""What PAIR's `saliency` at commit 333d307a adds to the sum of the feature maps; commit 1f6fc55 took it out."""


@dataclass(frozen=True)
class GradCAM(ClassActivationMap):
    """The feature maps A_k of a layer, weighted by their mean gradients, rectified and enlarged to the image.

        α_k = mean_{ij} ∂ S_c / ∂ A_k,ij        M = upsample( ReLU( offset + Σ_k α_k A_k ) )

    Source: Selvaraju et al. (2017), arXiv:1610.02391, equations 1 and 2. The enlargement is linear in every direction.

    Args:
        layer: dotted path of a layer which a forward pass calls once, or the module itself; None takes the last feature
            map, larger than one place, that every path from the image to the logits passes.
        relu: the paper's final ReLU; without it, negative evidence stays visible.
        layout: of the layer's output: "nchw" for (batch, channel, *space), "nhwc" for (batch, *space, channel),
            `Tokens(prefix, grid)` for (batch, token, channel); "auto" takes the one that the forward pass shows.
        offset: 0 in the paper. The first Grad-CAM of PAIR's `saliency`, with which Adebayo et al. (2018) worked,
            begins its sum with ones: `PAIR_OFFSET`.

    Returns (when called):
        (batch, 1, *space) with the images' one to three axes of space, not negative with `relu`. A map may be all zero
        where nothing speaks for the class.

    Raises:
        UnknownName: no layer has this path.
        ModelError: the layer's output is no feature map, is made more than once, or does not reach the logits; its
            layout does not show; its map could only be constant; or no layer will do where none is named.

    Differs from the paper: tokens, channels behind, and one or three axes of space are read as well.
    """

    offset: float = 0.0
    title = "Grad-CAM"

    def __post_init__(self) -> None:
        if not math.isfinite(self.offset):
            raise InvalidInput(f"offset is {self.offset}; it must be finite")

    def value(self, at: Evaluation, feature_map: FeatureMap) -> Float[Tensor, "rows 1 *space"]:
        """The enlarged map of each row."""
        activation, gradient = feature_map.read(at)
        space = tuple(range(2, activation.ndim))
        weights = gradient.mean(space, keepdim=True)  # (rows, channel, 1, 1)
        cam = self.offset + (weights * activation).sum(1, keepdim=True)  # (rows, 1, layer height, layer width)
        return self.enlarged(cam, at)
