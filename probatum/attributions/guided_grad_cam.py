"""Guided Grad-CAM: Guided Backprop's detail inside Grad-CAM's region."""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from probatum.attributions.base import Method
from probatum.attributions.grad_cam import GradCAM
from probatum.engine import GUIDED, Evaluation, LayerGradient, PreparedModel, Request


@dataclass(frozen=True)
class GuidedGradCAM(Method):
    """The elementwise product of Guided Backprop and the enlarged Grad-CAM map.

        M(x) = GuidedBackprop(x) ⊙ GradCAM(x)

    Source: Selvaraju et al. (2017), arXiv:1610.02391, section 3.3.

    Args:
        layer: as for `GradCAM`.

    Raises:
        ModelError: what `GuidedBackprop` and `GradCAM` raise.
    """

    layer: str | None = None
    title: ClassVar[str] = "Guided Grad-CAM"

    def request(self, prepared: PreparedModel, images: Tensor) -> Request:
        """One point; one forward pass serves the guided backward pass and the plain one to the layer."""
        cam = GradCAM(self.layer)
        path = cam.path(prepared, images)

        def value(at: Evaluation) -> Tensor:
            return at.guided_gradient * cam.value(at, path)

        return Request(value, frozenset({GUIDED, LayerGradient(path)}))
