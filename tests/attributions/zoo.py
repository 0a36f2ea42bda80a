"""Networks of torchvision with random weights, in float64, small enough for a test."""

import math

import torch
import torchvision
from torch import Tensor, nn

# Pixels of the smallest image that a network takes, rounded up, and the ReLU calls of its forward pass.
ZOO = {
    "resnet18": (64, 17),
    "vgg11": (64, 10),
    "alexnet": (64, 7),
    "squeezenet1_0": (64, 26),
    "densenet121": (64, 121),
    "googlenet": (64, 57),
    "inception_v3": (80, 94),
}
_OPTIONS = {"googlenet": {"aux_logits": False}, "inception_v3": {"aux_logits": False}}


def zoo_net(name: str) -> nn.Module:
    """Builds a network in eval mode, with batch-norm statistics that let negative signals arise."""
    with torch.device("meta"):  # no storage and no slow initialization
        options = {"init_weights": False} if name in ("vgg11", "googlenet", "inception_v3") else {}
        model = getattr(torchvision.models, name)(num_classes=10, **options, **_OPTIONS.get(name, {}))
        for child, linear in [*model.named_children()]:
            if name in ("vgg11", "alexnet") and child == "classifier":
                wide = [layer for layer in linear if isinstance(layer, nn.Linear)]
                # The published widths need a gigabyte in float64.
                narrow = [nn.Linear(wide[0].in_features, 32), nn.Linear(32, 32), nn.Linear(32, 10)]
                model.classifier = nn.Sequential(*[narrow[wide.index(m)] if m in wide else m for m in linear])
    model = model.double().to_empty(device="cpu").eval().requires_grad_(False)
    generator = torch.Generator().manual_seed(0)
    for tensor_name, tensor in model.state_dict().items():
        if tensor.ndim > 1:
            tensor.normal_(0, math.sqrt(2 / tensor[0].numel()), generator=generator)
        elif tensor_name.endswith("running_var"):
            tensor.uniform_(0.5, 2, generator=generator)
        elif tensor_name.endswith(("bias", "running_mean")):
            tensor.normal_(0, 0.1, generator=generator)
        elif tensor.is_floating_point():  # the scales of batch norm
            tensor.uniform_(0.5, 1.5, generator=generator)
    return model


def zoo_image(name: str) -> Tensor:
    """One random image."""
    pixels = ZOO[name][0]
    generator = torch.Generator().manual_seed(1)
    return torch.randn(1, 3, pixels, pixels, generator=generator, dtype=torch.float64)
