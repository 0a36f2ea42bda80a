"""The networks of Shin and Nemeth 2021, layer by layer against what their appendix B prints."""

import pytest
import torch
from torch import nn

from probatum.attributions import GradCAM
from probatum.engine import prepare
from probatum.models.shin import VGG11, WideAlexNet
from probatum.models.stages import GRAD_CAM_LAYERS, STAGES
from probatum.randomization import stages_from_table

# (path, inputs, outputs, kernel, stride, padding) and (path, inputs, outputs)
ALEXNET = [
    ("features.0", 3, 128, 11, 4, 2),
    ("features.3", 128, 384, 5, 1, 2),
    ("features.6", 384, 480, 3, 1, 1),
    ("features.8", 480, 384, 3, 1, 1),
    ("features.10", 384, 256, 3, 1, 1),
    ("classifier.1", 9216, 8192),
    ("classifier.4", 8192, 4096),
    ("classifier.6", 4096, 10),
]
VGG = [
    ("features.0", 3, 64, 3, 1, 1),
    ("features.3", 64, 128, 3, 1, 1),
    ("features.6", 128, 256, 3, 1, 1),
    ("features.8", 256, 256, 3, 1, 1),
    ("features.11", 256, 512, 3, 1, 1),
    ("features.13", 512, 512, 3, 1, 1),
    ("features.16", 512, 512, 3, 1, 1),
    ("features.18", 512, 512, 3, 1, 1),
    ("classifier.0", 25088, 4096),
    ("classifier.3", 4096, 4096),
    ("classifier.6", 4096, 10),
]
POOLS = {WideAlexNet: {2: (3, 2), 5: (3, 2), 12: (3, 2)}, VGG11: dict.fromkeys((2, 5, 10, 15, 20), (2, 2))}
DROPOUTS = {WideAlexNet: (0, 3), VGG11: (2, 5)}


def described(path, module):
    if isinstance(module, nn.Linear):
        return path, module.in_features, module.out_features
    kernel, stride, padding = (set(pair) for pair in (module.kernel_size, module.stride, module.padding))
    return path, module.in_channels, module.out_channels, *(pair.pop() for pair in (kernel, stride, padding))


@pytest.mark.parametrize(
    ("network", "printed", "parameters"), [(WideAlexNet, ALEXNET, 114_584_554), (VGG11, VGG, 128_807_306)]
)
def test_the_layers_are_those_of_the_appendix(network, printed, parameters):
    with torch.device("meta"):
        model = network()
        logits = model(torch.empty(2, 3, 64, 64))
    layers = [(path, module) for path, module in model.named_modules() if isinstance(module, (nn.Conv2d, nn.Linear))]
    assert [described(path, module) for path, module in layers] == printed
    assert sum(parameter.numel() for parameter in model.parameters()) == parameters
    assert logits.shape == (2, 10)
    pools = {
        index: (module.kernel_size, module.stride)
        for index, module in enumerate(model.features)
        if isinstance(module, nn.MaxPool2d)
    }
    assert pools == POOLS[network]
    assert model.avgpool.output_size == ((6, 6) if network is WideAlexNet else (7, 7))
    rates = {index: module.p for index, module in enumerate(model.classifier) if isinstance(module, nn.Dropout)}
    assert rates == dict.fromkeys(DROPOUTS[network], 0.5)
    rectified = [module for module in model.modules() if isinstance(module, nn.ReLU)]
    assert len(rectified) == len(layers) - 1
    assert all(module.inplace for module in rectified)


@pytest.mark.parametrize(("network", "name"), [(WideAlexNet, "alexnet"), (VGG11, "vgg11")])
def test_the_tables_of_torchvision_fit(network, name):
    model = network(3, width=1 / 32).eval()
    images = torch.randn(1, 3, 64, 64)
    plan = stages_from_table(model, STAGES[name], images=images)
    assert not plan.unused
    assert len(plan.stages) == {"alexnet": 8, "vgg11": 11}[name]
    assert GradCAM().path(prepare(model), images) == GRAD_CAM_LAYERS[name]


@pytest.mark.parametrize(("network", "last"), [(WideAlexNet, 3), (VGG11, 4)])
def test_sizes_at_64_pixels_and_width(network, last):
    model = network(4, width=1 / 64)
    images = torch.randn(2, 3, 64, 64)
    assert model.features[:-1](images).shape[2:] == (last, last)
    assert model(images).shape == (2, 4)
    assert model.classifier[-1].in_features == 64


@pytest.mark.parametrize("network", [WideAlexNet, VGG11])
def test_first_weights_keep_the_size_of_the_signal(network):
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        model = network(10, width=0.125)
    for module in model.modules():
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            fan_in = module.weight[0].numel()
            # Of 80 weights at least, the standard deviation is known to 8 %, and 4 of these are allowed.
            expected = (2 / fan_in) ** 0.5
            spread = 4 / (2 * module.weight.numel()) ** 0.5
            assert float(module.weight.detach().std()) == pytest.approx(expected, rel=spread)
            assert not module.bias.detach().any()
