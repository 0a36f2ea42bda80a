"""Guided Backprop by hand, by theorem, and against an independent rule on torchvision's networks."""

import pytest
import torch
from attributions.guided_reference import guided_gradient, plain_gradient
from attributions.zoo import ZOO, zoo_image, zoo_net
from nets import CLASSES, ConvNet, Perceptron, images, seeded
from torch import nn

from probatum.attributions import Gradient, GuidedBackprop
from probatum.engine import relu_coverage
from probatum.errors import ModelError


def _layers(*matrices) -> nn.Sequential:
    """A perceptron without biases from its matrices."""
    layers: list[nn.Module] = []
    for matrix in matrices:
        weight = torch.tensor(matrix, dtype=torch.float64)
        layers += [nn.Linear(weight.shape[1], weight.shape[0], bias=False), nn.ReLU()]
        layers[-2].weight = nn.Parameter(weight)
    return nn.Sequential(*layers[:-1])


def test_two_layers_by_hand():
    model = _layers([[1, 2], [3, -1], [-1, -1]], [[2, -5, 7]])
    x = torch.tensor([[1.0, 1.0]], dtype=torch.float64)
    # W1 x = (3, 2, -2): the third ReLU is off; the second gets the signal -5, which the guided rule drops.
    assert Gradient()(model, x, 1).tolist() == [[2 * 1 - 5 * 3, 2 * 2 + 5 * 1]]
    assert GuidedBackprop()(model, x, 1).tolist() == [[2 * 1, 2 * 2]]


def test_three_layers_by_hand_drop_what_turns_negative_on_the_way():
    model = _layers([[1, 0], [0, 1]], [[1, -3], [2, 4]], [[1, 1]])
    x = torch.tensor([[7.0, 1.0]], dtype=torch.float64)
    # Both inner ReLUs are on, so that the plain signal at the first pair is (1 + 2, -3 + 4).
    assert Gradient()(model, x, 1).tolist() == [[3, 1]]
    assert GuidedBackprop()(model, x, 1).tolist() == [[3, 1]]
    model[2].weight.data[1, 1] = 2  # now it is (3, -1), and the second entry is dropped
    assert Gradient()(model, x, 1).tolist() == [[3, -1]]
    assert GuidedBackprop()(model, x, 1).tolist() == [[3, 0]]


def test_the_map_itself_may_be_negative_as_nothing_is_dropped_below_the_first_relu():
    model = _layers([[-2.0, 1.0]], [[3.0]])
    x = torch.tensor([[1.0, 5.0]], dtype=torch.float64)
    assert GuidedBackprop()(model, x, 1).tolist() == [[-6, 3]]


def test_equals_the_plain_gradient_where_no_signal_is_negative():
    model = seeded(Perceptron)
    for layer in model.layers[3:]:
        if isinstance(layer, nn.Linear):
            layer.weight.data.abs_()
    for target in range(CLASSES):
        assert torch.equal(GuidedBackprop()(model, images(), target), Gradient()(model, images(), target))


def test_is_zero_where_every_signal_is_negative():
    model = seeded(Perceptron)
    model.layers[5].weight.data.abs_().neg_()
    assert not GuidedBackprop()(model, images(), 0).any()
    assert Gradient()(model, images(), 0).any()


def test_a_positive_factor_on_the_logit_scales_the_map_and_a_negative_one_shows_other_evidence():
    model = seeded(Perceptron)
    maps = GuidedBackprop()(model, images(), 2)
    model.layers[5].weight.data *= 4
    torch.testing.assert_close(GuidedBackprop()(model, images(), 2), 4 * maps, rtol=1e-14, atol=0)
    model.layers[5].weight.data *= -1
    assert not torch.allclose(GuidedBackprop()(model, images(), 2), -4 * maps)


@pytest.mark.parametrize("target", range(CLASSES))
def test_equals_the_reference_on_a_network_with_every_kind_of_relu(target):
    model = seeded(ConvNet).eval()
    expected, calls = guided_gradient(model, images(), target)
    torch.testing.assert_close(GuidedBackprop()(model, images(), target), expected, rtol=1e-12, atol=1e-15)
    assert relu_coverage(model, images()).guided == calls == 4


@pytest.mark.parametrize("name", ZOO)
def test_equals_the_reference_on_torchvision(name):
    model, x = zoo_net(name), zoo_image(name)
    expected, calls = guided_gradient(model, x, 3)
    maps = GuidedBackprop()(model, x, 3)
    assert relu_coverage(model, x).guided == calls == ZOO[name][1]
    assert float((maps - expected).abs().max() / expected.abs().max()) < 1e-12
    plain = plain_gradient(model, x, 3)
    assert torch.cosine_similarity(plain.flatten(), maps.flatten(), dim=0) < 0.99, "the rule did nothing"
    assert float((Gradient()(model, x, 3) - plain).abs().max() / plain.abs().max()) < 1e-12


def test_a_network_without_a_relu_is_refused_and_its_activations_named():
    class Smooth(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(198, CLASSES)

        def forward(self, x):
            return self.linear(nn.functional.gelu(nn.functional.silu(x.flatten(1))))

    with pytest.raises(ModelError, match=r"Smooth makes no ReLU call.*1 silu, 1 gelu"):
        GuidedBackprop()(seeded(Smooth), images(), 0)
    with pytest.raises(ModelError, match="no activation"):
        GuidedBackprop()(nn.Sequential(nn.Flatten(), nn.Linear(198, 2)).double(), images(), 0)
