"""Input-shift invariance: the second network is exact, and the controls come out as they must."""

import numpy as np
import pytest
import torch
from nets import ConvNet, Perceptron, images, seeded
from torch import nn

from probatum.attributions import GradCAM, Gradient, GuidedBackprop, InputXGradient, IntegratedGradients, SmoothGrad
from probatum.engine import prepare
from probatum.errors import InvalidInput, ModelError, UnknownName
from probatum.experiments import shift_check
from probatum.models.shifted import shift_of, shifted_network

SHAPE = (2, 12, 11)
METHODS = {
    "guided": GuidedBackprop(),
    "cam": GradCAM(),
    "ig": IntegratedGradients(steps=5),
    "ig-mean": IntegratedGradients(steps=5, baseline="mean"),
    "smoothgrad": SmoothGrad(samples=4),
    "noisy-product": SmoothGrad(InputXGradient(), samples=60),
}


class InputAgain(nn.Module):
    """A network that meets its input twice."""

    def __init__(self):
        super().__init__()
        self.net, self.head = seeded(ConvNet), nn.Linear(2, 4).double()

    def forward(self, x):
        return self.net(x) + self.head(x.square().mean((2, 3)))


@pytest.mark.parametrize("mode", ["zeros", "reflect", "circular"])
@pytest.mark.parametrize("shift", [0.75, (-2.0, 0.3)])
def test_the_second_network_is_exact_at_padded_borders_too(mode, shift):
    net = seeded(ConvNet)
    net.conv1.padding_mode = mode
    if mode != "zeros":
        net.conv1._reversed_padding_repeated_twice = [1, 1, 1, 1]
    x = images(3, SHAPE)
    moved = shift_of(x, shift)
    other = shifted_network(prepare(net.eval(), "float64"), x, moved)
    with torch.no_grad():
        torch.testing.assert_close(other(x + moved), net(x), rtol=1e-12, atol=1e-12)
        assert not torch.allclose(other(x), net(x), rtol=1e-3)


def test_the_words_are_those_that_follow_from_the_formulas():
    x = images(6, SHAPE)
    result = shift_check(seeded(ConvNet), x, methods=METHODS, shift=0.5)
    words = {name: verdict.word for name, verdict in result.verdicts.items()}
    assert words == {
        "guided": "invariant",
        "cam": "invariant",
        "ig": "not invariant",
        "ig-mean": "invariant",
        "smoothgrad": "invariant",
        "noisy-product": "not invariant",
        "gradient (control)": "invariant",
        "input-x-gradient (control)": "not invariant",
    }
    assert result.broken == ()
    # M(x + d) − M(x) = d ⊙ gradient, in closed form.
    net = seeded(ConvNet)
    gradient, product = Gradient()(net, x), InputXGradient()(net, x)
    expected = 0.5 * gradient.flatten(1).norm(dim=1) / product.flatten(1).norm(dim=1)
    np.testing.assert_allclose(result.differences[-1], expected, rtol=1e-9)
    assert np.nanmax(result.differences[-2]) < 1e-10
    lines = repr(result).splitlines()
    assert "6 images" in lines[0]
    assert len(lines) == 2 + len(result.methods)
    assert len(result.to_pandas()) == result.differences.size
    assert len(result.plot().axes) == 2
    with pytest.raises(UnknownName, match="guided"):
        result.verdict("guidde")


def test_a_linear_first_layer_behind_a_flattening():
    result = shift_check(seeded(Perceptron), images(1, (2, 11, 9)), methods=["gradient"], shift=(1.0, -3.0))
    assert result.verdict("Gradient" if "Gradient" in result.methods else "gradient").word == "invariant"
    assert result.shift == (1.0, -3.0)


def test_few_images_and_zero_maps_decide_nothing():
    net = seeded(ConvNet)
    few = shift_check(net, images(2, SHAPE), methods={"sg": SmoothGrad(samples=2), "g": Gradient()})
    assert (few.verdict("sg").word, few.verdict("g").word) == ("undecided", "invariant")
    nn.init.zeros_(net.head.weight)
    dead = shift_check(net, images(2, SHAPE), methods={"g": Gradient()})
    assert (dead.verdict("g").word, dead.verdict("g").live) == ("undecided", 0)
    assert len(dead.broken) == 2  # nothing can be said of the controls either
    assert "by construction" in repr(dead)


def test_what_a_bias_cannot_make_up_for_is_refused():
    x = images(2, SHAPE)
    with pytest.raises(ModelError, match="elsewhere"):
        shift_check(InputAgain(), x, methods=["gradient"])
    with pytest.raises(ModelError, match="no linear or convolutional layer"):
        shift_check(nn.Flatten(), x, methods=["gradient"])
    for shift in (0.0, float("nan"), (1.0, 2.0, 3.0)):
        with pytest.raises(InvalidInput, match="shift"):
            shift_check(seeded(ConvNet), x, methods=["gradient"], shift=shift)
    with pytest.raises(InvalidInput, match="control"):
        shift_check(seeded(ConvNet), x, methods={"gradient (control)": Gradient()})
