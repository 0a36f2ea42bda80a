"""Agreement with Captum where Captum is right: networks whose ReLUs are modules, in float64."""

import copy

import pytest
import torch
from attributions.zoo import zoo_image, zoo_net

from probatum.attributions import (
    DeconvNet,
    GradCAM,
    Gradient,
    GuidedBackprop,
    GuidedGradCAM,
    InputXGradient,
    IntegratedGradients,
)

attr = pytest.importorskip("captum.attr")
# Captum tells on every call that it sets hooks and asks for gradients of the input.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")

NETS = ["resnet18", "vgg11", "squeezenet1_0"]
LAYERS = [
    ("resnet18", "layer3"),
    ("resnet18", "bn1"),  # overwritten by the in-place ReLU behind it
    ("resnet18", "layer4.1.bn2"),  # overwritten by the residual sum
    ("vgg11", "features.18"),  # overwritten likewise
    ("squeezenet1_0", "features.12"),
]


@pytest.fixture(scope="module", params=NETS)
def net(request):
    return _with_target(request.param)


@pytest.fixture(scope="module", params=LAYERS, ids="-".join)
def layer(request):
    name, path = request.param
    return *_with_target(name), path


def _with_target(name):
    """The predicted class: SqueezeNet ends in a ReLU, so that most of its logits have no gradient."""
    model, x = zoo_net(name), zoo_image(name)
    return model, x, int(model(x).argmax())


def assert_same(maps, expected, tolerance=1e-12):
    assert float(expected.abs().max()) > 0
    assert float((maps - expected.detach()).abs().max() / expected.abs().max()) < tolerance


def test_gradient(net):
    model, x, target = net
    assert_same(Gradient()(model, x, target), attr.Saliency(model).attribute(x, target, abs=False))


def test_input_x_gradient(net):
    model, x, target = net
    assert_same(InputXGradient()(model, x, target), attr.InputXGradient(model).attribute(x, target))


def test_guided_backprop(net):
    model, x, target = net
    assert_same(GuidedBackprop()(model, x, target), attr.GuidedBackprop(model).attribute(x, target))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_deconvnet_bit_for_bit(net, dtype):
    model, x, target = net
    model, x = copy.deepcopy(model).to(dtype), x.to(dtype)
    expected = attr.Deconvolution(model).attribute(x, target)
    assert float(expected.abs().max()) > 0
    assert torch.equal(DeconvNet()(model, x, target), expected)


@pytest.mark.parametrize(("rule", "method"), [("midpoint", "riemann_middle"), ("gauss-legendre", "gausslegendre")])
def test_integrated_gradients(net, rule, method):
    model, x, target = net
    baseline = torch.full_like(x, 0.3)
    expected = attr.IntegratedGradients(model).attribute(x, baseline, target, n_steps=6, method=method)
    # Captum rounds its step sizes to float32, which also moves a few ReLUs from one side of zero to the other.
    assert_same(IntegratedGradients(6, baseline, rule)(model, x, target), expected, tolerance=1e-6)


def test_grad_cam(layer):
    model, x, target, path = layer
    cam = attr.LayerGradCam(model, model.get_submodule(path)).attribute(x, target, relu_attributions=True)
    expected = attr.LayerAttribution.interpolate(cam, x.shape[2:], "bilinear")
    assert_same(GradCAM(path)(model, x, target), expected)


def test_guided_grad_cam(layer):
    model, x, target, path = layer
    method = attr.GuidedGradCam(model, model.get_submodule(path))
    expected = method.attribute(x, target, interpolate_mode="bilinear")
    assert_same(GuidedGradCAM(path)(model, x, target), expected)
