"""The papers' small networks for 28x28 gray images, with layers named as in the papers' randomizations."""

from collections import OrderedDict

from torch import nn


class BasicCNN(nn.Sequential):
    """Two 5x5 convolutions and two dense layers with 32, 64, 1024 and `num_classes` outputs.

    Takes (batch, 1, 28, 28), returns logits (batch, num_classes). The network of Adebayo et al. 2018 (arXiv 1810.03292)
    on MNIST, with the layer names of Wienecke and Hinrichs 2021. The convolutions are padded, so the dense layers get
    64 x 7 x 7 = 3136 features.
    """

    def __init__(self, num_classes: int = 10) -> None:
        super().__init__(
            OrderedDict(
                conv1=nn.Conv2d(1, 32, kernel_size=5, padding=2),
                relu1=nn.ReLU(),
                maxpool1=nn.MaxPool2d(2),
                conv2=nn.Conv2d(32, 64, kernel_size=5, padding=2),
                relu2=nn.ReLU(),
                maxpool2=nn.MaxPool2d(2),
                flatten=nn.Flatten(),
                linear1=nn.Linear(64 * 7 * 7, 1024),
                relu3=nn.ReLU(),
                linear2=nn.Linear(1024, num_classes),
            )
        )


class MLP(nn.Sequential):
    """Four dense layers with 2500, 1500, 500 and `num_classes` outputs, as in the code of Adebayo et al. 2018.

    Takes (batch, 1, 28, 28), returns logits (batch, num_classes).

    Differs from the paper: weights start from PyTorch's uniform initializer, not a truncated normal.
    """

    def __init__(self, num_classes: int = 10) -> None:
        super().__init__(
            OrderedDict(
                flatten=nn.Flatten(),
                linear1=nn.Linear(28 * 28, 2500),
                relu1=nn.ReLU(),
                linear2=nn.Linear(2500, 1500),
                relu2=nn.ReLU(),
                linear3=nn.Linear(1500, 500),
                relu3=nn.ReLU(),
                linear4=nn.Linear(500, num_classes),
            )
        )
