"""Guided Grad-CAM: Guided Backprop's detail inside Grad-CAM's region."""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from probatum.attributions.base import Method
from probatum.attributions.grad_cam import GradCAM
from probatum.attributions.guided_backprop import GuidedBackprop
from probatum.engine import Evaluation, InputGradient, LayerGradient, PreparedModel, Request


@dataclass(frozen=True)
class GuidedGradCAM(Method):
    """The elementwise product of Guided Backprop and the enlarged Grad-CAM map.

        M(x) = GuidedBackprop(x) ⊙ GradCAM(x)

    Source: Selvaraju et al. (2017), arXiv:1610.02391, section 3.3.

    Args:
        layer: as for `GradCAM`.
        min_coverage: as for `GuidedBackprop`.

    Raises:
        ModelError: what `GuidedBackprop` and `GradCAM` raise.
    """

    layer: str | None = None
    min_coverage: float = 0.5
    title: ClassVar[str] = "Guided Grad-CAM"

    def __post_init__(self) -> None:
        GuidedBackprop(self.min_coverage)

    def request(self, prepared: PreparedModel, images: Tensor) -> Request:
        """One point; one forward pass serves the guided backward pass and the plain one to the layer."""
        cam, guided = GradCAM(self.layer), GuidedBackprop(self.min_coverage)
        path = cam.path(prepared, images)

        def value(at: Evaluation) -> Tensor:
            return guided.value(at) * cam.value(at, path)

        return Request(value, frozenset({InputGradient(guided.rule), LayerGradient(path)}))
