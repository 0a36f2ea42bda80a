"""Grad-CAM: where the feature maps of a layer speak for a class."""

from dataclasses import dataclass
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from probatum.attributions.base import Method
from probatum.engine import Evaluation, LayerGradient, PreparedModel, Request
from probatum.errors import InvalidInput, ModelError


@dataclass(frozen=True)
class GradCAM(Method):
    """The feature maps A_k of a layer, weighted by their mean gradients, rectified and enlarged to the image.

        α_k = mean_{ij} ∂ S_c / ∂ A_k,ij        M = upsample( ReLU( Σ_k α_k A_k ) )

    Source: Selvaraju et al. (2017), arXiv:1610.02391, equations 1 and 2. The enlargement is bilinear.

    Args:
        layer: dotted path of a layer whose output is (batch, channel, height, width) and which a forward pass calls
            once; None takes the convolution that is called last.
        relu: the paper's final ReLU; without it, negative evidence stays visible.

    Returns (when called):
        (batch, 1, height, width), not negative with `relu`. A map may be all zero where nothing speaks for the class.

    Raises:
        UnknownName: no layer has this path.
        ModelError: the layer's output is not a feature map, is made more than once, or does not reach the logits.
    """

    layer: str | None = None
    relu: bool = True
    title: ClassVar[str] = "Grad-CAM"

    def request(self, prepared: PreparedModel, images: Tensor) -> Request:
        """One point, the image itself."""
        path = self.path(prepared, images)
        return Request(lambda at: self.value(at, path), frozenset({LayerGradient(path)}))

    def path(self, prepared: PreparedModel, images: Tensor) -> str:
        """The layer that is meant."""
        if images.ndim != 4:
            raise InvalidInput(f"{self.title} needs (batch, channel, height, width) images, got {tuple(images.shape)}")
        return self.layer if self.layer is not None else prepared.default_layer(images)

    def value(self, at: Evaluation, path: str) -> Float[Tensor, "rows 1 height width"]:
        """The enlarged map of each row."""
        activation, gradient = at.layer(path)
        if activation.ndim != 4:
            raise ModelError(
                f"layer {path!r} returns shape {tuple(activation.shape)}; "
                "Grad-CAM needs (batch, channel, height, width) feature maps"
            )
        weights = gradient.mean((2, 3), keepdim=True)  # (rows, channel, 1, 1)
        cam = (weights * activation).sum(1, keepdim=True)  # (rows, 1, layer height, layer width)
        if self.relu:
            cam = cam.relu()
        return F.interpolate(cam, size=at.points.shape[2:], mode="bilinear", align_corners=False)
