"""The two models of Adebayo et al. 2018 (arXiv 1810.03292) with gradients in closed form."""

from collections import OrderedDict

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F


class LinearModel(nn.Sequential):
    """A linear map from pixels to logits, f_c(x) = w_c · x + b_c, whose gradient w_c does not depend on x.

    Takes (batch, channels, size, size), returns logits (batch, num_classes).

    Args:
        num_classes: number of logits.
        channels: of the images.
        size: height and width of the images in pixels.
    """

    def __init__(self, num_classes: int = 10, channels: int = 1, size: int = 28) -> None:
        super().__init__(
            OrderedDict(flatten=nn.Flatten(), linear=nn.Linear(channels * size * size, num_classes)),
        )


class SumPoolingConv(nn.Module):
    """One convolution, a ReLU, and the sum over all positions: f_c(x) = Σ_ij ReLU(w_c * x)_ij.

    The gradient at a pixel is the sum of the weights of the active windows that contain it. It is constant where all
    windows are active and changes only where activity changes, which happens along edges. Takes (batch, channels,
    height, width), returns one logit per filter (batch, filters).

    Args:
        filters: number of filters and logits.
        channels: of the images.
        kernel_size: side of a filter in pixels.
    """

    def __init__(self, filters: int = 1, channels: int = 1, kernel_size: int = 3) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, filters, kernel_size, padding=kernel_size // 2, bias=False)

    def forward(self, images: Float[Tensor, "batch channels height width"]) -> Float[Tensor, "batch filters"]:
        """Return the sums."""
        return F.relu(self.conv(images)).sum(dim=(2, 3))
