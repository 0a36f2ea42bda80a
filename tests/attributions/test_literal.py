"""Every method equals its literal form, and the literal forms that build on torch equal others that do not."""

import numpy as np
import pytest
import torch
from attributions import deeplift_reference, feature_maps_by_hand
from attributions.guided_reference import deconvolved_relus, guided_relus, plain_gradient
from attributions.table import EVERY, network
from nets import ConvNet, images, seeded
from skimage import filters

from probatum.attributions import (
    DeconvNet,
    DeepLIFT,
    EdgeDetector,
    GradCAM,
    GuidedBackprop,
    IntegratedGradients,
    SmoothGrad,
    registry,
)
from probatum.attributions.literal import Problem, literal

TARGETS = torch.tensor([0, 3, 1, 2, 1])


@pytest.fixture(scope="module")
def net():
    return seeded(ConvNet).eval().requires_grad_(False)


def literally(method, model, seed=0):
    """The maps of all images, one after the other."""
    pairs = zip(images(), TARGETS.tolist(), strict=True)
    return torch.stack([literal(method, Problem(model, target, image, seed), image) for image, target in pairs])


def assert_equal_up_to_rounding(maps, expected):
    torch.testing.assert_close(maps, expected, rtol=0, atol=1e-12 * float(expected.abs().max()))


@pytest.mark.parametrize("seed", [0, 11])
@pytest.mark.parametrize("name", EVERY)
def test_equals_its_literal_form(name, seed):
    net = network(name).requires_grad_(False)
    assert_equal_up_to_rounding(EVERY[name](net, images(), TARGETS, seed=seed), literally(EVERY[name], net, seed))


@pytest.mark.parametrize("statistic", ["mean", "square", "variance"])
@pytest.mark.parametrize("multiply", [True, False])
@pytest.mark.parametrize("chunk", [1, 7, 60])
def test_a_path_from_every_noisy_image_equals_its_literal_form_in_any_chunks(statistic, multiply, chunk, net):
    inner = IntegratedGradients(4, "mean", multiply_by_inputs=multiply)
    method = SmoothGrad(inner, samples=3, noise_fraction=0.3, statistic=statistic)
    maps = method(net, images(), TARGETS, seed=5, chunk=chunk)
    assert_equal_up_to_rounding(maps, literally(method, net, 5))


@pytest.mark.parametrize(("method", "relus"), [(GuidedBackprop(), guided_relus), (DeconvNet(), deconvolved_relus)])
def test_rules_at_relus_equal_patched_functions(method, relus, net):
    with relus():
        expected = torch.cat([plain_gradient(net, x[None], int(t)) for x, t in zip(images(), TARGETS, strict=True)])
    assert_equal_up_to_rounding(literally(method, net), expected)


def test_deeplift_equals_shares_that_are_followed_forwards(net):
    for image, target, found in zip(images(), TARGETS.tolist(), literally(DeepLIFT(), net), strict=True):
        start = torch.zeros_like(image)
        expected = image * deeplift_reference.multipliers(net, image, start, target)
        torch.testing.assert_close(found, expected, rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("method", [GradCAM("conv3"), GradCAM("bn1", relu=False), GradCAM("conv1")], ids=str)
def test_grad_cam_equals_a_network_cut_in_two_and_pixels_interpolated_by_hand(method, net):
    for image, target, found in zip(images(), TARGETS.tolist(), literally(method, net), strict=True):
        expected = feature_maps_by_hand.grad_cam(net, image, target, method.layer, method.relu)
        torch.testing.assert_close(found, expected, rtol=1e-11, atol=1e-13)


def test_the_edge_detector_equals_scikit_image(net):
    expected = torch.tensor(np.array([[filters.sobel(channel) for channel in x] for x in images().numpy()]))
    assert_equal_up_to_rounding(literally(EdgeDetector(), net), expected)


def test_every_class_of_the_registry_has_a_literal_form_of_the_name_of_its_file():
    for name, entry in registry.METHODS.items():
        form = literal.dispatch(type(entry.make()))
        assert form is not literal.dispatch(object), f"{name} has no form in probatum/attributions/literal.py"
        assert form.__name__ == entry.where.rpartition(".")[2]


def test_a_method_without_a_literal_form_says_so(net):
    class Other(GradCAM.__base__):
        title = "other"

        def request(self, prepared, images):
            raise AssertionError

        def value(self, at, feature_map):
            raise AssertionError

    with pytest.raises(NotImplementedError, match="Other"):
        literally(Other(), net)
