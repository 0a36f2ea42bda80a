"""Tiny networks whose maps are known or cheap, for tests of the engine and the methods."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

CLASSES = 4
SHAPE = (2, 11, 9)  # odd and not square, so that a swapped axis shows


def seeded(build, seed: int = 0, dtype: torch.dtype = torch.float64) -> nn.Module:
    """Builds a module with weights from a seed, without touching the global random state."""
    with torch.random.fork_rng([]):
        torch.manual_seed(seed)
        return build().to(dtype)


def images(batch: int = 5, shape: tuple[int, ...] = SHAPE, seed: int = 1, dtype: torch.dtype = torch.float64) -> Tensor:
    """Random images of different ranges."""
    generator = torch.Generator().manual_seed(seed)
    scale = torch.linspace(0.5, 2.0, batch, dtype=torch.float64).reshape(-1, *[1] * len(shape))
    return (torch.randn(batch, *shape, generator=generator, dtype=torch.float64) * scale).to(dtype)


class ConvNet(nn.Module):
    """Batch norm, in-place, reused and functional ReLUs, overlapping max-pool, a residual sum in place."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(SHAPE[0], 6, 3, padding=1)
        self.bn1 = nn.BatchNorm2d(6)
        self.relu = nn.ReLU(inplace=True)
        self.pool = nn.MaxPool2d(3, stride=2)
        self.conv2 = nn.Conv2d(6, 6, 3, padding=1)
        self.conv3 = nn.Conv2d(6, 8, 3, padding=1)
        self.drop = nn.Dropout(0.5)
        self.head = nn.Linear(8, CLASSES)
        nn.init.normal_(self.bn1.running_mean)
        nn.init.uniform_(self.bn1.running_var, 0.5, 2.0)

    def forward(self, x: Tensor) -> Tensor:
        x = self.pool(self.relu(self.bn1(self.conv1(x))))
        y = self.conv2(x)
        y += x
        y = F.relu(self.conv3(self.relu(y)))
        return self.head(self.drop(torch.relu_(y.mean((2, 3)) - 0.01)))


class TokenNet(nn.Module):
    """A small vision transformer: a class token, six patches of 4 × 3 pixels, attention by a call and written out."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(SHAPE[0], 8, (4, 3), stride=(4, 3))
        self.token = nn.Parameter(torch.randn(1, 1, 8))
        self.position = nn.Parameter(torch.randn(1, 7, 8))
        self.norms = nn.ModuleList(nn.LayerNorm(8) for _ in range(4))
        self.projections = nn.ModuleList(nn.Linear(8, 24) for _ in range(2))
        self.hidden = nn.ModuleList(nn.Sequential(nn.Linear(8, 12), nn.GELU(), nn.Linear(12, 8)) for _ in range(2))
        self.head = nn.Linear(8, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        places = self.patches(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(len(x), -1, -1), places], 1) + self.position
        for block, attention in enumerate((F.scaled_dot_product_attention, written_attention)):
            heads = self.projections[block](2 * self.norms[2 * block](x)).unflatten(2, (3, 2, 4)).permute(2, 0, 3, 1, 4)
            x = x + attention(*heads).transpose(1, 2).flatten(2)
            x = x + self.hidden[block](self.norms[2 * block + 1](x))
        return self.head(x[:, 0])


def written_attention(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Scaled dot-product attention by its parts."""
    return (query @ key.mT / query.shape[-1] ** 0.5).softmax(-1) @ value


class Perceptron(nn.Module):
    """A piecewise linear network without biases on any (batch, ...) input: its gradient times its input is complete."""

    def __init__(self, inputs: int = 2 * 11 * 9) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Flatten(),
            nn.Linear(inputs, 16, bias=False),
            nn.ReLU(),
            nn.Linear(16, 16, bias=False),
            nn.ReLU(),
            nn.Linear(16, CLASSES, bias=False),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)


class Linear(nn.Module):
    """S(x) = W x + b, whose gradient is W wherever it is taken."""

    def __init__(self, inputs: int = 2 * 11 * 9) -> None:
        super().__init__()
        self.linear = nn.Linear(inputs, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(x.flatten(1))


class Power(nn.Module):
    """S_c(x) = Σ_j a_cj x_j^p, whose gradient and path integral are known."""

    def __init__(self, power: int, inputs: int = 2 * 11 * 9) -> None:
        super().__init__()
        self.power = power
        self.coefficients = nn.Parameter(torch.randn(CLASSES, inputs))

    def forward(self, x: Tensor) -> Tensor:
        return x.flatten(1).pow(self.power) @ self.coefficients.T


PROBE = [1, 3]
"""The rows of the calls that find rows independent and passes repeatable, before the first others of a model."""


class CallCounter(nn.Module):
    """Records the rows of each call that reaches the wrapped model; the list is shared by all copies."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model
        calls: list[int] = []
        self.calls = calls
        self.register_forward_pre_hook(lambda module, inputs: calls.append(len(inputs[0])))

    def forward(self, x: Tensor) -> Tensor:
        return self.model(x)
