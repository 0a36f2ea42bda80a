import contextlib
import functools

import pytest
import torch
import torchvision
from torch import nn

from probatum.attributions import GradCAM
from probatum.engine import prepare
from probatum.models import MLP, MODELS, BasicCNN, load_model
from probatum.models.registry import find_source
from probatum.models.stages import GRAD_CAM_LAYERS, STAGES


@functools.cache
def skeleton(name: str) -> nn.Module:
    """The model without memory for its weights."""
    with torch.device("meta"):
        return find_source(name).build(initialize=False)


@pytest.mark.parametrize("name", STAGES)
def test_every_parameter_and_buffer_belongs_to_exactly_one_stage(name):
    model = skeleton(name)
    owners = dict.fromkeys(model.state_dict(), 0)
    for _, paths in STAGES[name]:
        for path in paths:
            for key in model.get_submodule(path).state_dict():
                owners[f"{path}.{key}"] += 1
    assert set(owners.values()) == {1}
    assert len({stage for stage, _ in STAGES[name]}) == len(STAGES[name])


@pytest.mark.parametrize("name", [name for name in STAGES if name != "inception_v3"])
def test_stages_run_from_output_to_input(name):
    # torchvision registers the modules of these networks in the order of their execution
    keys = list(skeleton(name).state_dict())
    first = [keys.index(next(key for key in keys if key.startswith(f"{paths[0]}."))) for _, paths in STAGES[name]]
    assert first == sorted(first, reverse=True)


def test_inception_stages_are_those_of_the_figure_and_run_from_output_to_input():
    assert " ".join(name for name, _ in STAGES["inception_v3"]) == (
        "Logits Mixed_7c Mixed_7b Mixed_7a Mixed_6e Mixed_6d Mixed_6c Mixed_6b Mixed_6a Mixed_5d Mixed_5c Mixed_5b "
        "Conv2d_4a Conv2d_3b Conv2d_2b Conv2d_2a Conv2d_1a"
    )
    order: list[str] = []
    model = skeleton("inception_v3").eval()
    paths = [path for _, paths in STAGES["inception_v3"] for path in paths]
    with contextlib.ExitStack() as hooks:
        for path in paths:
            module = model.get_submodule(path)
            hooks.enter_context(module.register_forward_hook(lambda *_, path=path: order.append(path)))
        model(torch.zeros(1, 3, 299, 299, device="meta"))
    assert order == paths[::-1]


def test_resnet18_stages_are_those_of_wienecke_and_hinrichs():
    names = " ".join(name for name, _ in STAGES["resnet18"])
    assert names == "fc layer4.1 layer4.0 layer3.1 layer3.0 layer2.1 layer2.0 layer1.1 layer1.0 conv1"


def test_parameters_of_torchvisions_inception_outside_the_stages_are_the_auxiliary_ones():
    with torch.device("meta"):
        model = torchvision.models.inception_v3(init_weights=False)
    staged = tuple(f"{path}." for _, paths in STAGES["inception_v3"] for path in paths)
    left = {key.split(".")[0] for key in model.state_dict() if not key.startswith(staged)}
    assert left == set(MODELS["inception_v3"].auxiliary) == {"AuxLogits"}


@pytest.mark.parametrize("name", GRAD_CAM_LAYERS)
def test_the_layers_of_the_papers_are_those_that_grad_cam_finds(name):
    spec, model = MODELS[name], load_model(name, "none")
    image = torch.randn(1, spec.channels, spec.input_size, spec.input_size)
    assert GradCAM().resolve(prepare(model), image) == GradCAM(GRAD_CAM_LAYERS[name], layout="nchw")


def test_basic_cnn_is_the_printed_network():
    model = BasicCNN()
    shapes = {key: tuple(value.shape) for key, value in model.state_dict().items()}
    assert shapes == {
        "conv1.weight": (32, 1, 5, 5),
        "conv1.bias": (32,),
        "conv2.weight": (64, 32, 5, 5),
        "conv2.bias": (64,),
        "linear1.weight": (1024, 3136),
        "linear1.bias": (1024,),
        "linear2.weight": (10, 1024),
        "linear2.bias": (10,),
    }
    assert model(torch.zeros(2, 1, 28, 28)).shape == (2, 10)


def test_mlp_widths():
    assert [layer.out_features for layer in MLP(7) if isinstance(layer, nn.Linear)] == [2500, 1500, 500, 7]
    assert MLP(7)(torch.zeros(2, 1, 28, 28)).shape == (2, 7)
