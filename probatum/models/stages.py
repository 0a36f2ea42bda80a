"""The stages in which the papers randomize a network, from the output to the input.

A stage is (name, dotted module paths). Each parameter that a prediction uses is in exactly one stage.
"""

Stages = tuple[tuple[str, tuple[str, ...]], ...]


def layer_stages(*paths: str) -> Stages:
    """Make one stage per layer, named by its path."""
    return tuple((path, (path,)) for path in paths)


def resnet_stages(*blocks: int) -> Stages:
    """Make one stage per residual block (Wienecke and Hinrichs 2021), given their number in layer1 to layer4."""
    residual = [f"layer{layer}.{block}" for layer, count in enumerate(blocks, 1) for block in range(count)]
    return (*layer_stages("fc", *reversed(residual)), ("conv1", ("conv1", "bn1")))


def vgg_stages(*convolutions: int, batch_norm: bool = False) -> Stages:
    """Make one stage per layer (Shin and Nemeth 2021); `convolutions` gives the number of each block.

    A batch norm belongs to the stage of its convolution.
    """
    stages: list[tuple[str, tuple[str, ...]]] = []
    index = 0
    for count in convolutions:
        for _ in range(count):
            path = f"features.{index}"
            stages.append((path, (path, f"features.{index + 1}") if batch_norm else (path,)))
            index += 3 if batch_norm else 2  # convolution, batch norm, ReLU
        index += 1  # pooling
    return (*layer_stages("classifier.6", "classifier.3", "classifier.0"), *reversed(stages))


_INCEPTION_V3: Stages = (
    ("Logits", ("fc",)),
    *layer_stages("Mixed_7c", "Mixed_7b", "Mixed_7a"),
    *layer_stages("Mixed_6e", "Mixed_6d", "Mixed_6c", "Mixed_6b", "Mixed_6a"),
    *layer_stages("Mixed_5d", "Mixed_5c", "Mixed_5b"),
    ("Conv2d_4a", ("Conv2d_4a_3x3",)),
    ("Conv2d_3b", ("Conv2d_3b_1x1",)),
    ("Conv2d_2b", ("Conv2d_2b_3x3",)),
    ("Conv2d_2a", ("Conv2d_2a_3x3",)),
    ("Conv2d_1a", ("Conv2d_1a_3x3",)),
)
"""The 17 stages of Adebayo et al. 2018, under the names of their figures."""


def _squeezenet_stages(*fire_modules: int) -> Stages:
    return layer_stages("classifier.1", *(f"features.{index}" for index in fire_modules), "features.0")


STAGES: dict[str, Stages] = {
    "basic_cnn": layer_stages("linear2", "linear1", "conv2", "conv1"),
    "mlp": layer_stages("linear4", "linear3", "linear2", "linear1"),
    "resnet18": resnet_stages(2, 2, 2, 2),
    "resnet34": resnet_stages(3, 4, 6, 3),
    "resnet50": resnet_stages(3, 4, 6, 3),
    "resnet101": resnet_stages(3, 4, 23, 3),
    "resnet152": resnet_stages(3, 8, 36, 3),
    "inception_v3": _INCEPTION_V3,
    "alexnet": layer_stages(
        *("classifier.6", "classifier.4", "classifier.1"),
        *("features.10", "features.8", "features.6", "features.3", "features.0"),
    ),
    "vgg11": vgg_stages(1, 1, 2, 2, 2),
    "vgg11_bn": vgg_stages(1, 1, 2, 2, 2, batch_norm=True),
    "vgg16": vgg_stages(2, 2, 3, 3, 3),
    "vgg16_bn": vgg_stages(2, 2, 3, 3, 3, batch_norm=True),
    "squeezenet1_0": _squeezenet_stages(12, 10, 9, 8, 7, 5, 4, 3),
    "squeezenet1_1": _squeezenet_stages(12, 11, 10, 9, 7, 6, 4, 3),
}
"""Stages by network; any other network has one stage per layer."""

GRAD_CAM_LAYERS: dict[str, str] = {
    "basic_cnn": "relu2",
    "resnet18": "layer4.1",
    "resnet34": "layer4.2",
    "resnet50": "layer4.2",
    "resnet101": "layer4.2",
    "resnet152": "layer4.2",
    "inception_v3": "Mixed_7c",
    "alexnet": "features.11",
    "vgg11": "features.19",
    "vgg11_bn": "features.27",
    "vgg16": "features.29",
    "vgg16_bn": "features.42",
    "squeezenet1_0": "features.12",
    "squeezenet1_1": "features.12",
}
"""The layers that Grad-CAM uses in the papers: the last convolution or block, after its ReLU.

The code of Selvaraju et al. 2017 uses relu5_3 of VGG-16 and relu5 of AlexNet; Shin and Nemeth 2021 name the last
convolution, whose own output would be ambiguous if the ReLU after it works in place. `GradCAM` finds the same layers
without this table.
"""
