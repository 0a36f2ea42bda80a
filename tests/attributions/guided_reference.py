"""An independent Guided Backprop: an autograd function in the place of every way to call a ReLU."""

from contextlib import contextmanager

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F


class _Guided(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x.clamp(min=0)

    @staticmethod
    def backward(ctx, signal):
        (x,) = ctx.saved_tensors
        return torch.where((x > 0) & (signal > 0), signal, torch.zeros_like(signal))


class _Deconvolved(_Guided):
    @staticmethod
    def backward(ctx, signal):
        return signal.clamp(min=0)


@contextmanager
def guided_relus(function=_Guided):
    """Patches torch for the block; yields a list that gets one entry a call."""
    calls = []

    def relu(input, inplace=False):
        calls.append(inplace)
        return function.apply(input)

    with pytest.MonkeyPatch.context() as patch:
        for owner, name in [(F, "relu"), (F, "relu_"), (torch, "relu"), (torch, "relu_")]:
            patch.setattr(owner, name, relu)
        for name in ("relu", "relu_"):
            patch.setattr(Tensor, name, relu)
        yield calls


def deconvolved_relus():
    """The same with the DeconvNet's rule."""
    return guided_relus(_Deconvolved)


def plain_gradient(model: nn.Module, images: Tensor, target: int) -> Tensor:
    """∂ logit / ∂ image by autograd alone."""
    leaf = images.clone().requires_grad_()
    return torch.autograd.grad(model(leaf.clone())[:, target].sum(), leaf)[0]


def guided_gradient(model: nn.Module, images: Tensor, target: int) -> tuple[Tensor, int]:
    """The guided gradient of a model in eval mode, and the number of ReLU calls of its forward pass."""
    with guided_relus() as calls:
        return plain_gradient(model, images, target), len(calls)
