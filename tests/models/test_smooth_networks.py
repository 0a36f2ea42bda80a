"""Smooth networks: values against direct formulas, every spelling of a call, weights shared, and smooth indeed."""

import copy
import math
from functools import partial

import pytest
import torch
from attributions.unchecked import unchecked
from nets import CLASSES, ConvNet, Linear, Perceptron, images, seeded
from torch import nn
from torch.nn import functional as F

from probatum.attributions import GradCAM, Gradient, GuidedBackprop, IntegratedGradients, attribute
from probatum.engine import execution_order, prepare, relu_coverage, used_parameters
from probatum.errors import InvalidInput, ModelError, UnknownName
from probatum.models import load_model
from probatum.models.profiles import function_along
from probatum.models.smooth import smoothed, smoothing_of
from probatum.randomization import Randomizer, Xavier, automatic_stages


class Own(nn.Module):
    """A module of the user's that applies a given function."""

    def __init__(self, function) -> None:
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


def numbers(*shape, seed=0, scale=1.0):
    return scale * torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def direct_softplus(x, beta):
    return (beta * x).exp().log1p() / beta


# ---- ReLU

RELUS = {
    "nn.ReLU": nn.ReLU(),
    "nn.ReLU in place": nn.ReLU(inplace=True),
    "F.relu": Own(lambda x: F.relu(x)),
    "F.relu by keyword": Own(lambda x: F.relu(inplace=False, input=x)),
    "F.relu in place": Own(lambda x: F.relu(x, inplace=True)),
    "F.relu in place by position": Own(lambda x: F.relu(x, True)),
    "F.relu_, result unused": Own(lambda x: (F.relu_(x), x)[1]),
    "torch.relu": Own(lambda x: torch.relu(x)),
    "torch.relu_": Own(lambda x: torch.relu_(x)),
    "Tensor.relu": Own(lambda x: x.relu()),
    "Tensor.relu_ of a view": Own(lambda x: (x.view(-1).relu_(), x)[1]),
    "the operator": Own(lambda x: torch.ops.aten.relu.default(x)),
    "the operator in place": Own(lambda x: torch.ops.aten.relu_(x)),
}


@pytest.mark.parametrize("name", RELUS)
def test_every_spelling_of_a_relu_is_replaced(name):
    model = nn.Sequential(nn.Linear(6, 5), RELUS[name], nn.Linear(5, 4), RELUS[name], nn.Linear(4, 3)).double()
    x, beta = numbers(7, 6).requires_grad_(), 3.0
    smooth = smoothed(model, beta=beta, pooling=None)
    first, second, third = (model[place] for place in (0, 2, 4))
    expected = third(direct_softplus(second(direct_softplus(first(x), beta)), beta))
    torch.testing.assert_close(smooth(x), expected, rtol=1e-12, atol=1e-14)
    found, wanted = (torch.autograd.grad(values.square().sum(), x)[0] for values in (smooth(x), expected))
    torch.testing.assert_close(found, wanted, rtol=1e-10, atol=1e-14)
    assert smoothing_of(smooth, x.detach()).activations == 2


CLAMPS = {
    "nn.ReLU6": (nn.ReLU6(), 6.0),
    "nn.ReLU6 in place": (nn.ReLU6(inplace=True), 6.0),
    "F.relu6": (Own(lambda x: F.relu6(x)), 6.0),
    "F.relu6 in place by position": (Own(lambda x: F.relu6(x, True)), 6.0),
    "nn.Hardtanh from zero, in place": (nn.Hardtanh(0.0, 2.0, inplace=True), 2.0),
    "F.hardtanh by keyword": (Own(lambda x: F.hardtanh(min_val=0.0, max_val=3.0, input=x)), 3.0),
    "F.hardtanh_": (Own(lambda x: (F.hardtanh_(x, 0.0, 2.0), x)[1]), 2.0),
    "clamp": (Own(lambda x: x.clamp(0, 6)), 6.0),
    "clamp in place": (Own(lambda x: (x.clamp_(min=0, max=6), x)[1]), 6.0),
    "clamp from zero": (Own(lambda x: torch.clamp(x, min=0)), math.inf),
    "where": (Own(lambda x: torch.where(x > 0, x, 0.0)), math.inf),
    "a maximum": (Own(lambda x: torch.maximum(torch.zeros_like(x), x)), math.inf),
}


