"""LRP beside its literal form and Zennit, what it conserves, and what it refuses."""

import pytest
import torch
from nets import CLASSES, SHAPE, ConvNet, images, seeded
from torch import nn
from torch.nn import functional as F

from probatum.attributions import LRP
from probatum.attributions.literal import Problem, literal
from probatum.attributions.lrp import COMPOSITES
from probatum.engine import AlphaBeta, Box, Epsilon, Flat, Gamma, RelevanceRule, WSquare
from probatum.errors import InvalidInput, ModelError, UnknownName

TARGETS = torch.tensor([0, 3, 1, 2, 1])
PLACES = SHAPE[1] * SHAPE[2]


@pytest.mark.parametrize("composite", [*COMPOSITES, RelevanceRule(Epsilon(0.5), Gamma(2.0), Box(-9.0, 8.0))], ids=str)
def test_every_composite_equals_its_literal_form(composite):
    net, image, method = seeded(ConvNet).eval(), images()[1], LRP(composite)
    expected = literal(method, Problem(net, 3, image), image)
    found = method(net, image[None], 3)[0]
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-11 * float(expected.abs().max()))


class WithoutBias(nn.Module):
    """A residual network whose relevance nothing but the stabilizers can absorb."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(SHAPE[0], 4, 3, padding=1, bias=False)
        self.conv2 = nn.Conv2d(4, 4, 3, padding=1, bias=False)
        self.head = nn.Linear(4 * 4, CLASSES, bias=False)

    def forward(self, x):
        x = F.relu(self.conv1(x))
        x = torch.cat([x[:, :2], (F.relu(self.conv2(x)) + x)[:, 2:]], 1)
        return self.head(F.adaptive_avg_pool2d(F.max_pool2d(x, 2), 2).flatten(1))


@pytest.mark.parametrize("composite", ["epsilon", "epsilon-plus-flat", "epsilon-plus-w2", "epsilon-gamma-box"])
def test_relevance_is_conserved_where_nothing_absorbs_it(composite):
    model = seeded(WithoutBias)
    for parameter in model.parameters():
        nn.init.uniform_(parameter, 0.1, 1.0)  # so that no denominator is close to zero
    logits = model(images().abs())[range(5), TARGETS]
    maps = LRP(composite)(model, images().abs(), TARGETS)
    torch.testing.assert_close(maps.sum((1, 2, 3)), logits, rtol=1e-4, atol=0)  # ε = 1e-6 beside sums of about 1


def test_a_linear_network_under_epsilon_is_input_times_weight():
    model = seeded(lambda: nn.Sequential(nn.Flatten(), nn.Linear(SHAPE[0] * PLACES, CLASSES)))
    method = LRP(RelevanceRule(Epsilon(0.0), Epsilon(0.0)))
    maps = method(model, images(), TARGETS)
    torch.testing.assert_close(maps.flatten(1), images().flatten(1) * model[1].weight[TARGETS], rtol=1e-12, atol=1e-15)
    absorbed = method.absorbed(model, images(), TARGETS, maps)
    torch.testing.assert_close(absorbed, model[1].bias[TARGETS], rtol=1e-10, atol=1e-12)


def written(x):
    beside = x.new_full((len(x), 6), 3.0)
    beside[:, :4] = x
    return beside


@pytest.mark.parametrize(
    "beside",
    [
        lambda x: torch.cat([x, x.new_full((len(x), 2), 3.0)], 1),
        lambda x: torch.hstack([x, x.new_full((len(x), 2), 3.0)]),
        lambda x: F.pad(x, (0, 2), value=3.0),
        lambda x: torch.where(torch.arange(6) < 4, F.pad(x, (0, 2)), 3.0),
        lambda x: F.pad(x, (0, 2)).masked_fill(torch.arange(6) > 3, 3.0),
        written,
    ],
    ids=["cat", "hstack", "pad", "where", "masked_fill", "written into"],
)
def test_constants_beside_the_input_absorb_their_part(beside):
    class Beside(nn.Module):
        def __init__(self):
            super().__init__()
            self.head = nn.Linear(6, 3)

        def forward(self, x):
            return self.head(beside(x))

    model, x = seeded(Beside), images(5, (4,))
    method, weight = LRP(RelevanceRule(Epsilon(0.0), Epsilon(0.0))), model.head.weight[1]
    maps = method(model, x, 1)
    torch.testing.assert_close(maps, x * weight[:4], rtol=1e-12, atol=1e-14)
    absorbed = (model.head.bias[1] + 3 * weight[4:].sum()).expand(5)
    torch.testing.assert_close(method.absorbed(model, x, 1, maps), absorbed, rtol=1e-11, atol=1e-12)


def test_padding_before_the_first_layer_takes_its_part_of_the_flat_rule():
    """R_i = Σ_j R_j / (18 + ε) over the windows of 2 × 3 × 3 numbers that hold i; the rest is the padding's."""
    model = seeded(lambda: nn.Sequential(nn.ZeroPad2d(1), nn.Conv2d(SHAPE[0], 3, 3), nn.Flatten(), nn.Linear(297, 4)))
    behind = model[1](model[0](images())) * model[3].weight[TARGETS].reshape(-1, 3, *SHAPE[1:])
    expected = F.conv_transpose2d(behind, torch.ones(3, *SHAPE[:1], 3, 3).double() / (18 + 1e-6))[..., 1:-1, 1:-1]
    maps = LRP(RelevanceRule(Epsilon(0.0), AlphaBeta(), Flat()))(model, images(), TARGETS)
    torch.testing.assert_close(maps, expected, rtol=1e-9, atol=1e-12)


