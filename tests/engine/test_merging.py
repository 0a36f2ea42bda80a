"""What several methods need is computed once, and no backward pass goes farther than it must."""

import pytest
import torch
from nets import PROBE, CallCounter, ConvNet, images, seeded
from torch import nn

from probatum import attribute
from probatum.attributions import GradCAM, Gradient, InputXGradient, SmoothGrad


def test_equal_noise_is_met_once():
    counter = CallCounter(seeded(ConvNet))
    methods = {
        "smooth": SmoothGrad(samples=6),
        "product": SmoothGrad(InputXGradient(), samples=6),
        "variance": SmoothGrad(samples=6, statistic="variance"),
    }
    attribute(counter, images(), 0, methods, chunk=10)
    assert counter.calls == PROBE + [10] * 3
    counter.calls.clear()
    attribute(counter, images(), 0, methods | {"other": SmoothGrad(samples=6, noise_fraction=0.1)}, chunk=10)
    assert counter.calls == [10] * 6


class _Fence(torch.autograd.Function):
    """No backward pass may go through here."""

    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, gradient):
        raise AssertionError("the backward pass went on beyond the layer")


class Fenced(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.before, self.after = nn.Conv2d(2, 3, 3), nn.Conv2d(3, 3, 3)
        self.head = nn.Linear(3, 4)

    def forward(self, x):
        return self.head(self.after(_Fence.apply(self.before(x))).relu().mean((2, 3)))


def test_grad_cam_alone_stops_at_its_layer():
    model = seeded(Fenced)
    assert GradCAM("after")(model, images(), 0).any()
    with pytest.raises(AssertionError, match="beyond the layer"):  # the fence stands
        Gradient()(model, images(), 0)