@pytest.mark.parametrize("name", CLAMPS)
def test_every_spelling_of_a_relu_with_a_ceiling_is_replaced(name):
    module, ceiling = CLAMPS[name]
    x, beta = numbers(7, 6, scale=4.0).requires_grad_(), 3.0
    smooth = smoothed(nn.Sequential(nn.Identity(), module), beta=beta, pooling=None)
    expected = direct_softplus(x, beta) - (0 if ceiling == math.inf else direct_softplus(x - ceiling, beta))
    found = smooth(x.clone())
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-13)
    gradients = (torch.autograd.grad(values.square().sum(), x)[0] for values in (found, expected))
    torch.testing.assert_close(*gradients, rtol=1e-10, atol=1e-12)
    assert float((found - x.clamp(0, ceiling)).detach().abs().max()) <= math.log(2) / beta


def test_a_tensor_that_is_read_again_after_an_in_place_relu():
    class ReadsAgain(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second = nn.Linear(6, 6), nn.Linear(6, 6)

        def forward(self, x):
            x = self.first(x)
            identity = x
            return identity + self.second(F.relu(x, inplace=True))

    model = ReadsAgain().double()
    x = numbers(3, 6)
    rectified = direct_softplus(model.first(x), 10.0)
    torch.testing.assert_close(smoothed(model)(x), rectified + model.second(rectified), rtol=1e-12, atol=0)


def test_one_unit_is_log_2_over_beta_from_the_relu():
    unit = nn.Sequential(nn.ReLU())
    x = torch.linspace(-3, 3, 1001, dtype=torch.float64)
    for beta in (0.5, 1.0, 10.0, 1000.0):
        gap = smoothed(unit, beta=beta)(x) - unit(x)
        assert float(gap.max()) == pytest.approx(math.log(2) / beta, rel=1e-12)
        assert float(gap[500]) == float(gap.max())
        assert (gap >= 0).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_softplus_does_not_jump_where_it_becomes_the_identity(dtype):
    x = torch.tensor([19.999, 20.001, 39.999, 40.001], dtype=dtype)
    found = smoothed(nn.Sequential(nn.ReLU()), beta=1.0)(x)
    exact = x.double() + torch.log1p(torch.exp(-x.double()))
    torch.testing.assert_close(found, exact.to(dtype), rtol=torch.finfo(dtype).eps, atol=0)


# ---- max-pooling

POOLS = {
    "1d": (partial(F.max_pool1d, kernel_size=3, stride=2, padding=1), (2, 3, 11)),
    "2d": (partial(F.max_pool2d, kernel_size=2), (2, 3, 8, 9)),
    "2d overlapping": (partial(F.max_pool2d, kernel_size=3, stride=2), (2, 3, 11, 8)),
    "2d padded": (partial(F.max_pool2d, kernel_size=(3, 5), stride=(1, 3), padding=(1, 2)), (2, 3, 7, 9)),
    "2d dilated": (partial(F.max_pool2d, kernel_size=3, stride=1, padding=1, dilation=2), (2, 3, 9, 8)),
    "2d ceil": (partial(F.max_pool2d, kernel_size=3, stride=2, ceil_mode=True), (2, 3, 8, 10)),
    "2d ceil padded": (partial(F.max_pool2d, kernel_size=2, stride=2, padding=1, ceil_mode=True), (2, 3, 7, 8)),
    "2d ceil, window dropped": (partial(F.max_pool2d, kernel_size=2, stride=3, ceil_mode=True), (2, 3, 6, 9)),
    "2d without batch": (partial(F.max_pool2d, kernel_size=2), (3, 8, 6)),
    "3d": (partial(F.max_pool3d, kernel_size=2, stride=1), (2, 3, 4, 5, 6)),
    "torch": (lambda x: torch.max_pool2d(x, 3, 2), (2, 3, 9, 9)),
    "operator": (lambda x: torch.ops.aten.max_pool2d(x, [3, 3], [2, 2], [1, 1]), (2, 3, 9, 9)),
    "module": (nn.MaxPool2d(3, 2, padding=1), (2, 3, 9, 9)),
    "adaptive 1d": (partial(F.adaptive_max_pool1d, output_size=3), (2, 3, 10)),
    "adaptive 2d": (partial(F.adaptive_max_pool2d, output_size=(3, 4)), (2, 3, 10, 9)),
    "adaptive to one": (nn.AdaptiveMaxPool2d(1), (2, 3, 7, 5)),
    "adaptive, a side kept": (nn.AdaptiveMaxPool2d((None, 2)), (2, 3, 4, 5)),
    "adaptive 3d": (nn.AdaptiveMaxPool3d(2), (2, 3, 4, 5, 3)),
}


def values_of_windows(function, x, sides):
    """What each window holds, by asking the pool itself: all places but one are sunk, and the one is seen or not."""
    places = x.flatten(-sides)
    members = []
    for place in range(places.shape[-1]):
        probe = torch.full_like(places, -1e250)
        probe[..., place] = places[..., place]
        members.append(function(probe.reshape(x.shape)))
    return torch.stack(members)  # (place, ...)


@pytest.mark.parametrize("sharpness", [0.7, 30.0])
@pytest.mark.parametrize("name", POOLS)
def test_pooling_is_the_log_of_the_sum_over_the_window(name, sharpness):
    function, shape = POOLS[name]
    x = numbers(*shape)
    sides = next((int(digit) for digit in "13" if f"{digit}d" in name), 2)
    members = values_of_windows(function, x, sides)
    expected = (members * sharpness).logsumexp(0) / sharpness
    size = (members > -1e249).sum(0)
    model = Own(function)
    found = smoothed(model, sharpness=sharpness)(x)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-13)
    mean = smoothed(model, sharpness=sharpness, pooling="logmeanexp")(x)
    torch.testing.assert_close(mean, expected - size.double().log() / sharpness, rtol=1e-12, atol=1e-13)
    gap = found - function(x)
    assert (gap >= -1e-15).all()
    assert (gap <= size.double().log() / sharpness + 1e-15).all()