class TwoReaders(nn.Module):
    """A convolution that a batch norm reads, and a second layer, too."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(SHAPE[0], 3, 1), nn.BatchNorm2d(3)
        self.head, self.other = nn.Linear(3, CLASSES), nn.Linear(3, CLASSES)
        nn.init.uniform_(self.norm.running_var, 0.5, 2.0)

    def forward(self, x):
        y = self.conv(x)
        return self.head(F.relu(self.norm(y)).mean((2, 3))) + self.other(y.mean((2, 3)))


def test_a_batch_norm_is_not_folded_into_a_convolution_that_is_read_elsewhere():
    net = seeded(TwoReaders).eval()
    split = seeded(TwoReaders).eval()
    split.norm, split.conv = nn.Sequential(nn.Identity(), split.norm), net.conv
    maps = LRP("epsilon")(net, images(), 1)
    assert torch.equal(maps, LRP("epsilon")(split, images(), 1))
    # By hand: both heads share by their products, and the batch norm passes relevance on.
    y = net.conv(images()).detach()
    z = net.norm(y).detach()
    parts = [(z.relu(), net.head), (y, net.other)]
    logits = [head(a.mean((2, 3)))[:, 1] for a, head in parts]
    total = sum(logits)
    relevance = 0
    for (a, head), logit in zip(parts, logits, strict=True):
        share = total * logit / _stable(total) / _stable(logit)
        mean = a.mean((2, 3))
        of_mean = share[:, None] * mean * head.weight[1]
        relevance = relevance + a / PLACES * (of_mean / _stable(mean))[:, :, None, None]
    slope = relevance / _stable(y)
    expected = images() * torch.einsum("bkij,kc->bcij", slope, net.conv.weight[:, :, 0, 0])
    torch.testing.assert_close(maps, expected.detach(), rtol=1e-9, atol=1e-12)


def _stable(z):
    return z + 1e-6 * torch.where(z < 0, -1.0, 1.0)


class Gate(nn.Module):
    def __init__(self, call) -> None:
        super().__init__()
        self.conv, self.head, self.call = nn.Conv2d(SHAPE[0], 3, 1), nn.Linear(3, CLASSES), call

    def forward(self, x):
        return self.head(self.call(self.conv(x)).mean((2, 3)))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda y: y.softmax(1), "softmax in .*has no rule for LRP"),
        (lambda y: y * y.sigmoid(), "mul in .*has no rule for LRP"),
        (lambda y: F.layer_norm(y, y.shape[1:]), "layer_norm in .*has no rule for LRP"),
    ],
)
def test_calls_without_a_rule_are_refused_by_name(call, message):
    with pytest.raises(ModelError, match=message):
        LRP()(seeded(lambda: Gate(call)), images(), 0)


class Doubling(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x * 2

    @staticmethod
    def backward(ctx, arriving):
        return arriving * 2


def test_a_custom_autograd_function_breaks_conservation():
    with pytest.raises(ModelError, match="do not add up"):
        LRP()(seeded(lambda: Gate(Doubling.apply)), images(), 0)


@pytest.mark.parametrize(
    ("make", "error"),
    [
        (lambda: LRP("epsilon-plus-box"), UnknownName),
        (lambda: Epsilon(-1.0), InvalidInput),
        (lambda: Gamma(float("nan")), InvalidInput),
        (lambda: AlphaBeta(2.0, 0.0), InvalidInput),
        (
            lambda: LRP(RelevanceRule(Epsilon(), Flat(), Box((0.0,) * 5, 1.0)))(seeded(ConvNet), images(), 0),
            InvalidInput,
        ),
    ],
)
def test_bad_settings_are_refused(make, error):
    with pytest.raises(error):
        make()


ZENNIT = {
    "epsilon-plus": ("EpsilonPlus", {}),
    "epsilon-plus-flat": ("EpsilonPlusFlat", {}),
    "epsilon-alpha2-beta1-flat": ("EpsilonAlpha2Beta1Flat", {}),
    RelevanceRule(Epsilon(), Gamma(), Box((-3.0, -2.0, -4.0), 4.0)): (
        "EpsilonGammaBox",
        {"low": torch.tensor([-3.0, -2.0, -4.0])[None, :, None, None], "high": torch.tensor(4.0)},
    ),
}


@pytest.mark.extra
@pytest.mark.parametrize("name", ["vgg11", "resnet18"])
def test_equals_zennit(name):
    """Without ε in the batch norms, which Zennit leaves in those that it has merged: they still divide by √(1 + ε)."""
    composites = pytest.importorskip("zennit.composites", reason="zennit is not installed")
    canonizers = pytest.importorskip("zennit.torchvision")
    attribution = pytest.importorskip("zennit.attribution")
    models = pytest.importorskip("torchvision.models")
    model = seeded(lambda: getattr(models, name)(num_classes=CLASSES)).eval()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eps = 0.0
            for values in (module.running_mean, module.running_var, module.weight, module.bias):
                values.data = torch.linspace(0.5, 1.5, len(values), dtype=values.dtype)
        elif isinstance(module, (nn.Conv2d, nn.Linear)) and module.bias is not None:
            module.bias.data = torch.linspace(-0.1, 0.1, len(module.bias), dtype=module.bias.dtype)
    canonizer = canonizers.ResNetCanonizer() if name == "resnet18" else canonizers.VGGCanonizer()
    x = images(1, (3, 32, 32)).clamp(-2, 4)
    for composite, (theirs, options) in ZENNIT.items():
        with attribution.Gradient(model, getattr(composites, theirs)(canonizers=[canonizer], **options)) as explain:
            _, expected = explain(x, lambda logits: torch.eye(CLASSES, dtype=x.dtype)[:1] * logits)
        maps = LRP(composite)(model, x, 0)
        torch.testing.assert_close(maps, expected, rtol=0, atol=1e-9 * float(expected.abs().max()))


def test_flat_and_squared_weights_need_no_input():
    x = torch.zeros(1, *SHAPE, dtype=torch.float64)
    for first in (Flat(), WSquare()):
        assert LRP(RelevanceRule(Epsilon(), AlphaBeta(), first))(seeded(ConvNet), x, 0).any()
