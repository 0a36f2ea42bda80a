"""The edge detector: a control that looks like an attribution and knows no model."""

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from probatum.attributions.base import Method
from probatum.engine import Evaluation, PreparedModel, Request
from probatum.errors import InvalidInput


@dataclass(frozen=True)
class EdgeDetector(Method):
    """The magnitude of the Sobel gradient of the image, channel by channel.

        M(x) = √( (G_h² + G_v²) / 2 ),  G_h = x * ([1 2 1]ᵀ/4 · [1 0 −1]),  G_v likewise across

    Its map is the same for every model, so each similarity of a sanity check must be 1: what scores like the edge
    detector says nothing about the model (Adebayo et al. 2018, arXiv:1810.03292, section 5.3).

    Source: Sobel & Feldman (1968); equal to `skimage.filters.sobel`, at the mirrored borders too.
    """

    title = "Edge Detector"

    def request(self, prepared: PreparedModel, images: Tensor) -> Request:
        """No model call at all."""
        if images.ndim != 4:
            raise InvalidInput(f"{self.title} needs (batch, channel, height, width) images, got {tuple(images.shape)}")
        return Request(self.value)

    @staticmethod
    def value(at: Evaluation) -> Float[Tensor, "rows channel height width"]:
        """Edge strength of each row's image, not negative."""
        images = at.points
        smooth = images.new_tensor([1.0, 2.0, 1.0]) / 4
        slope = images.new_tensor([1.0, 0.0, -1.0])
        down, across = smooth[:, None] * slope, slope[:, None] * smooth  # (3, 3) each
        kernels = (down.expand(images.shape[1], 1, 3, 3), across.expand(images.shape[1], 1, 3, 3))
        padded = F.pad(images, (1, 1, 1, 1), mode="replicate")
        horizontal, vertical = (F.conv2d(padded, kernel, groups=images.shape[1]) for kernel in kernels)
        return ((horizontal.square() + vertical.square()) / 2).sqrt()
