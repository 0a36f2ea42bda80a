"""The rescale rule at every kind of call, and the refusal of what has no rule."""

from functools import partial

import pytest
import torch
from nets import CLASSES, ConvNet, images, seeded
from torch import nn
from torch.nn import functional as F

from probatum.attributions import DeepLIFT, IntegratedGradients
from probatum.engine import prepare
from probatum.engine.budget import measure_saved
from probatum.engine.operations import SMOOTH, known
from probatum.engine.rescale import RescaleRule
from probatum.errors import ModelError

SHAPE = (4, 6, 6)


class Sandwich(nn.Module):
    """A function of the user's between a convolution and a linear layer."""

    def __init__(self, function, features: int | None = None, shape: tuple[int, ...] = SHAPE) -> None:
        super().__init__()
        self.function = function
        self.first = nn.Conv2d(shape[0], 4, 3, padding=1)
        size = function(torch.zeros(1, 4, *shape[1:]).double()).flatten(1).shape[1] if features is None else features
        self.head = nn.Linear(size, CLASSES)

    def forward(self, x):
        return self.head(self.function(self.first(x)).flatten(1))


def sandwich(function, features: int | None = None) -> nn.Module:
    return seeded(lambda: Sandwich(function, features))


def points(batch: int = 3):
    return images(batch, SHAPE)


def assert_complete(model, x, baseline="mean", tolerance=1e-12):
    """The check inside is wide for a tiny network; this one is as tight as rounding allows."""
    method = DeepLIFT(baseline)
    maps = method(model, x, 1)
    delta = method.convergence_delta(model, x, 1, maps)
    assert float(delta.abs().max()) < tolerance * float(maps.flatten(1).abs().sum(1).max())
    return maps


def quotients(function, model, x, start):
    """The map by hand: the function is elementwise, so its quotient stands between two linear maps."""
    below, below_start = model.first(x), model.first(start)
    quotient = (function(below) - function(below_start)) / (below - below_start)
    signal = quotient * model.head.weight[1].reshape(below.shape[1:])
    return (x - start) * F.conv_transpose2d(signal, model.first.weight, padding=1)