@pytest.mark.parametrize("name", POOLS)
def test_sharp_pooling_is_max_pooling(name):
    function, shape = POOLS[name]
    x = numbers(*shape)
    found = smoothed(Own(function), sharpness=1e12)(x)
    torch.testing.assert_close(found, function(x), rtol=0, atol=1e-10)  # log n / t


def test_the_mean_keeps_a_constant_at_the_border_too():
    x = torch.full((1, 1, 7, 7), 2.5, dtype=torch.float64)
    pool = nn.MaxPool2d(3, 2, padding=1)
    kept = smoothed(pool, pooling="logmeanexp", sharpness=1.0)(x)
    torch.testing.assert_close(kept, torch.full_like(kept, 2.5), rtol=1e-14, atol=0)
    added = smoothed(pool, sharpness=1.0)(x)
    assert float(added[0, 0, 0, 0]) == pytest.approx(2.5 + math.log(4), rel=1e-14)  # four of nine lie inside
    assert float(added[0, 0, 1, 1]) == pytest.approx(2.5 + math.log(9), rel=1e-14)


def test_large_activations_do_not_overflow():
    x = 1e4 * numbers(1, 1, 6, 6).float()
    model = nn.Sequential(nn.ReLU(), nn.MaxPool2d(2))
    torch.testing.assert_close(smoothed(model, beta=100.0, sharpness=100.0)(x), model(x), rtol=1e-6, atol=0.02)


@pytest.mark.parametrize(
    "pool",
    [nn.MaxPool2d(2, return_indices=True), nn.AdaptiveMaxPool2d(2, return_indices=True)],
    ids=["max", "adaptive"],
)
def test_places_of_maxima_are_refused_by_name(pool):
    model = Own(lambda x: pool(F.relu(x))[0])
    x = numbers(1, 2, 4, 4)
    with pytest.raises(ModelError, match="max_pool2d_with_indices also returns"):
        smoothed(model)(x)
    assert smoothed(model, pooling=None)(x).shape == model(x).shape


# ---- whole networks


def model():
    return seeded(ConvNet).eval()


def test_smoothing_converges_to_the_network():
    x = images()
    gaps = [
        float((smoothed(model(), beta=sharpness, sharpness=sharpness)(x) - model()(x)).detach().abs().max())
        for sharpness in (1e2, 1e4, 1e6)
    ]
    # The errors of the units are of order 1/β, and so is that of their composition.
    assert gaps[1] < gaps[0] / 50
    assert gaps[2] < gaps[1] / 50
    assert gaps[2] < 1e-5


def test_the_model_is_left_alone_and_its_parameters_are_shared():
    original = model()
    modes, before = original.training, {name: value.clone() for name, value in original.state_dict().items()}
    smooth = smoothed(original)
    parameters = dict(original.named_parameters())
    assert dict(smooth.named_parameters()).keys() == parameters.keys()
    for name, parameter in smooth.named_parameters():
        assert parameter.data_ptr() == parameters[name].data_ptr()
    for name, buffer in smooth.named_buffers():
        assert buffer.data_ptr() != dict(original.named_buffers())[name].data_ptr()
    smooth.train()(images())  # writes running statistics, its own
    assert type(original) is ConvNet
    assert isinstance(smooth, ConvNet)
    assert type(smooth).__name__ == "SmoothConvNet"
    assert original.training == modes
    assert all(torch.equal(value, before[name]) for name, value in original.state_dict().items())
    x = images()
    torch.testing.assert_close(original(x), model()(x), rtol=0, atol=0)


