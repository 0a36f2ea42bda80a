"""Base class of class activation maps: they combine the features of one layer with the logit's gradients there."""

from abc import abstractmethod
from dataclasses import dataclass, replace
from typing import TypeVar

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from probatum.attributions.base import Method
from probatum.engine import (
    Evaluation,
    FeatureMap,
    LayerGradient,
    PreparedModel,
    Request,
    Tokens,
    as_layout,
    find_feature_map,
)
from probatum.errors import InvalidInput

_INTERPOLATION = {1: "linear", 2: "bilinear", 3: "trilinear"}  # by the number of axes of space
_Map = TypeVar("_Map", bound="ClassActivationMap")


@dataclass(frozen=True)
class ClassActivationMap(Method):
    """A map of the features A_k of a layer and the gradients ∂ S_c / ∂ A_k, enlarged to the image.

    Args:
        layer: dotted path of a layer which a forward pass calls once, or the module itself; None takes the last feature
            map, larger than one place, that every path from the image to the logits passes.
        relu: whether what speaks against the class is cut off before the map is enlarged.
        layout: of the layer's output: "nchw" for (batch, channel, *space), "nhwc" for (batch, *space, channel),
            `Tokens(prefix, grid)` for (batch, token, channel); "auto" takes the one that the forward pass shows.
    """

    layer: str | nn.Module | None = None
    relu: bool = True
    layout: str | Tokens = "auto"

    @abstractmethod
    def value(self, at: Evaluation, feature_map: FeatureMap) -> Float[Tensor, "rows 1 *space"]:
        """The enlarged map of each row."""

    def resolve(self: _Map, prepared: PreparedModel, images: Tensor) -> _Map:
        """This method with the layer and the layout that it takes."""
        found = self.feature_map(prepared, images)
        return replace(self, layer=found.path, layout=found.layout)

    def request(self, prepared: PreparedModel, images: Tensor) -> Request:
        """One point, the image itself."""
        feature_map = self.feature_map(prepared, images)
        return Request(lambda at: self.value(at, feature_map), frozenset({LayerGradient(feature_map.path)}))

    def feature_map(self, prepared: PreparedModel, images: Tensor) -> FeatureMap:
        """The layer that is meant, and its layout."""
        if not 3 <= images.ndim <= 5:
            raise InvalidInput(
                f"{self.title} needs images with one to three axes of space, such as (batch, channel, height, width), "
                f"got {tuple(images.shape)}"
            )
        return find_feature_map(prepared, images, self.layer, as_layout(self.layout))

    def path(self, prepared: PreparedModel, images: Tensor) -> str:
        """The layer that is meant."""
        return self.feature_map(prepared, images).path

    def enlarged(self, cam: Float[Tensor, "rows 1 *space"], at: Evaluation) -> Float[Tensor, "rows 1 *larger"]:
        """Maps of the layer's size, rectified where asked for and then interpolated to the size of the images."""
        return enlarge(cam.relu() if self.relu else cam, at.points.shape[2:])


def enlarge(cam: Float[Tensor, "rows 1 *space"], size: tuple[int, ...]) -> Float[Tensor, "rows 1 *larger"]:
    """Interpolates maps, linearly in every direction, to a size."""
    return F.interpolate(cam, size=size, mode=_INTERPOLATION[len(size)], align_corners=False)
