"""Tiny networks that the laws are tested on: the same function in several spellings, float64, seeded."""

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

SHAPE = (3, 8, 8)
CLASSES = 4


def seeded(network: type[nn.Module], seed: int = 0) -> nn.Module:
    """A network with weights from a seed, in eval mode and float64; the global random state stays."""
    with torch.random.fork_rng([]):
        model = network().to(torch.float64)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(0.3 * torch.randn(parameter.shape, generator=generator, dtype=torch.float64))
    return model.eval()


def images(batch: int = 3, seed: int = 1) -> Tensor:
    """Random images, (batch, 3, 8, 8)."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(batch, *SHAPE, generator=generator, dtype=torch.float64)


class Linear(nn.Module):
    """S(x) = W x + b."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(3 * 8 * 8, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        """The logits."""
        return cast(Tensor, self.head(x.flatten(1)))


class ConvNet(nn.Module):
    """Two convolutions with ReLUs and a max-pool, each a module of its own, and a dense layer."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 6, 3, padding=1)
        self.relu1 = nn.ReLU()
        self.pool = nn.MaxPool2d(2)
        self.conv2 = nn.Conv2d(6, 5, 3, padding=1)
        self.relu2 = nn.ReLU()
        self.head = nn.Linear(5 * 4 * 4, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        """The logits."""
        x = self.pool(self.relu1(self.conv1(x)))
        return cast(Tensor, self.head(self.relu2(self.conv2(x)).flatten(1)))


class FunctionalReLU(ConvNet):
    """Calls `F.relu` in place of the modules."""

    def forward(self, x: Tensor) -> Tensor:
        """The logits."""
        x = self.pool(F.relu(self.conv1(x)))
        return cast(Tensor, self.head(F.relu(self.conv2(x)).flatten(1)))


class InPlaceReLU(ConvNet):
    """Its ReLUs overwrite their inputs."""

    def __init__(self) -> None:
        super().__init__()
        self.relu1, self.relu2 = nn.ReLU(inplace=True), nn.ReLU(inplace=True)


class ReusedReLU(ConvNet):
    """One ReLU module is called twice."""

    def __init__(self) -> None:
        super().__init__()
        self.relu2 = self.relu1


class Separated(ConvNet):
    """A multiplication by one stands between each ReLU and what follows it."""

    def forward(self, x: Tensor) -> Tensor:
        """The logits."""
        x = self.pool(self.relu1(self.conv1(x)) * 1.0)
        return cast(Tensor, self.head((self.relu2(self.conv2(x)) * 1.0).flatten(1)))


class Overlapping(ConvNet):
    """The windows of its max-pool overlap."""

    def __init__(self) -> None:
        super().__init__()
        self.pool = nn.MaxPool2d(3, stride=2, padding=1)


class BatchNormNet(ConvNet):
    """A batch norm follows the first convolution."""

    def __init__(self) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(6)

    def forward(self, x: Tensor) -> Tensor:
        """The logits."""
        x = self.pool(self.relu1(self.bn1(self.conv1(x))))
        return cast(Tensor, self.head(self.relu2(self.conv2(x)).flatten(1)))


class Shifted(ConvNet):
    """f(x − 1): the network of another origin of the inputs."""

    def forward(self, x: Tensor) -> Tensor:
        """The logits."""
        return super().forward(x - 1.0)


class FailingHead(ConvNet):
    """Raises an error after its convolutions."""

    def forward(self, x: Tensor) -> Tensor:
        """Raises RuntimeError."""
        super().forward(x)
        raise RuntimeError("the model of this law fails on purpose")


def rescaled(model: nn.Module) -> nn.Module:
    """The same function: the first convolution doubled, the weights of the second halved."""
    factors = {"conv1.weight": 2.0, "conv1.bias": 2.0, "conv2.weight": 0.5}
    other = seeded(ConvNet)
    other.load_state_dict({name: value * factors.get(name, 1.0) for name, value in model.state_dict().items()})
    return other
