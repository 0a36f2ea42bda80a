"""Small networks with every kind of parameter, and weights that look trained."""

import torch
from nets import seeded
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.models import convnext, densenet, resnet, squeezenet, swin_transformer, vision_transformer

IMAGES = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(5))


class Auxiliary(nn.Module):
    """Has a head that evaluation leaves out, batch norm without affine parameters, and a PReLU."""

    def __init__(self) -> None:
        super().__init__()
        self.auxiliary = nn.Sequential(nn.Conv2d(6, 4, 1), nn.BatchNorm2d(4), nn.Flatten(), nn.LazyLinear(5))
        self.stem = nn.Conv2d(3, 6, 3, stride=4)
        self.norm = nn.BatchNorm2d(6, affine=False)
        self.act = nn.PReLU()
        self.head = nn.Linear(6, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.act(self.norm(self.stem(x)))
        logits = self.head(x.mean((2, 3)))
        return logits + self.auxiliary(x) if self.training else logits


class Tied(nn.Module):
    """Two layers share one matrix; a third is called twice; a fourth is registered under two names."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(48, 48)
        self.twice = nn.Linear(48, 48)
        self.left = nn.Linear(48, 48)
        self.right = self.left
        self.last = nn.Linear(48, 48)
        self.last.weight = self.first.weight

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.first(F.avg_pool2d(x, 8).flatten(1)))
        x = F.relu(self.twice(F.relu(self.twice(x))))
        return self.last(F.relu(self.right(F.relu(self.left(x)))))


class Functional(nn.Module):
    """Registers its layers in the wrong order, calls none of them as a module, and holds matrices of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(7, 5)
        self.stem = nn.Conv2d(3, 6, 3)
        self.mix = nn.Parameter(torch.randn(6, 7))
        self.shift = nn.Parameter(torch.randn(7))

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(F.conv2d(x, self.stem.weight, self.stem.bias)).mean((2, 3))
        return F.linear(x @ self.mix + self.shift, self.head.weight, self.head.bias)


class Recurrent(nn.Module):
    """An LSTM over the rows of the image, and a layer with parametrized weights."""

    def __init__(self) -> None:
        super().__init__()
        self.rows = nn.LSTM(96, 8, batch_first=True)
        self.head = nn.utils.parametrizations.weight_norm(nn.Linear(8, 5))

    def forward(self, x: Tensor) -> Tensor:
        hidden, _ = self.rows(x.transpose(1, 2).flatten(2))  # (batch, height, channel * width)
        return self.head(hidden[:, -1])


def _resnet() -> nn.Module:
    shortcut = nn.Sequential(nn.Conv2d(8, 12, 1, stride=2), nn.BatchNorm2d(12))
    return nn.Sequential(
        nn.Sequential(nn.Conv2d(3, 8, 3, stride=2), nn.BatchNorm2d(8), nn.ReLU()),
        resnet.BasicBlock(8, 8),
        resnet.BasicBlock(8, 12, 2, shortcut),
        nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()),
        nn.Linear(12, 5),
    )


def _squeezenet() -> nn.Module:
    fire = squeezenet.Fire
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=2), fire(8, 4, 6, 6), fire(12, 4, 6, 6), nn.Conv2d(12, 5, 15), nn.Flatten()
    )


def _convnext() -> nn.Module:
    config = convnext.CNBlockConfig
    return convnext.ConvNeXt([config(8, 16, 1), config(16, None, 1)], layer_scale=0.5, num_classes=5)


NETS = {
    "auxiliary": Auxiliary,
    "tied": Tied,
    "functional": Functional,
    "recurrent": Recurrent,
    "resnet": _resnet,
    "densenet": lambda: densenet.DenseNet(4, (1, 2), 8, num_classes=5),
    "squeezenet": _squeezenet,
    "vit": lambda: vision_transformer.VisionTransformer(32, 16, 2, 2, 12, 20, num_classes=5),
    "swin": lambda: swin_transformer.SwinTransformer([4, 4], 12, [1, 1], [2, 2], [4, 4], num_classes=5),
    "convnext": _convnext,
}


def trained(name: str, dtype: torch.dtype = torch.float32) -> nn.Module:
    """Builds a network whose parameters and running statistics are all away from where layers start."""
    model = seeded(NETS[name], dtype=dtype).eval()
    generator = torch.Generator().manual_seed(9)
    if name == "auxiliary":
        model.auxiliary(torch.zeros(2, 6, 8, 8, dtype=dtype))  # gives the lazy layer its shape
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.1 * torch.randn(parameter.shape, generator=generator).to(dtype)
        for buffer_name, buffer in model.named_buffers():
            if buffer_name.endswith(("running_mean", "running_var")):
                buffer += 0.2 * torch.rand(buffer.shape, generator=generator).to(dtype)
    return model


def state(model: nn.Module) -> dict[str, Tensor]:
    """A deep copy of everything that the model stores."""
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}