def test_copies_are_smooth_too():
    smooth, x = smoothed(model(), beta=2.0), images()
    torch.testing.assert_close(copy.deepcopy(smooth)(x), smooth(x), rtol=0, atol=0)
    torch.testing.assert_close(prepare(smooth).model(x), smooth(x), rtol=0, atol=0)
    wrapped = nn.Sequential(nn.Identity(), smooth)
    torch.testing.assert_close(prepare(wrapped).model(x), smooth(x), rtol=0, atol=0)


def test_calls_are_counted():
    x = images()
    found = smoothing_of(smoothed(model()), x)
    assert (found.activations, found.poolings, found.kept) == (4, 1, {})
    assert str(found) == "4 ReLU calls and 1 max-poolings replaced"
    relus = smoothing_of(smoothed(model(), pooling=None), x)
    assert (relus.activations, relus.poolings) == (4, 0)
    pools = smoothing_of(smoothed(model(), activation=None), x)
    assert (pools.activations, pools.poolings) == (0, 1)
    other = nn.Sequential(nn.Flatten(), nn.Linear(198, 5), nn.ReLU(), nn.LeakyReLU(), nn.ReLU6(), nn.GELU()).double()
    found = smoothing_of(smoothed(other), x)
    assert (found.activations, found.kept) == (2, {"leaky_relu": 1})


def test_the_gradient_is_smooth():
    smooth, rough = smoothed(model(), beta=5.0, sharpness=5.0), model()
    x, direction = images(1), numbers(1, 2, 11, 9, seed=3)
    steps = torch.linspace(-1, 1, 4001, dtype=torch.float64).reshape(-1, 1, 1, 1)
    largest = {}
    for name, network in (("smooth", smooth), ("rough", rough)):
        points = (x + steps * direction).requires_grad_()
        gradient = torch.autograd.grad(network(points)[:, 0].sum(), points)[0]
        slopes = (gradient * direction).flatten(1).sum(1)
        largest[name] = float(slopes.diff().abs().max())
    assert largest["smooth"] < 0.05 * largest["rough"]  # 4000 small steps against the jumps of single units


def test_gradcheck_of_a_smooth_network():
    network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(True), nn.MaxPool2d(2, 1), nn.Flatten(), nn.Linear(8, 1))
    smooth = smoothed(network.double(), beta=2.0, sharpness=2.0)
    x = numbers(1, 1, 5, 5).requires_grad_()
    assert torch.autograd.gradcheck(smooth, x)
    assert torch.autograd.gradgradcheck(smooth, x)


def test_the_methods_explain_a_smooth_network():
    smooth, x = smoothed(model(), beta=2.0), images()
    methods = {
        "gradient": Gradient(),
        "ig": IntegratedGradients(steps=200, rule="gauss-legendre"),
        "cam": GradCAM(layer="conv3"),
    }
    maps = attribute(smooth, x, 1, methods)
    leaf = x.clone().requires_grad_()
    gradient = torch.autograd.grad(smooth(leaf)[:, 1].sum(), leaf)[0]
    torch.testing.assert_close(maps["gradient"], gradient, rtol=1e-12, atol=1e-15)
    change = smooth(x)[:, 1] - smooth(torch.zeros_like(x))[:, 1]
    # Gauss-Legendre meets the smooth integral to rounding; that of the ConvNet itself it misses by 1e-4.
    torch.testing.assert_close(maps["ig"].flatten(1).sum(1), change.detach(), rtol=1e-9, atol=1e-12)


def test_guided_backprop_refuses_what_has_no_relu():
    smooth, x = smoothed(model()), images()
    with pytest.raises(ModelError, match=r"SmoothConvNet makes no ReLU call.*4 softplus"):
        GuidedBackprop()(smooth, x, 1)
    assert relu_coverage(smoothed(model(), activation=None), x).guided == 4


def test_the_engine_sees_the_same_layers():
    original, smooth, x = model(), smoothed(model()), images()
    assert execution_order(smooth, x) == execution_order(original, x)
    assert used_parameters(smooth, x) == used_parameters(original, x)


def test_a_smooth_network_is_randomized_like_the_network():
    original, x = model(), images()
    smooth = smoothed(original, beta=2.0)
    plan = automatic_stages(original, x)
    rough, soft = (Randomizer(network, plan, Xavier(), seed=3) for network in (original, smooth))
    for (_, _, a), (_, _, b) in zip(rough.steps(), soft.steps(), strict=True):
        for (name, one), (other, two) in zip(a.named_parameters(), b.named_parameters(), strict=True):
            assert name == other
            assert torch.equal(one, two)
        torch.testing.assert_close(smoothed(a, beta=2.0)(x), b(x), rtol=0, atol=0)


