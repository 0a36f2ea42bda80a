"""The two networks that Shin and Nemeth 2021 train on permuted labels, as printed in their appendix B.

Modules are named as in torchvision, so `STAGES["alexnet"]` and `STAGES["vgg11"]` apply. The paper does not give the
initializer; here weights start from the normal distribution of He et al. 2015 (arXiv:1502.01852), which preserves the
scale of the signal at any width, and biases from 0.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn


class WideAlexNet(nn.Module):
    """AlexNet with wider layers (appendix B.3): 114,584,554 parameters for ten classes.

    Takes (batch, 3, height, width) from 63x63 pixels, returns logits (batch, num_classes).

    Args:
        num_classes: of the last layer.
        width: factor on the printed widths of all hidden layers, for short runs.
    """

    def __init__(self, num_classes: int = 10, width: float = 1.0) -> None:
        super().__init__()
        conv1, conv2, conv3, conv4, conv5 = _scaled(width, 128, 384, 480, 384, 256)
        dense1, dense2 = _scaled(width, 8192, 4096)
        self.features = nn.Sequential(
            nn.Conv2d(3, conv1, kernel_size=11, stride=4, padding=2),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(kernel_size=3, stride=2),
            nn.Conv2d(conv1, conv2, kernel_size=5, padding=2),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(kernel_size=3, stride=2),
            nn.Conv2d(conv2, conv3, kernel_size=3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(conv3, conv4, kernel_size=3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(conv4, conv5, kernel_size=3, padding=1),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(kernel_size=3, stride=2),
        )
        self.avgpool = nn.AdaptiveAvgPool2d((6, 6))
        self.classifier = nn.Sequential(
            nn.Dropout(0.5),
            nn.Linear(conv5 * 6 * 6, dense1),
            nn.ReLU(inplace=True),
            nn.Dropout(0.5),
            nn.Linear(dense1, dense2),
            nn.ReLU(inplace=True),
            nn.Linear(dense2, num_classes),
        )
        _initialize(self)

    def forward(self, images: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch classes"]:
        """Return the logits."""
        logits: Tensor = self.classifier(torch.flatten(self.avgpool(self.features(images)), 1))
        return logits


class VGG11(nn.Module):
    """VGG-11 without batch norm (appendix B.4): 128,807,306 parameters for ten classes.

    Takes (batch, 3, height, width) from 32x32 pixels, returns logits (batch, num_classes).

    Args:
        num_classes: of the last layer.
        width: factor on the printed widths of all hidden layers, for short runs.
    """

    def __init__(self, num_classes: int = 10, width: float = 1.0) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = 3
        for block in ((64,), (128,), (256, 256), (512, 512), (512, 512)):
            for outputs in _scaled(width, *block):
                layers += [nn.Conv2d(channels, outputs, kernel_size=3, padding=1), nn.ReLU(inplace=True)]
                channels = outputs
            layers.append(nn.MaxPool2d(kernel_size=2, stride=2))
        (dense,) = _scaled(width, 4096)
        self.features = nn.Sequential(*layers)
        self.avgpool = nn.AdaptiveAvgPool2d((7, 7))
        self.classifier = nn.Sequential(
            nn.Linear(channels * 7 * 7, dense),
            nn.ReLU(inplace=True),
            nn.Dropout(0.5),
            nn.Linear(dense, dense),
            nn.ReLU(inplace=True),
            nn.Dropout(0.5),
            nn.Linear(dense, num_classes),
        )
        _initialize(self)

    def forward(self, images: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch classes"]:
        """Return the logits."""
        logits: Tensor = self.classifier(torch.flatten(self.avgpool(self.features(images)), 1))
        return logits


def _scaled(width: float, *printed: int) -> tuple[int, ...]:
    """Scale the printed widths; each is at least 1."""
    return tuple(max(1, round(width * count)) for count in printed)


def _initialize(model: nn.Module) -> None:
    """Draw the initial weights from the global generator, as torch's modules do."""
    for module in model.modules():
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
