"""Where the logits are in what a model returns, one logit for two classes, and probabilities in place of logits."""

import warnings
from collections import OrderedDict, namedtuple
from dataclasses import dataclass
from functools import partial

import numpy as np
import pytest
import torch
from nets import ConvNet, Perceptron, images, seeded
from torch import Tensor, nn

from probatum.attributions import (
    DeepLIFT,
    GradCAM,
    Gradient,
    GuidedBackprop,
    IntegratedGradients,
    SmoothGrad,
    attribute,
    attribute_stream,
)
from probatum.engine import all_logits, prepare, prepare_like
from probatum.engine.probabilities import probabilities
from probatum.errors import InvalidInput, ModelError, ProbabilitiesWarning
from probatum.experiments import quality_scores, sanity_check

METHODS = [Gradient(), GuidedBackprop(), GradCAM("conv2"), SmoothGrad(samples=2), IntegratedGradients(2), DeepLIFT()]
Pair = namedtuple("Pair", "features logits")


@dataclass
class Answer:
    features: Tensor
    logits: Tensor


class Wrapped(ConvNet):
    """A ConvNet that returns its logits in something else, beside a head of its own that the logits do not need."""

    def __init__(self, wrap):
        super().__init__()
        self.wrap = wrap
        self.aside = nn.Linear(198, 3)

    def forward(self, x):
        aside = self.aside(x.flatten(1))
        return self.wrap(super().forward(x), aside)


WRAPPED = {
    "attribute": (lambda y, aside: Answer(aside, y), None),
    "named tuple": (lambda y, aside: Pair(aside, y), None),
    "key": (lambda y, aside: OrderedDict(features=aside, logits=y), None),
    "only tensor": (lambda y, aside: {"scores": y, "loss": None}, None),
    "first of a tuple": (lambda y, aside: (y, aside), None),
    "first tensor of a list": (lambda y, aside: [None, y, aside], None),
    "given key": (lambda y, aside: {"a": aside, "b": y}, "b"),
    "given attribute": (lambda y, aside: Answer(y, aside), "features"),
    "given index": (lambda y, aside: (aside, y), 1),
    "function": (lambda y, aside: {"a": [aside, 2 * y]}, lambda answer: answer["a"][1] / 2),
}


@pytest.mark.parametrize("where", WRAPPED)
def test_the_logits_are_found_wherever_they_are(where):
    wrap, output = WRAPPED[where]
    model, plain, x = seeded(partial(Wrapped, wrap)), seeded(partial(Wrapped, lambda y, aside: y)), images()
    for method in METHODS:
        torch.testing.assert_close(method(model, x, 1, output=output), method(plain, x, 1), rtol=1e-12, atol=1e-14)
    batch = next(iter(attribute_stream(model, [x], 1, ["gradient"], output=output)))
    assert torch.equal(batch.maps["gradient"], Gradient()(plain, x, 1))


@pytest.mark.parametrize("where", ["attribute", "given index", "function"])
def test_checks_follow_the_logits(where):
    wrap, output = WRAPPED[where]
    model, plain, x = seeded(partial(Wrapped, wrap)), seeded(partial(Wrapped, lambda y, aside: y)), images(2)
    for check, metric in ((sanity_check, "spearman"), (quality_scores, "max-sensitivity")):
        found = check(model, x, methods=["gradient"], metrics=[metric], output=output)
        expected = check(plain, x, methods=["gradient"], metrics=[metric])
        assert found.targets == expected.targets
        np.testing.assert_allclose(found.scores, expected.scores, rtol=1e-12)


