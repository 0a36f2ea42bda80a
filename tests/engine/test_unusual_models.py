"""Models and settings that are not the usual ones: what they get is right, or refused with the reason."""

import threading

import numpy as np
import pytest
import torch
from nets import ConvNet, Perceptron, images, seeded
from torch import nn
from torch.nn import functional as F

from probatum.attributions import (
    DeepLIFT,
    DeepLiftSHAP,
    GradCAM,
    Gradient,
    GradientSHAP,
    GuidedBackprop,
    IntegratedGradients,
    SmoothGrad,
    attribute,
)
from probatum.attributions.base import attribute_variants
from probatum.engine import Variant, prepare, relu_coverage
from probatum.engine.arguments import parse_bytes
from probatum.engine.copying import written_module
from probatum.engine.noise import image_keys
from probatum.engine.ranks import average_ranks
from probatum.errors import InvalidInput, ModelError
from probatum.randomization import Randomizer, Reset, automatic_stages
from probatum.randomization.labels import permute_labels, random_labels

X = images(4)


class Net(nn.Module):
    """A network around one function of an activation."""

    def __init__(self, function, width=8):
        super().__init__()
        self.function = function
        self.first = nn.Linear(198, width)
        self.last = nn.Linear(width, 3)

    def forward(self, x):
        return self.last(self.function(self.first(x.flatten(1))))


def net(function, width=8):
    return seeded(lambda: Net(function, width))


# --- numbers of few bits ---


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize(
    "method",
    [
        SmoothGrad(IntegratedGradients(steps=50, multiply_by_inputs=False), samples=25),
        SmoothGrad(IntegratedGradients(multiply_by_inputs=False), samples=1000, estimator="joint"),
        SmoothGrad(samples=1000),
        SmoothGrad(samples=1000, statistic="square"),
        GradientSHAP(samples=1000, multiply_by_inputs=False),
    ],
    ids=["nested", "joint", "sg", "square", "gradient-shap"],
)
def test_sums_of_many_samples_do_not_stop_growing_in_narrow_types(method, dtype):
    model = seeded(lambda: nn.Sequential(nn.Flatten(), nn.Linear(8, 2)), dtype=dtype)
    x = torch.linspace(-1, 1, 16).reshape(2, 8).to(dtype)
    weight = model[1].weight[0].detach().float()
    expected = (weight.square() if getattr(method, "statistic", "") == "square" else weight).expand(2, 8)
    found = method(model, x, 0)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found.float(), expected, rtol=2 * torch.finfo(dtype).eps, atol=1e-4)


# --- whose rows meet ---


def test_a_batch_norm_without_running_statistics_is_refused_by_name():
    model = seeded(ConvNet)
    model.bn1 = nn.BatchNorm2d(6, track_running_stats=False)
    with pytest.raises(ModelError, match="bn1 of ConvNet keeps no running statistics"):
        Gradient()(model, X, 0)


# --- graphs that come with baselines ---


@pytest.mark.parametrize(
    "make",
    [
        lambda tensor: IntegratedGradients(steps=3, baseline=tensor),
        lambda tensor: IntegratedGradients(steps=3, baseline=lambda x: tensor.expand_as(x) * 1.0),
        lambda tensor: SmoothGrad(IntegratedGradients(baseline=tensor), samples=3, estimator="joint"),
        lambda tensor: DeepLIFT(baseline=tensor),
        lambda tensor: DeepLiftSHAP(tensor),
        lambda tensor: GradientSHAP(3, tensor),
    ],
    ids=["tensor", "function", "joint", "deeplift", "deeplift-shap", "gradient-shap"],
)
def test_a_baseline_with_a_graph_leaves_none_on_the_maps(make):
    tensor = torch.zeros(1, *X.shape[1:], dtype=X.dtype, requires_grad=True)
    maps = make(tensor)(seeded(ConvNet), X, 0)
    assert not maps.requires_grad
    maps.numpy()


# --- what a model writes into ---


