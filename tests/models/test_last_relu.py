"""The ReLU that ends a network is found where there is one, and its input is what the model returns without it."""

import pytest
import torch
from torch import nn

from probatum.models import load_model
from probatum.models.last_relu import last_relu, without_last_relu


def pooled(*last: nn.Module) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 30, 1), *last).double().eval()


IMAGES = torch.randn(3, 3, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def test_the_last_relu_is_found_and_taken_out():
    net = pooled(nn.ReLU(), nn.AdaptiveMaxPool2d(1), nn.Flatten())
    net[2].bias.data -= 1.5
    assert last_relu(net, IMAGES) == "3"
    without = without_last_relu(net, "3")
    torch.testing.assert_close(without(IMAGES).clamp(min=0), net(IMAGES), rtol=0, atol=0)
    assert (without(IMAGES) < 0).any()
    assert isinstance(net[3], nn.ReLU)
    assert without[0].weight.data_ptr() == net[0].weight.data_ptr()


def test_the_last_relu_is_found_where_no_logit_is_zero():
    net = pooled(nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    net[2].bias.data += 5
    assert (net(IMAGES) > 0).all()
    assert last_relu(net, IMAGES) == "3"


class _Headless(nn.Module):
    """Its head is written without a module."""

    def __init__(self) -> None:
        super().__init__()
        self.body = pooled(nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.head = nn.Parameter(torch.randn(30, 5, generator=torch.Generator().manual_seed(2)))

    def forward(self, images):
        return self.body(images) @ self.head


class _Twice(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.relu, self.last = nn.ReLU(), pooled(nn.AdaptiveAvgPool2d(1), nn.Flatten())

    def forward(self, images):
        return self.relu(self.last(self.relu(images)))


@pytest.mark.parametrize(
    "net",
    [
        pooled(nn.Flatten()),  # outputs of both signs
        pooled(nn.Sigmoid(), nn.Flatten()),  # none is exactly 0
        pooled(nn.ReLU(), nn.Conv2d(30, 5, 1), nn.Hardtanh(0, 1), nn.Flatten()),  # weights behind the ReLU
        pooled(nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Softmax(1)),  # 1/30 behind a closed ReLU
        _Headless().double(),  # a linear head behind the ReLU
        _Twice().double(),  # a ReLU that is used elsewhere, too
    ],
)
def test_nothing_else_is_taken_for_one(net):
    assert last_relu(net, IMAGES) is None


def test_squeezenet_ends_in_a_relu():
    net = load_model("squeezenet1_1", "none", seed=0)
    images = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    assert last_relu(net, images) == "classifier.2"
    with torch.no_grad():
        assert (net(images) == 0).any()
        assert (without_last_relu(net, "classifier.2")(images) < 0).any()