def test_encoder_layers_are_smoothed_whatever_path_they_take():
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True, dropout=0.0).double().eval()
    network = nn.Sequential(layer, nn.Flatten(), nn.Linear(40, CLASSES).double()).eval()
    smooth = smoothed(network)
    with torch.no_grad():  # where torch would take a fused path that calls no ReLU
        smooth(numbers(2, 5, 8))
        assert smoothing_of(smooth, numbers(2, 5, 8)).activations == 1


@pytest.mark.parametrize(
    ("name", "size", "activations", "poolings"),
    [
        ("squeezenet1_0", 64, 26, 3),
        ("alexnet", 64, 7, 3),
        ("vgg11", 32, 10, 5),
        ("inception_v3", 75, 94, 4),
        ("googlenet", 64, 57, 13),
        ("basic_cnn", 28, 3, 2),
    ],
)
def test_networks_of_the_papers(name, size, activations, poolings):
    network = load_model(name, "none", num_classes=5)
    x = numbers(1, 1 if size == 28 else 3, size, size).float()
    smooth = smoothed(network)
    found = smoothing_of(smooth, x)
    assert (found.activations, found.poolings) == (activations, poolings)
    maps = attribute(smooth, x, 0, [Gradient()], precision="float64")["Gradient"]
    assert maps.dtype == torch.float64
    assert maps.isfinite().all()
    assert float(maps.abs().max()) > 0
    sharp = prepare(smoothed(network, beta=1e9, sharpness=1e9), "float64").model(x.double())
    torch.testing.assert_close(sharp, prepare(network, "float64").model(x.double()), rtol=1e-5, atol=1e-5)


# ---- refusals


def test_nothing_to_replace():
    with pytest.raises(ModelError, match="Linear makes no ReLU and max-pooling call"):
        smoothed(seeded(Linear))(images())
    with pytest.raises(ModelError, match="Perceptron makes no max-pooling call"):
        smoothed(seeded(Perceptron), activation=None)(images())
    assert smoothing_of(smoothed(seeded(Perceptron)), images()).poolings == 0


def test_options_that_do_not_exist():
    with pytest.raises(InvalidInput, match="both None"):
        smoothed(model(), activation=None, pooling=None)
    for name in ("beta", "sharpness"):
        with pytest.raises(InvalidInput, match=f"{name} is -1"):
            smoothed(model(), **{name: -1.0})
    with pytest.raises(ModelError, match="already smooth"):
        smoothed(smoothed(model()))
    with pytest.raises(ModelError, match="ConvNet is not a smooth network"):
        smoothing_of(model(), images())


# ---- the function along input dimensions


def test_the_function_along_a_dimension():
    network, image = seeded(Perceptron), images(1)[0]
    offsets, curves = function_along(network, image, 2, [0, 57], (-0.5, 1.5), 9)
    assert offsets.tolist() == pytest.approx([-0.5 + 0.25 * step for step in range(9)], abs=1e-15)
    for row, dimension in enumerate((0, 57)):
        for point, offset in enumerate(offsets):
            moved = image.clone()
            moved.view(-1)[dimension] += offset
            expected = float(network(moved[None])[0, 2].detach())
            assert float(curves[row, point]) == pytest.approx(expected, rel=1e-12)


def test_the_function_along_a_dimension_of_a_smooth_network_has_no_kinks():
    image = images(1)[0]
    bends = []
    for network in (model(), smoothed(model(), beta=2.0, sharpness=2.0)):
        _, curves = function_along(network, image, 0, [40, 41, 60], (-2.0, 2.0), 2001)
        bends.append(float(curves.diff(dim=1).diff(dim=1).abs().max()))
    assert bends[1] < 0.05 * bends[0]


def test_lines_that_do_not_exist():
    network, image = seeded(Perceptron), images(1)[0]
    for options, message in (
        ({"dimensions": [198]}, "dimensions"),
        ({"dimensions": []}, "dimensions"),
        ({"dimensions": [0], "points": 1}, "points"),
        ({"dimensions": [0], "span": (1.0, 1.0)}, "points"),
        ({"dimensions": [0], "target": CLASSES}, "target 4 is out of range"),
    ):
        with pytest.raises(InvalidInput, match=message):
            function_along(network, image, **({"target": 0} | options))


def test_unknown_names():
    with unchecked(), pytest.raises(UnknownName, match="no smooth pooling is called"):
        smoothed(model(), pooling="logsum")
