"""Occlusion: how the logit falls while a window hides a part of the image."""

from dataclasses import dataclass

import torch
from torch import Tensor

from probatum.attributions.base import Method
from probatum.attributions.baselines import Baseline, as_baseline
from probatum.engine import LOGIT, Evaluation, PreparedModel, Request, SlidingWindow
from probatum.errors import InvalidInput

Sizes = int | tuple[int, ...] | None


@dataclass(frozen=True)
class Occlusion(Method):
    """The fall of the target's logit while a sliding window shows a baseline x′ in place of the image.

        M(x)_i = 1/|K_i| Σ_{k ∈ K_i} (S_c(x) − S_c(x_k)),  x_k = x′ in window k and x elsewhere

    where K_i are the windows that cover pixel i.

    It needs logits alone, one forward pass for each window and one for the image, so the model need not be
    differentiable.

    Source: Zeiler & Fergus (2014), arXiv:1311.2901, section 4.2.

    Args:
        window: its size in pixels: one number for all spatial axes; one for each, which hides all channels together;
            or one for each axis, the channels' first. None is an eighth of each spatial axis.
        stride: pixels from one window to the next, in the same form, at most the window; None is half a window.
        baseline: x′: "zero", "blurred", "mean", `Black(level=...)`, a tensor, or a function of the images.

    Raises:
        InvalidInput: window or stride do not fit the images, or the baseline does not.

    Differs from the paper:
        1. The map holds the fall of the logit, not the probability that is left.
        2. The paper's gray square has no stated size and moves without a stated stride.
    """

    window: Sizes = None
    stride: Sizes = None
    baseline: Baseline | Tensor | str = "zero"
    title = "Occlusion"

    def request(self, prepared: PreparedModel, images: Tensor) -> Request:
        """The image, and a copy for each window."""
        shape = images.shape[1:]
        window, stride = self.sizes(shape)
        sliding = SlidingWindow(tuple(shape), window, stride, as_baseline(self.baseline))
        return Request(self.value, frozenset({LOGIT}), (sliding,))

    def sizes(self, shape: torch.Size) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Window and stride along every axis of an image, the channels' first."""
        spatial = shape[1:] or shape  # vectors have no channels
        window = _sizes(self.window, tuple(max(1, round(length / 8)) for length in spatial), tuple(shape))
        stride = _sizes(self.stride, tuple((size + 1) // 2 for size in window[-len(spatial) :]), window)
        for name, sizes, largest in (("window", window, tuple(shape)), ("stride", stride, window)):
            if len(sizes) != len(shape) or not all(
                1 <= size <= most for size, most in zip(sizes, largest, strict=True)
            ):
                raise InvalidInput(
                    f"a {name} of {sizes} does not fit images of shape {tuple(shape)}: give a number, or one for each "
                    f"spatial axis, or one for each axis, from 1 to {largest}"
                )
        return window, stride

    @staticmethod
    def value(at: Evaluation) -> Tensor:
        """The logit of the image, or of a copy, times its share in the mean over the windows that cover each value."""
        return at.logit * at.shares


def _sizes(given: Sizes, usual: tuple[int, ...], whole: tuple[int, ...]) -> tuple[int, ...]:
    """Sizes along all axes; where none is given for the channels, they stay together."""
    if given is None:
        given = usual
    elif isinstance(given, int):
        given = (given,) * len(usual)
    return (whole[0], *given) if len(given) == len(whole) - 1 else given
