"""Rows that meet inside a model and forward passes that do not repeat are refused, once for each prepared model."""

from functools import partial

import pytest
import torch
import torchvision
from nets import PROBE, SHAPE, CallCounter, ConvNet, images, seeded
from torch import nn
from torch.nn import functional as F

from probatum.attributions import GradCAM, Gradient, GuidedBackprop, IntegratedGradients, SmoothGrad
from probatum.engine import all_logits, prepare
from probatum.errors import ModelError

METHODS = [Gradient(), GuidedBackprop(), GradCAM("conv2"), SmoothGrad(samples=2), IntegratedGradients(steps=2)]


class Changed(ConvNet):
    """A ConvNet whose activation or logits pass through a function."""

    def __init__(self, hidden=lambda x: x, last=lambda x: x):
        super().__init__()
        self.hidden, self.last = hidden, last

    def forward(self, x):
        x = self.hidden(F.relu(self.conv2(self.relu(self.conv1(x)))))
        return self.last(self.head(F.relu(self.conv3(x)).mean((2, 3))))


MEETING = {
    "batch statistics": {"hidden": lambda x: F.batch_norm(x, None, None, training=True)},
    "mean of the batch": {"hidden": lambda x: x - x.mean(0, keepdim=True)},
    "softmax over the batch": {"last": lambda x: x.softmax(0)},
    "sum of the rows before": {"hidden": lambda x: x.cumsum(0)},
    "sum of the rows after": {"hidden": lambda x: x.flip(0).cumsum(0).flip(0)},
    "attention between rows": {
        "hidden": lambda x: x + (x.flatten(1) @ x.flatten(1).T).softmax(1).mm(x.flatten(1)).view_as(x)
    },
}


@pytest.mark.parametrize("name", MEETING)
def test_rows_that_meet_are_refused_by_every_method(name):
    model = seeded(partial(Changed, **MEETING[name]))
    for method in METHODS:
        with pytest.raises(ModelError, match="other images of the batch"):
            method(model, images(), 0)
    with pytest.raises(ModelError, match="other images of the batch"):
        all_logits(prepare(model), images())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_rows_that_meet_are_found_in_short_types(dtype):
    model = seeded(partial(Changed, **MEETING["batch statistics"]), dtype=dtype)
    with pytest.raises(ModelError, match="other images"):
        Gradient()(model, images(dtype=dtype), 0)


def test_one_image_is_enough_to_find_that_rows_meet():
    with pytest.raises(ModelError, match="other images"):
        Gradient()(seeded(partial(Changed, **MEETING["mean of the batch"])), images(1), 0)


def test_images_without_any_contrast_are_enough():
    with pytest.raises(ModelError, match="other images"):
        Gradient()(seeded(partial(Changed, **MEETING["mean of the batch"])), torch.zeros(2, *SHAPE).double(), 0)


def test_each_image_alone_is_explained_where_rows_meet():
    model, x = seeded(partial(Changed, **MEETING["batch statistics"])), images(3)
    maps = Gradient()(model, x, 0, chunk=1)
    for row in range(3):
        point = x[row : row + 1].clone().requires_grad_()
        expected = torch.autograd.grad(model.eval()(point)[0, 0], point)[0]
        torch.testing.assert_close(maps[row : row + 1], expected, rtol=1e-12, atol=1e-12)


class Sequence(nn.Module):
    def __init__(self, layer):
        super().__init__()
        self.layer, self.head = layer(), nn.Linear(6, 3)

    def forward(self, x):
        return self.head(self.layer(x)[0][:, -1])


class Attention(nn.Module):
    def __init__(self, batch_first):
        super().__init__()
        self.layer, self.head = nn.MultiheadAttention(6, 2, batch_first=batch_first), nn.Linear(6, 3)

    def forward(self, x):
        return self.head(self.layer(x, x, x)[0].mean(1))


@pytest.mark.parametrize("layer", [nn.LSTM, nn.GRU, nn.RNN])
def test_a_forgotten_batch_first_is_named(layer):
    x = images(4, (9, 6))
    with pytest.raises(ModelError, match=r"layer has batch_first=False"):
        Gradient()(seeded(partial(Sequence, partial(layer, 6, 6))), x, 0)
    assert Gradient()(seeded(partial(Sequence, partial(layer, 6, 6, batch_first=True))), x, 0).any()
    with pytest.raises(ModelError, match=r"layer has batch_first=False"):
        Gradient()(seeded(partial(Attention, False)), x, 0)
    assert Gradient()(seeded(partial(Attention, True)), x, 0).any()


class Echo(nn.Module):
    """Adds a part of what it was called with last."""

    def __init__(self):
        super().__init__()
        self.last = 0.0

    def forward(self, x):
        self.last = 0.5 * self.last + float(x.mean())
        return x + self.last