class Counting(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = seeded(Perceptron)
        self.register_buffer("calls", torch.zeros(1))
        self.plain = torch.zeros(1)

    def forward(self, x):
        self.calls.add_(1)
        self.plain.add_(1)
        return self.net(x)


@pytest.mark.parametrize("wrap", [lambda model: model, torch.compile, nn.DataParallel], ids=["plain", "compiled", "dp"])
def test_buffers_and_plain_tensors_of_the_model_stay_as_they_were(wrap):
    model = Counting()
    Gradient()(wrap(model), X, 0)
    assert model.calls.item() == model.plain.item() == 0


@pytest.mark.parametrize(
    "wrap",
    [torch.compile, nn.DataParallel, lambda m: torch.compile(nn.DataParallel(m))],
    ids=["compiled", "dp", "both"],
)
def test_wrapped_models_are_those_that_somebody_wrote(wrap):
    model = seeded(ConvNet)
    wrapped = wrap(model)
    assert written_module(wrapped) is model
    methods = {"grad-cam": GradCAM(layer="conv3"), "guided": GuidedBackprop(), "deeplift": DeepLIFT()}
    expected = attribute(model, X, 0, methods)
    for name, maps in attribute(wrapped, X, 0, methods).items():
        assert torch.equal(maps, expected[name])
    stages = automatic_stages(wrapped, X)
    assert stages == automatic_stages(model, X)
    assert Randomizer(wrapped, stages, Reset()).trained is model


# --- layers and activations ---


def test_a_layer_whose_output_is_a_view_that_is_overwritten_is_refused():
    class Permuted(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(2, 4, 3)
            self.turn = nn.Sequential(nn.Conv2d(4, 4, 1), Turned())
            self.head = nn.Linear(4, 3)

        def forward(self, x):
            y = self.turn(self.conv(x))
            gate = torch.sigmoid(y)
            y += gate  # reads the view, then writes into it
            return self.head(y.mean((2, 3)))

    class Turned(nn.Module):
        def forward(self, x):
            return x.permute(0, 1, 3, 2)

    model = seeded(Permuted)
    with pytest.raises(ModelError, match="its output is a view that the model overwrites"):
        GradCAM(layer="turn", layout="nchw")(model, X, 0)
    assert GradCAM(layer="conv")(model, X, 0).shape == (4, 1, *X.shape[2:])


CLAMPS = {
    "clamp": lambda x: x.clamp(min=0),
    "clamp by position": lambda x: torch.clamp(x, 0),
    "clamp_min": lambda x: torch.clamp_min(x, 0.0),
    "clip": lambda x: x.clip(0),
    "clamp_": lambda x: (x * 1).clamp_(min=0),
    "aten": lambda x: torch.ops.aten.clamp.default(x, 0),
}


@pytest.mark.parametrize("name", CLAMPS)
def test_a_clamp_at_zero_is_a_relu(name):
    model, plain = net(CLAMPS[name]), net(F.relu)
    assert relu_coverage(model, X).guided == 1
    assert relu_coverage(model, X).others == {}
    for method in (GuidedBackprop(), Gradient()):
        assert torch.equal(method(model, X, 0), method(plain, X, 0))


@pytest.mark.parametrize(
    ("function", "others"),
    [
        (lambda x: x.clamp(-1, 1), {}),
        (lambda x: x.clamp(max=0), {}),
        (F.leaky_relu_, {"leaky_relu": 1}),
        (torch.selu, {"selu": 1}),
        (torch.ops.aten.gelu.default, {"gelu": 1}),
    ],
    ids=["both", "max", "leaky_relu_", "selu", "gelu"],
)
def test_other_rectifiers_are_counted_and_no_clamp_is_mistaken(function, others):
    coverage = relu_coverage(net(lambda x: function(F.relu(x) + 0)), X)
    assert (coverage.guided, coverage.others) == (1, others)


def test_a_relu_hidden_from_autograd_is_named_and_guides_nothing_else():
    def straight_through(x):
        y = F.relu(x)
        z = y + 0 * x
        with torch.no_grad():
            z.relu_()
        return z

    model = net(straight_through)
    assert (relu_coverage(model, X).guided, relu_coverage(model, X).hidden) == (1, {"relu": 1})
    plain = net(lambda x: F.relu(x) + 0 * x)
    assert torch.equal(GuidedBackprop(min_coverage=0.0)(model, X, 0), GuidedBackprop()(plain, X, 0))


# --- versions that share ---


def test_versions_share_up_to_an_operation_on_arrays():
    class Normalizing(nn.Module):
        def __init__(self):
            super().__init__()
            self.order, self.mean = np.array([1, 0]), np.full((2, 1, 1), 0.5)
            self.net = ConvNet()

        def forward(self, x):
            return self.net(x[:, self.order] - torch.tensor(self.mean))

    model = seeded(Normalizing)
    other = seeded(Normalizing)
    with torch.no_grad():
        other.net.head.weight.mul_(2)
    views = [prepare(model), prepare(other)]
    for maps, prepared in zip(
        attribute_variants([Variant(prepared, 0) for prepared in views], X, {"": Gradient()}), views, strict=True
    ):
        assert torch.equal(maps[""], Gradient()(prepared, X, 0))


# --- the caller's state ---


@pytest.mark.parametrize(
    "option", [{"precision": "float32"}, {"fold_batch_norm": True}, {"channels_last": True}], ids=str
)
def test_inference_mode_takes_every_option(option):
    model = seeded(ConvNet)
    expected = attribute(model, X, 0, {"": Gradient()}, **option)[""]
    with torch.inference_mode():
        found = attribute(model, X, 0, {"": Gradient()}, **option)[""]
    assert torch.equal(found, expected)


def test_another_default_type_changes_no_rank_and_another_default_device_no_draw():
    values = torch.randint(0, 50, (2, 5000)).double()
    expected, labels = average_ranks(values), torch.arange(100) % 7
    model = seeded(ConvNet)
    stages = automatic_stages(model, X)
    drawn = permute_labels(labels, 3).labels, random_labels(labels, 7, 3).labels
    before = torch.get_default_dtype()
    try:
        torch.set_default_dtype(torch.bfloat16)
        assert torch.equal(average_ranks(values), expected)
    finally:
        torch.set_default_dtype(before)
    with torch.device("meta"):
        assert torch.equal(permute_labels(labels, 3).labels, drawn[0])
        assert torch.equal(random_labels(labels, 7, 3).labels, drawn[1])
        drawn_again = [step.model.state_dict() for step in Randomizer(model, stages, Reset()).steps(0, start=1)]
    assert all(tensor.device.type == "cpu" for state in drawn_again for tensor in state.values())


def test_threads_do_not_mix_their_precision():
    model, flag = seeded(ConvNet).float(), torch.backends.cudnn.allow_tf32
    x, found, errors = X.float(), [], []
    expected = SmoothGrad(samples=8)(model, x, 0)

    def work():
        try:
            for _ in range(5):
                found.append(SmoothGrad(samples=8)(model, x, 0))
        except Exception as error:  # a thread's own would be lost
            errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert len(found) == 20
    assert all(torch.equal(maps, expected) for maps in found)
    assert torch.backends.cudnn.allow_tf32 == flag


# --- settings ---


def test_seeds_of_any_size():
    assert torch.equal(image_keys(X, 2**64 + 3), image_keys(X, 3))
    assert not torch.equal(image_keys(X, 2**63), image_keys(X, 2**63 - 1))


def test_a_budget_may_be_a_floating_point_number():
    assert parse_bytes(1e5) == 100_000
    assert type(parse_bytes(1.5e9)) is int
    for budget in (float("nan"), float("inf"), 0.5, -1, "0 MiB"):
        with pytest.raises(InvalidInput, match="no positive number of bytes"):
            parse_bytes(budget)


@pytest.mark.parametrize("options", [{"noise_fraction": float("nan")}, {"noise_std": float("inf")}], ids=["nan", "inf"])
def test_noise_is_finite(options):
    with pytest.raises(InvalidInput, match="must be finite"):
        SmoothGrad(**options)


def test_a_baseline_that_is_not_finite_is_refused():
    with pytest.raises(InvalidInput, match="NaN or infinite"):
        IntegratedGradients(baseline=torch.full_like(X, torch.nan))(seeded(ConvNet), X, 0)