ELEMENTWISE = {
    "relu": F.relu,
    "relu in place": lambda x: F.relu_(x),
    "relu operator": torch.ops.aten.relu.default,
    "relu by keyword": lambda x: torch.relu(input=x),
    "relu6": nn.ReLU6(inplace=True),
    "hardtanh": F.hardtanh,
    "sigmoid": torch.sigmoid,
    "sigmoid in place": lambda x: x.sigmoid_(),
    "tanh": torch.tanh,
    "gelu": nn.GELU(),
    "gelu, tanh": nn.GELU("tanh"),
    "silu": nn.SiLU(inplace=True),
    "elu": F.elu,
    "selu": F.selu,
    "celu": nn.CELU(0.5, inplace=True),
    "softplus": nn.Softplus(3.0),
    "leaky relu": nn.LeakyReLU(0.2),
    "prelu": nn.PReLU(4, 0.3).double(),
    "mish": F.mish,
    "hardswish": F.hardswish,
    "hardsigmoid": F.hardsigmoid,
    "logsigmoid": F.logsigmoid,
    "softsign": F.softsign,
    "tanhshrink": F.tanhshrink,
    "threshold": nn.Threshold(0.1, 0.1),
    "softshrink": F.softshrink,
    "exp": torch.exp,
    "square": lambda x: x**2,
    "cube": lambda x: torch.pow(x, 3),
    "clamp": lambda x: x.clamp(-0.2, 0.3),
    "abs": torch.abs,
    "log": lambda x: torch.log(x + 100.0),
    "sqrt": lambda x: (x + 100.0).sqrt(),
}


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_an_elementwise_function_has_its_quotient_for_a_multiplier(name):
    function = ELEMENTWISE[name]
    model, x = sandwich(function).requires_grad_(False), points()
    start = x.mean((2, 3), keepdim=True).expand_as(x)
    expected = quotients(lambda z: function(z.clone()), model, x, start)
    torch.testing.assert_close(assert_complete(model, x), expected, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_at_the_baseline_itself_the_multiplier_is_the_derivative(name):
    model, x = sandwich(ELEMENTWISE[name]), points()
    local = DeepLIFT(x, multiply_by_inputs=False)(model, x, 1)
    leaf = x.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(model(leaf)[:, 1].sum(), leaf)
    torch.testing.assert_close(local, gradient, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("way", [1e-4, 1e-6, 1e-8, 1e-11])
@pytest.mark.parametrize("name", ["sigmoid", "tanh", "gelu", "silu", "softplus", "mish", "exp"])
def test_close_to_the_baseline_smooth_functions_lose_no_digits(name, way):
    model, x = sandwich(ELEMENTWISE[name]), points()
    direction = images(3, SHAPE, seed=4)
    local = DeepLIFT(x - way * direction, multiply_by_inputs=False)(model, x, 1)
    leaf = (x - way / 2 * direction).requires_grad_()
    (half_way,) = torch.autograd.grad(model(leaf)[:, 1].sum(), leaf)
    # Quotient and derivative half way differ by way² / 24 · f‴, and the quotient's rounding by ε / way.
    torch.testing.assert_close(local, half_way, rtol=0, atol=max(3 * way**2, 1e-9) * float(half_way.abs().max()))


def test_every_smooth_function_is_known():
    assert {known(getattr(torch, name))[1] for name in ("sigmoid", "tanh", "exp")} <= SMOOTH
    assert known(F.gelu)[1] in SMOOTH


POOLS = {
    "2, stride 2": nn.MaxPool2d(2),
    "3, stride 2": nn.MaxPool2d(3, 2),
    "3, stride 1": nn.MaxPool2d(3, 1, padding=1),
    "3, stride 2, padded": lambda x: F.max_pool2d(x, 3, 2, 1),
    "ceil mode": nn.MaxPool2d(3, 2, ceil_mode=True),
    "dilated": nn.MaxPool2d(2, 1, dilation=2),
    "torch's": lambda x: torch.max_pool2d(x, (2, 3), (1, 2)),
    "adaptive": nn.AdaptiveMaxPool2d((4, 5)),
    "global": lambda x: F.adaptive_max_pool2d(x, 1),
    "1-dimensional": lambda x: F.max_pool1d(x.flatten(2), 5, 3, 2),
    "adaptive, 1-dimensional": lambda x: nn.AdaptiveMaxPool1d(7)(x.flatten(2)),
    "3-dimensional": lambda x: F.max_pool3d(x, (2, 3, 3), (1, 2, 2)),
    "adaptive, 3-dimensional": lambda x: nn.AdaptiveMaxPool3d((2, 4, 5))(x),
}


@pytest.mark.parametrize("name", POOLS)
@pytest.mark.parametrize("before", [None, nn.ReLU(inplace=True), nn.Tanh()], ids=["", "relu", "tanh"])
def test_max_pools_are_complete_also_where_windows_overlap_and_behind_a_rectifier(name, before):
    function = POOLS[name]
    whole = function if before is None else lambda x: function(before(x))
    assert_complete(sandwich(whole), points())


class Picks(nn.Module):
    """One pool on the input alone, one window a class."""

    def __init__(self, pool) -> None:
        super().__init__()
        self.pool = pool

    def forward(self, x):
        return self.pool(x).flatten(1)


@pytest.mark.parametrize(
    ("image", "start", "expected"),
    [
        ([5.0, 1, 2], [0, 3, 1], [0.4, 0, 0]),  # rose by 2: of the image's maximum, which rose by 5
        ([0.0, 1, 2], [6, 3, 1], [4 / 6, 0, 0]),  # fell by 4: to the baseline's maximum, which fell by 6
        ([4.0, 1, 2], [3, 1, 2], [1, 0, 0]),  # the same place twice: its gradient
        ([3.0, 1, 2], [1, 3, 0], [0, 0, 0]),  # the maximum stayed although it moved
        ([3.0, 1, 2], [3, 0, 0], [1, 0, 0]),  # nothing changed there: the derivative
    ],
)
def test_a_pools_share_goes_to_the_higher_maximum(image, start, expected):
    image, start = (torch.tensor(row, dtype=torch.float64).reshape(1, 1, 3) for row in (image, start))
    m = DeepLIFT(start, multiply_by_inputs=False)(Picks(nn.MaxPool1d(3)), image, 1, precision="float64")
    torch.testing.assert_close(m.flatten(), torch.tensor(expected, dtype=torch.float64))


def test_overlapping_windows_add_up():
    image = torch.tensor([0.0, 1, 5, 2, 0], dtype=torch.float64).reshape(1, 1, 5)
    model = nn.Sequential(nn.MaxPool1d(3, 1), nn.Flatten(), nn.Linear(3, 2, bias=False)).double()
    m = DeepLIFT(multiply_by_inputs=False)(model, image, 0)
    expected = torch.zeros(5, dtype=torch.float64)
    expected[2] = model[2].weight[0].sum().detach()
    torch.testing.assert_close(m.flatten(), expected)


class Reused(nn.Module):
    """One ReLU and one pool for all places, in place, next to each other, read again afterwards."""

    def __init__(self) -> None:
        super().__init__()
        self.convolutions = nn.ModuleList(nn.Conv2d(4, 4, 3, padding=1) for _ in range(3))
        self.relu, self.pool, self.head = nn.ReLU(inplace=True), nn.MaxPool2d(3, 1, 1), nn.Linear(16, CLASSES)

    def forward(self, x):
        x = self.pool(self.relu(self.convolutions[0](x)))
        y = self.convolutions[1](x)
        z = self.relu(y) + y  # twice the rectified one
        z += x
        z = self.pool(self.relu(torch.sigmoid(self.convolutions[2](self.relu(z)))))
        z = torch.cat([z, torch.relu_(x - 0.1)], 1)
        return self.head(F.adaptive_avg_pool2d(z, (2, 1)).flatten(1))


class Gates(nn.Module):
    """Squeeze and excitation, a gated unit and a square by products."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.gate = nn.Conv2d(4, 8, 3), nn.Linear(8, 8)
        self.head = nn.Linear(8, CLASSES)

    def forward(self, x):
        x = F.silu(self.first(x))
        x = x * torch.sigmoid(self.gate(x.mean((2, 3))))[..., None, None]
        left, right = x.chunk(2, 1)
        left = left * right.tanh()
        left *= 2.0 - right
        return self.head(torch.cat([left * left, right], 1).mean((2, 3)))


class Everything(nn.Module):
    """Linear operations of all kinds, by function, method, operator and in place."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(4)
        nn.init.normal_(self.norm.running_mean)
        self.up = nn.ConvTranspose2d(4, 3, 2, stride=2)
        self.register_buffer("mask", torch.arange(6) > 2)
        self.matrix = nn.Parameter(torch.randn(6, 5))
        self.head = nn.Linear(8, CLASSES)
        self.drop = nn.Dropout2d(0.5)

    def forward(self, x):
        x = self.drop(self.norm(x))
        x = 2 - F.relu(x * 3 + 1) / 4
        x -= 0.5
        x = F.pad(x, (1, 1, 1, 1), mode="reflect")[:, :, 1:-1, 1:-1]
        x = torch.where(self.mask, x, torch.zeros_like(x)) + x.masked_fill(self.mask, 0.0) - x.roll(1, 2).flip(3)
        x = F.interpolate(self.up(x), size=(6, 6), mode="bilinear").relu() @ self.matrix
        x = torch.einsum("bchw,hk->bcwk", x.permute(0, 1, 2, 3), self.matrix[:, :2])
        x = torch.stack([x.transpose(2, 3), -x.mT], 1).flatten(1, 2).unsqueeze(1).squeeze(1)
        y = F.avg_pool2d(x, 2, 1, 1).tanh().sum((2, 3)) + x.reshape(len(x), 6, -1).mean(-1)
        y = torch.cat([y, y[:, :2].detach().new_zeros(len(y), 1) + y.narrow(1, 0, 2)], 1)
        return self.head(y.view(-1, 8).float().to(x.dtype).contiguous())


@pytest.mark.parametrize("build", [ConvNet, Reused, Gates, Everything])
@pytest.mark.parametrize("baseline", ["zero", "mean"])
def test_networks_of_many_constructs_are_complete(build, baseline):
    model = seeded(build)
    x = images(4) if build is ConvNet else images(4, SHAPE)
    # The last of them rounds its features to float32, by the way.
    assert_complete(model, x, baseline, tolerance=1e-6 if build is Everything else 1e-11)


def test_a_product_is_split_alike():
    class Product(nn.Module):
        def forward(self, x):
            return x[:, :2] * x[:, 2:]

    image, start = torch.tensor([[3.0, 1, 5, 2]]), torch.tensor([[1.0, 0, 2, 7]])
    m = DeepLIFT(start, multiply_by_inputs=False)(Product(), image, 0)
    assert m.tolist() == [[3.5, 0, 2, 0]]  # the mean of 5 and 2, the mean of 3 and 1


def test_memory_of_the_records_is_measured():
    prepared = prepare(nn.Sequential(nn.Flatten(), nn.Linear(144, 1000), nn.ReLU(), nn.Linear(1000, 3)).double())
    rule = RescaleRule(prepared)
    with measure_saved(prepared.model) as saved, rule.record():
        prepared.logits(points(1).requires_grad_().clone())
    assert saved.total == 1000 * 8  # what the ReLU was given; the graph itself keeps nothing


# ---------------------------------------------------------------- what is refused


class Layered(nn.Module):
    def __init__(self, layer) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(6, 6), layer)
        self.head = nn.Linear(864, CLASSES)

    def forward(self, x):
        return self.head(self.body(x.flatten(1).unflatten(1, (-1, 6))).flatten(1)[:, :144].repeat(1, 6))


class Own(nn.Module):
    def __init__(self, function) -> None:
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


class Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(6, 2, batch_first=True)

    def forward(self, x):
        return self.attention(x, x, x)[0]


class Recurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(6, 6, batch_first=True)

    def forward(self, x):
        return self.lstm(x)[0]


REFUSED = {
    "softmax": lambda: nn.Softmax(-1),
    "log_softmax": lambda: Own(lambda x: x.log_softmax(-1)),
    "instance_norm": lambda: nn.InstanceNorm1d(24),
    "local_response_norm": lambda: nn.LocalResponseNorm(2),
    "multi_head_attention_forward": Attention,
    "scaled_dot_product_attention": lambda: Own(lambda x: F.scaled_dot_product_attention(x, x, x)),
    "lstm": Recurrent,
    "norm": lambda: Own(lambda x: x / x.norm(dim=-1, keepdim=True)),
    "normalize": lambda: Own(F.normalize),
    "div": lambda: Own(lambda x: x / (x.abs() + 1)),
    "__rdiv__": lambda: Own(lambda x: 1 / (x.abs() + 1)),
    "matmul": lambda: Own(lambda x: x @ x.mT @ x),
    "amax": lambda: Own(lambda x: x - x.amax(-1, keepdim=True)),
    "max": lambda: Own(lambda x: x - x.max(-1, keepdim=True).values),
    "maximum": lambda: Own(lambda x: torch.maximum(x, x.flip(-1))),
    "sort": lambda: Own(lambda x: x.sort(-1).values),
    "std": lambda: Own(lambda x: x + x.std(-1, keepdim=True)),
    "gt": lambda: Own(lambda x: x * (x > 0)),
    "cumprod": lambda: Own(lambda x: x.cumprod(-1)),
    "round": lambda: Own(lambda x: x + (x.round() - x).detach()),
    "item": lambda: Own(lambda x: x * 2 if x.sum().item() > 0 else x),
    "__bool__": lambda: Own(lambda x: x * 2 if x.sum() else x),
    "glu": lambda: Own(lambda x: F.glu(x).repeat(1, 1, 2)),
    "max_pool1d_with_indices": lambda: Own(lambda x: F.max_pool1d(x, 1, return_indices=True)[0]),
}


def _norm_by_hand(x, centered=True):
    c = x - x.mean(-1, keepdim=True) if centered else x
    return c * (c.square().mean(-1, keepdim=True) + 1e-2).rsqrt()


NORMS = {
    "layer norm": (lambda x: F.layer_norm(x, (6,), eps=1e-2), _norm_by_hand),
    "RMS norm": (lambda x: F.rms_norm(x, (6,), eps=1e-2), partial(_norm_by_hand, centered=False)),
    "group norm": (
        lambda x: F.group_norm(x, 8, eps=1e-2),
        lambda x: _norm_by_hand(x.reshape(len(x), 8, -1)).reshape(x.shape),
    ),
}


@pytest.mark.parametrize("name", NORMS)
def test_norms_are_complete_and_equal_their_parts(name):
    whole, parts = (seeded(partial(Layered, Own(function))) for function in NORMS[name])
    maps = assert_complete(whole, points(), tolerance=1e-11)
    torch.testing.assert_close(maps, DeepLIFT("mean")(parts, points(), 1), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("block", ["GELU", "SiLU", "Mish"])
def test_a_block_of_a_mixer_is_complete(block):
    layers = nn.LayerNorm(6), nn.Linear(6, 12), getattr(nn, block)(), nn.Linear(12, 6)
    assert_complete(seeded(lambda: Layered(nn.Sequential(*layers))), points(), tolerance=1e-11)


@pytest.mark.parametrize("name", REFUSED)
def test_what_has_no_rule_is_named_with_its_place_and_the_way_out(name):
    model, x = seeded(lambda: Layered(REFUSED[name]())), points(2)
    with pytest.raises(ModelError, match=rf"^{name} in 'body\.1.*' of Layered .*no rule .*use a method that needs no"):
        DeepLIFT()(model, x, 0)
    IntegratedGradients(2)(model, x, 0)


def test_an_operation_outside_of_any_layer_is_placed_in_the_model():
    model = seeded(lambda: Own(lambda x: 2 * x.flatten(1).softmax(1)))
    with pytest.raises(ModelError, match=r"^softmax in Own has no rule"):
        DeepLIFT()(model, points(2), 0)


class _Doubled(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, signal):
        return 2 * signal


BYPASSES = {
    "detach": lambda x: x + x.detach() ** 2,
    "data": lambda x: x + x.data.sigmoid(),
    "no_grad": lambda x: x + torch.no_grad()(torch.tanh)(x),
    "a custom function": _Doubled.apply,
    "a whole number": lambda x: x + (3 * x).to(torch.long),
}


@pytest.mark.parametrize("name", BYPASSES)
def test_what_goes_past_the_gradient_is_found_by_the_sum(name):
    model = sandwich(BYPASSES[name])
    with pytest.raises(ModelError, match=r"attributions of image \d miss the change of the logit of Sandwich by -?\d"):
        DeepLIFT()(model, points(), 0)


def test_the_image_that_is_not_complete_is_named():
    model, x = sandwich(lambda x: x + x.detach() * 0.1 * (x.detach().abs() > 6.0)), points()
    x[0] /= 100
    x[2] /= 100
    x[1] *= 10
    with pytest.raises(ModelError, match="attributions of image 1 miss"):
        DeepLIFT()(model, x, 0)


def test_checkpointed_blocks_are_refused_and_not_wrong():
    def checkpointed(x):
        return torch.utils.checkpoint.checkpoint(lambda y: F.relu(y).tanh(), x, use_reentrant=False)

    with pytest.raises((ModelError, torch.utils.checkpoint.CheckpointError)):
        DeepLIFT()(sandwich(checkpointed, 144), points(), 0)


def test_a_forward_pass_that_depends_on_the_input_is_refused():
    class Branches(nn.Module):
        def forward(self, x):
            large = float(x.detach().abs().sum()) > 1
            return x.flatten(1).relu() if large else x.flatten(1)

    with pytest.raises(ModelError, match="makes other calls than that on the image"):
        DeepLIFT()(Branches(), points(1), 0)
    with pytest.raises(ModelError, match="makes other calls than that on the image"):
        DeepLIFT(points(1) * 10)(Branches(), points(1) * 0, 0)


def test_a_model_that_ignores_its_input_is_refused():
    model = Own(lambda x: x.flatten(1).detach() + torch.ones(1, requires_grad=True))
    with pytest.raises(ModelError, match="do not depend on its input"):
        DeepLIFT()(model, points(), 0)


def test_nothing_is_left_behind_where_it_fails():
    model, good = seeded(lambda: Layered(nn.Softmax(-1))), seeded(ConvNet)
    expected = DeepLIFT()(good, images(), 0)
    with pytest.raises(ModelError):
        DeepLIFT()(model, points(), 0)
    assert torch.equal(DeepLIFT()(good, images(), 0), expected)
    assert torch.relu(torch.tensor(-1.0)) == 0


@pytest.mark.parametrize(
    "spelling", [F.relu, partial(F.relu, inplace=True), torch.relu_], ids=["new", "in-place", "relu_"]
)
def test_a_tensor_that_is_overwritten_after_it_was_read(spelling):
    # Autograd would refuse or not notice; the rule has copies of its own.
    assert_complete(sandwich(lambda x: (spelling(x), x.mul_(0.5).tanh_(), x)[2]), points())
    assert_complete(sandwich(lambda x: F.gelu(x) + x.add_(1.0)), points())