class Noisy(nn.Module):
    def forward(self, x):
        return x + torch.randn_like(x)


UNREPEATABLE = {
    "dropout left on": (lambda: Changed(hidden=lambda x: F.dropout(x, 0.3)), "random numbers"),
    "dropout of channels": (lambda: Changed(hidden=lambda x: F.dropout2d(x, 0.5)), "random numbers"),
    "noise layer": (lambda: Changed(hidden=Noisy()), "random numbers"),
    "state": (lambda: Changed(hidden=Echo()), "state from call to call"),
}


@pytest.mark.parametrize("chunk", [None, 1])
@pytest.mark.parametrize("name", UNREPEATABLE)
def test_forward_passes_that_do_not_repeat_are_refused(name, chunk):
    build, cause = UNREPEATABLE[name]
    model = seeded(build)
    state = torch.get_rng_state()
    for method in METHODS:
        with pytest.raises(ModelError, match=cause):
            method(model, images(), 0, chunk=chunk)
    assert torch.equal(torch.get_rng_state(), state)


class StaysOn(nn.Dropout):
    def train(self, mode=True):
        return super().train(True)


class Partial(ConvNet):
    """Puts its batch norm into training mode whatever is asked for, and returns nothing from `train`."""

    def train(self, mode=True):
        super().train(mode)
        self.bn1.train(True)


def test_modules_that_stay_in_training_mode_are_named():
    with pytest.raises(ModelError, match=r"hidden stays in training mode"):
        Gradient()(seeded(lambda: Changed(hidden=StaysOn())), images(), 0)
    with pytest.raises(ModelError, match=r"bn1 stays in training mode"):
        Gradient()(seeded(Partial), images(), 0)


def test_random_numbers_without_effect_do_not_matter():
    model = seeded(lambda: Changed(hidden=lambda x: x + 0 * torch.randn_like(x)))
    assert Gradient()(model, images(), 0).any()
    assert Gradient()(seeded(lambda: Changed(hidden=StaysOn(0.0))), images(), 0).any()


class Fixed(ConvNet):
    """Takes batches of one size alone."""

    def __init__(self, rows):
        super().__init__()
        self.rows = rows

    def forward(self, x):
        return super().forward(x.view(self.rows, *SHAPE))


def test_a_fixed_batch_size_is_named_with_the_way_out():
    with pytest.raises(ModelError, match="batch of 5 images but not one image alone"):
        Gradient()(seeded(partial(Fixed, 5)), images(5), 0)
    one = seeded(partial(Fixed, 1))
    with pytest.raises(ModelError, match="chunk=1"):
        Gradient()(one, images(5), 0)
    torch.testing.assert_close(Gradient()(one, images(5), 0, chunk=1), Gradient()(seeded(ConvNet), images(5), 0))


def test_what_the_model_itself_raises_stays_as_it_is():
    with pytest.raises(RuntimeError, match="invalid for input of size"):
        Gradient()(seeded(partial(Fixed, 4)), images(5), 0)


class Cancelling(nn.Linear):
    """Logits of about 0.01 that are left of terms of about 20,000, whose rounding depends on the size of the batch."""

    def forward(self, x):
        x = x.flatten(1)
        return x @ self.weight.T - (x[:, None] * self.weight).sum(2) + 1e-2 * x[:, :4]


def test_rounding_is_no_influence():
    model = Cancelling(198, 4)
    model.weight.data = torch.linspace(1e3, 2e3, 4 * 198).reshape(4, 198)
    x = images(dtype=torch.float32)
    with torch.no_grad():
        assert (model(x)[:1] - model(x[:1])).abs().max() > 1e-3 * model(x).abs().max(), "the test needs rounding"
    assert Gradient()(model, x, 0).isfinite().all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v3_small", "densenet121", "swin_t"])
def test_networks_in_eval_mode_raise_no_alarm(name, dtype):
    model = seeded(lambda: torchvision.models.get_model(name), dtype=dtype)
    assert all_logits(prepare(model), images(2, (3, 32, 32), dtype=dtype)).shape == (2, 1000)


def test_a_model_is_probed_once():
    counter = CallCounter(seeded(ConvNet))
    for _ in range(2):
        Gradient()(counter, images(), 0, chunk=5)
    prepared = prepare(counter)
    Gradient()(prepared, images(), 0, chunk=5)
    Gradient()(prepared, images(3), 0, chunk=5)
    assert counter.calls == [*PROBE, 5, 5, 5, 3]
    counter.calls.clear()
    with torch.no_grad():
        counter.model.head.weight *= 2
    Gradient()(counter, images(), 0, chunk=5)
    assert counter.calls == [*PROBE, 5], "other weights may show what zeros hid"