class Segmenter(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(2, 4, 3, padding=1)

    def forward(self, x):
        return {"out": torch.tanh(self.conv(x))}


def test_a_segmentation_is_explained_through_a_function():
    model, x = seeded(Segmenter), images()
    with pytest.raises(ModelError, match=r"output=.*mean"):
        Gradient()(model, x, 1)
    point = x.clone().requires_grad_()
    expected = torch.autograd.grad(model(point)["out"][:, 1, 2:5].mean((1, 2)).sum(), point)[0]
    found = Gradient()(model, x, 1, output=lambda y: y["out"][:, :, 2:5].mean((2, 3)))
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize(
    "output", ["nowhere", 7, lambda y: None, lambda y: y["out"]], ids=["key", "index", "none", "4d"]
)
def test_an_output_that_is_not_there_is_named(output):
    with pytest.raises(ModelError, match=r"Segmenter returns .*output="):
        Gradient()(seeded(Segmenter), images(), 0, output=output)


def test_a_prepared_model_keeps_its_output():
    wrap, output = WRAPPED["given index"]
    prepared = prepare(seeded(partial(Wrapped, wrap)), output=output)
    other = prepare_like(seeded(partial(Wrapped, wrap), seed=1), prepared)
    assert torch.equal(Gradient()(prepared, images(), 0, output=output), Gradient()(prepared, images(), 0))
    assert all_logits(other, images()).shape == (5, 4)
    with pytest.raises(InvalidInput, match="another output"):
        Gradient()(prepared, images(), 0, output=0)


class OneLogit(nn.Module):
    """f of each image, as (batch, 1) or (batch,)."""

    def __init__(self, squeeze):
        super().__init__()
        self.net, self.squeeze = Perceptron(), squeeze

    def forward(self, x):
        f = self.net(x)[:, :1]
        return f[:, 0] if self.squeeze else f


@pytest.mark.parametrize("squeeze", [True, False])
def test_one_logit_explains_both_classes(squeeze):
    model, x = seeded(partial(OneLogit, squeeze)), images()
    point = x.clone().requires_grad_()
    f = model(point).reshape(-1)
    slope = torch.autograd.grad(f.sum(), point)[0]
    for method in (Gradient(), DeepLIFT(multiply_by_inputs=False)):
        of_class = [method(model, x, target) for target in (0, 1)]
        assert torch.equal(of_class[0], -of_class[1])
    torch.testing.assert_close(Gradient()(model, x, 1), slope, rtol=1e-12, atol=1e-15)
    predicted = (f > 0).long()
    assert len(set(predicted.tolist())) == 2, "the test needs both classes"
    assert torch.equal(Gradient()(model, x), Gradient()(model, x, predicted))
    with pytest.raises(InvalidInput, match="classes 0 to 1"):
        Gradient()(model, x, 2)
    torch.testing.assert_close(probabilities(all_logits(prepare(model), x))[:, 1], f.detach().sigmoid())


# ---------------------------------------------------------------- probabilities


class Ending(nn.Module):
    def __init__(self, last, scale=1.0):
        super().__init__()
        self.net, self.last, self.scale = Perceptron(), last, scale

    def forward(self, x):
        return self.last(self.scale * self.net(x))


PROBABILITIES = {
    "softmax": (nn.Softmax(1), "softmax"),
    "functional softmax": (lambda y: y.softmax(-1), "softmax"),
    "sigmoid": (nn.Sigmoid(), "sigmoid"),
    "sigmoid of one logit": (lambda y: torch.sigmoid(y[:, :1]), "sigmoid"),
    "sigmoid of one logit in a vector": (lambda y: torch.sigmoid(y[:, 0]), "sigmoid"),
    "slice of a sigmoid": (lambda y: torch.sigmoid(y)[:, :2], "sigmoid"),
}


@pytest.mark.parametrize("scale", [1.0, 1e3], ids=["unsure", "saturated"])
@pytest.mark.parametrize("name", PROBABILITIES)
def test_probabilities_are_noticed_once(name, scale):
    last, named = PROBABILITIES[name]
    model = seeded(partial(Ending, last, scale))
    with pytest.warns(ProbabilitiesWarning, match=named) as caught:
        attribute(model, images(), 0, [Gradient(), SmoothGrad(samples=2)])
    assert len(caught) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Gradient()(model, images(), 0)


@pytest.mark.parametrize(
    "last",
    [
        nn.Identity(),
        nn.LogSoftmax(1),
        lambda y: y * 0 + 0.5,
        lambda y: y.abs().clamp(max=1),
        lambda y: torch.tanh(y) ** 2,
    ],
)
def test_logits_between_zero_and_one_are_no_probabilities(last):
    Gradient()(seeded(partial(Ending, last)), images(), 0)


def test_probabilities_that_the_caller_asks_for_are_not_noticed():
    model, x = seeded(partial(Ending, nn.Identity())), images()
    maps = Gradient()(model, x, 1, output=lambda y: y.softmax(1))
    point = x.clone().requires_grad_()
    torch.testing.assert_close(maps, torch.autograd.grad(model(point).softmax(1)[:, 1].sum(), point)[0])
