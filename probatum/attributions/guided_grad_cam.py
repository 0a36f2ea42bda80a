"""Guided Grad-CAM: Guided Backprop's detail inside Grad-CAM's region."""

from dataclasses import dataclass, replace

from torch import Tensor, nn

from probatum.attributions.base import Method
from probatum.attributions.grad_cam import GradCAM
from probatum.attributions.guided_backprop import GuidedBackprop
from probatum.engine import Evaluation, InputGradient, LayerGradient, PreparedModel, Request, Tokens


@dataclass(frozen=True)
class GuidedGradCAM(Method):
    """The elementwise product of Guided Backprop and the enlarged Grad-CAM map.

        M(x) = GuidedBackprop(x) ⊙ GradCAM(x)

    Source: Selvaraju et al. (2017), arXiv:1610.02391, section 3.3.

    Args:
        layer: as for `GradCAM`.
        layout: likewise.
        min_coverage: as for `GuidedBackprop`.
        offset: as for `GradCAM`.

    Raises:
        ModelError: what `GuidedBackprop` and `GradCAM` raise.
    """

    layer: str | nn.Module | None = None
    layout: str | Tokens = "auto"
    min_coverage: float = 0.5
    offset: float = 0.0
    title = "Guided Grad-CAM"

    def __post_init__(self) -> None:
        GuidedBackprop(self.min_coverage)
        GradCAM(offset=self.offset)

    def resolve(self, prepared: PreparedModel, images: Tensor) -> "GuidedGradCAM":
        """This method with the layer and the layout that it takes."""
        found = self._cam.feature_map(prepared, images)
        return replace(self, layer=found.path, layout=found.layout)

    def request(self, prepared: PreparedModel, images: Tensor) -> Request:
        """One point; one forward pass serves the guided backward pass and the plain one to the layer."""
        cam, guided = self._cam, GuidedBackprop(self.min_coverage)
        feature_map = cam.feature_map(prepared, images)

        def value(at: Evaluation) -> Tensor:
            return guided.value(at) * cam.value(at, feature_map)

        return Request(value, frozenset({InputGradient(guided.rule), LayerGradient(feature_map.path)}))

    @property
    def _cam(self) -> GradCAM:
        return GradCAM(self.layer, layout=self.layout, offset=self.offset)
