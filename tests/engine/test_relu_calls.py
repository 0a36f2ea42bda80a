"""Guided Backprop sees every way to call a ReLU, and the function that a model with in-place ReLUs really computes."""

from functools import partial

import pytest
import torch
import torchvision
from attributions.guided_reference import guided_gradient, plain_gradient
from nets import CLASSES, images, seeded
from torch import nn
from torch.nn import functional as F
from torch.nn.utils import parametrizations, weight_norm

from probatum.attributions import DeconvNet, Gradient, GuidedBackprop, GuidedGradCAM
from probatum.engine import ReLUCoverage, relu_coverage
from probatum.errors import InvalidInput, ModelError


class MyReLU(nn.ReLU):
    """A subclass, which a test for the exact type would miss."""


class Own(nn.Module):
    """A module of the user's that calls a ReLU by a given function."""

    def __init__(self, function) -> None:
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


SPELLINGS = {
    "nn.ReLU": nn.ReLU,
    "nn.ReLU in place": partial(nn.ReLU, inplace=True),
    "a subclass": MyReLU,
    "a subclass in place": partial(MyReLU, True),
    "nested": lambda: nn.Sequential(nn.Sequential(nn.ReLU())),
    "F.relu": lambda: Own(lambda x: F.relu(x)),
    "F.relu by keyword": lambda: Own(lambda x: F.relu(input=x, inplace=False)),
    "F.relu in place": lambda: Own(lambda x: F.relu(x, inplace=True)),
    "F.relu in place by position": lambda: Own(lambda x: F.relu(x, True)),
    "F.relu in place by keyword": lambda: Own(lambda x: F.relu(inplace=True, input=x)),
    "F.relu in place, result unused": lambda: Own(lambda x: (F.relu(x, inplace=True), x)[1]),
    "F.relu_": lambda: Own(lambda x: F.relu_(x)),
    "torch.relu": lambda: Own(lambda x: torch.relu(x)),
    "torch.relu by keyword": lambda: Own(lambda x: torch.relu(input=x)),
    "torch.relu_": lambda: Own(lambda x: torch.relu_(x)),
    "torch.relu_, result unused": lambda: Own(lambda x: (torch.relu_(x), x)[1]),
    "Tensor.relu": lambda: Own(lambda x: x.relu()),
    "Tensor.relu_": lambda: Own(lambda x: x.relu_()),
    "Tensor.relu_ of a view": lambda: Own(lambda x: (x.view(-1).relu_(), x)[1]),
    "unbound": lambda: Own(lambda x: torch.Tensor.relu(x)),
    "the operator": lambda: Own(lambda x: torch.ops.aten.relu.default(x)),
    "the operator's packet": lambda: Own(lambda x: torch.ops.aten.relu(x)),
    "the operator in place": lambda: Own(lambda x: torch.ops.aten.relu_(x)),
    "clamp": lambda: Own(lambda x: x.clamp(min=0)),
    "clamp up to infinity": lambda: Own(lambda x: torch.clamp(x, 0, float("inf"))),
    "clamp by a tensor": lambda: Own(lambda x: x.clamp(min=torch.zeros((), dtype=x.dtype))),
    "clamp in place of a view": lambda: Own(lambda x: (x.view(-1).clamp_(min=0), x)[1]),
    "where": lambda: Own(lambda x: torch.where(x > 0, x, torch.zeros_like(x))),
    "where, the other way round": lambda: Own(lambda x: torch.where(x <= 0, 0.0, x)),
    "where by method": lambda: Own(lambda x: x.where(x >= 0, 0.0)),
    "where of a negated mask": lambda: Own(lambda x: torch.where(~(x > 0), 0.0, x)),
    "times its mask": lambda: Own(lambda x: x * (x > 0)),
    "its mask as numbers, times": lambda: Own(lambda x: (x > 0).to(x.dtype) * x),
    "times its mask in place": lambda: Own(lambda x: x.mul_(x > 0)),
    "maximum": lambda: Own(lambda x: torch.maximum(x, torch.zeros_like(x))),
    "max of two": lambda: Own(lambda x: torch.max(torch.zeros((), dtype=x.dtype), x)),
    "fmax": lambda: Own(lambda x: torch.fmax(x, torch.zeros_like(x))),
    "threshold": lambda: nn.Threshold(0.0, 0.0),
    "threshold in place": lambda: nn.Threshold(0.0, 0.0, inplace=True),
    "hardtanh": lambda: nn.Hardtanh(0.0, float("inf")),
    "masked_fill": lambda: Own(lambda x: x.masked_fill(x < 0, 0.0)),
    "masked_fill in place": lambda: Own(lambda x: x.masked_fill_(x <= 0, 0.0)),
    "assignment": lambda: Own(_assigned),
}


def _assigned(x):
    x[x < 0] = 0
    return x


class TwoReLUs(nn.Module):
    """S = W3 relu(W2 relu(W1 x)), with both ReLUs of one kind, one module each or one for both."""

    def __init__(self, make, shared: bool) -> None:
        super().__init__()
        self.first, self.second, self.third = (
            nn.Linear(*sizes, bias=False) for sizes in [(198, 16), (16, 16), (16, CLASSES)]
        )
        self.inner = make()
        self.outer = self.inner if shared else make()

    def forward(self, x):
        return self.third(self.outer(self.second(self.inner(self.first(x.flatten(1))))))


@pytest.mark.parametrize("shared", [False, True], ids=["two modules", "one module"])
@pytest.mark.parametrize("name", SPELLINGS)
def test_every_spelling_is_guided(name, shared):
    model, x, target = seeded(partial(TwoReLUs, SPELLINGS[name], shared)), images(), 1
    w1, w2, w3 = (layer.weight.detach() for layer in (model.first, model.second, model.third))
    below = x.flatten(1) @ w1.T
    above = below.clamp(min=0) @ w2.T
    plain = ((w3[target] * (above > 0)) @ w2 * (below > 0)) @ w1
    signal = w3[target].clamp(min=0) * (above > 0)
    guided = ((signal @ w2).clamp(min=0) * (below > 0)) @ w1
    torch.testing.assert_close(Gradient()(model, x, target).flatten(1), plain, rtol=1e-12, atol=1e-15)
    torch.testing.assert_close(GuidedBackprop()(model, x, target).flatten(1), guided, rtol=1e-12, atol=1e-15)
    assert not torch.allclose(plain, guided)
    assert relu_coverage(model, x).guided == 2
    assert str(relu_coverage(model, x)) == "2 of 2 ReLU calls guided"


class ReadsAgain(nn.Module):
    """The slip of many pre-activation networks: the identity branch holds the tensor that the ReLU overwrites."""

    def __init__(self, in_place) -> None:
        super().__init__()
        self.first, self.second, self.head = nn.Linear(198, 16), nn.Linear(16, 16), nn.Linear(16, CLASSES)
        self.in_place = in_place

    def forward(self, x):
        x = self.first(x.flatten(1))
        identity = x
        return self.head(identity + self.second(self.in_place(x)))

    def truth(self, x):
        """What it computes: both branches read the rectified tensor."""
        rectified = F.relu(self.first(x.flatten(1)))
        return self.head(rectified + self.second(rectified))


@pytest.mark.parametrize("spelling", ["nn.ReLU in place", "F.relu in place", "torch.relu_", "Tensor.relu_"])
def test_a_tensor_that_is_read_again_after_a_relu_overwrote_it(spelling):
    model, x = seeded(lambda: ReadsAgain(SPELLINGS[spelling]())), images()
    torch.testing.assert_close(model(x), model.truth(x), rtol=1e-14, atol=0)
    truth = Own(model.truth)
    torch.testing.assert_close(Gradient()(model, x, 2), plain_gradient(truth, x, 2), rtol=1e-12, atol=1e-15)
    guided, _ = guided_gradient(truth, x, 2)
    torch.testing.assert_close(GuidedBackprop()(model, x, 2), guided, rtol=1e-12, atol=1e-15)
    assert not torch.allclose(guided, plain_gradient(truth, x, 2))


def test_a_relu_out_of_place_leaves_its_input_to_the_identity_branch():
    model, x = seeded(lambda: ReadsAgain(nn.ReLU())), images()
    guided, _ = guided_gradient(model, x, 2)
    torch.testing.assert_close(GuidedBackprop()(model, x, 2), guided, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("spelling", ["nn.ReLU in place", "torch.relu_"])
def test_a_first_layer_in_place_does_not_touch_the_images(spelling):
    model = seeded(lambda: nn.Sequential(SPELLINGS[spelling](), nn.Flatten(), nn.Linear(198, CLASSES)))
    x = images()
    kept = x.clone()
    weights = model[2].weight[1].detach().reshape(1, *x.shape[1:]) * (x > 0)
    assert torch.equal(Gradient()(model, x, 1), weights)
    assert torch.equal(GuidedBackprop()(model, x, 1), weights.clamp(min=0))
    assert torch.equal(x, kept)


@pytest.mark.parametrize("norm_first", [True, False])
@pytest.mark.parametrize("activation", ["relu", F.relu, nn.ReLU()], ids=["name", "function", "module"])
def test_transformer_layers_are_kept_off_their_fused_path(activation, norm_first):
    layer = partial(
        nn.TransformerEncoderLayer, 9, 3, 12, activation=activation, batch_first=True, norm_first=norm_first
    )
    model = seeded(lambda: nn.Sequential(nn.Flatten(1, 2), layer(), layer(), nn.Flatten(), nn.Linear(198, CLASSES)))
    model.eval()
    guided, calls = guided_gradient(model, images(), 0)
    torch.testing.assert_close(GuidedBackprop()(model, images(), 0), guided, rtol=1e-10, atol=1e-13)
    assert relu_coverage(model, images()).guided == calls == 2
    with torch.no_grad():
        assert relu_coverage(model, images()).guided == 2


class Mixed(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(198, CLASSES)
        self.activations = nn.ModuleList(
            [
                nn.ReLU6(),
                nn.GELU(),
                nn.LeakyReLU(inplace=True),
                nn.Hardtanh(),
                nn.ReLU6(inplace=True),
                nn.Threshold(0, -1),
            ]
        )

    def forward(self, x):
        x = self.linear(x.flatten(1))
        for activation in self.activations:
            x = activation(x)
        return x


def test_other_activations_are_counted_and_named_where_they_are_too_many():
    model = seeded(Mixed)
    coverage = relu_coverage(model, images())
    assert coverage.guided == 2  # both ReLU6
    assert coverage.others == {"gelu": 1, "leaky_relu": 1, "hardtanh": 1, "threshold": 1}
    assert coverage.share == 2 / 6
    assert str(coverage).startswith("2 of 6 activations guided (33%); not guided: 1 gelu, 1 leaky_relu")
    with pytest.raises(ModelError, match=r"Mixed.*gelu.*min_coverage to at most 0\.33"):
        GuidedBackprop()(model, images(), 0)
    assert GuidedBackprop(min_coverage=0.33)(model, images(), 0).isfinite().all()
    for _ in range(3):
        model.activations.append(nn.ReLU())
    GuidedBackprop()(model, images(), 0)  # 5 of 9


@pytest.mark.parametrize("share", [-0.1, 1.5, float("nan")])
def test_a_share_is_between_0_and_1(share):
    for method in (GuidedBackprop, GuidedGradCAM, DeconvNet):
        with pytest.raises(InvalidInput, match="min_coverage"):
            method(min_coverage=share)


# --- ceilings ---

CEILINGS = {
    "nn.ReLU6": nn.ReLU6,
    "nn.ReLU6 in place": partial(nn.ReLU6, inplace=True),
    "F.relu6": lambda: Own(F.relu6),
    "hardtanh": lambda: Own(lambda x: F.hardtanh(x, 0.0, 6.0)),
    "clamp": lambda: Own(lambda x: x.clamp(0, 6)),
    "clamp by keyword": lambda: Own(lambda x: torch.clamp(x, min=0.0, max=6.0)),
    "clip by tensors": lambda: Own(lambda x: x.clip(x.new_tensor(0), x.new_tensor(6))),
}


@pytest.mark.parametrize("name", CEILINGS)
def test_a_ceiling_stops_the_signal_above_it(name):
    """R_in = 1[0 < x < 6] · 1[R_out > 0] · R_out; integers, so that inputs lie at 0 and at 6, where it is 0."""
    matrices = [
        [[1, 2, 0], [3, -1, 1], [-1, -1, 0], [4, 4, 1]],
        [[2, -5, 7, 1], [1, 3, -2, -4], [-1, 2, 5, 3]],
        [[1, -2, 3]],
    ]
    w1, w2, w3 = (torch.tensor(matrix, dtype=torch.float64) for matrix in matrices)
    make = CEILINGS[name]
    layers = [nn.Linear(3, 4, bias=False), make(), nn.Linear(4, 3, bias=False), make(), nn.Linear(3, 1, bias=False)]
    model = nn.Sequential(*layers).double()
    for layer, weight in zip(layers[::2], (w1, w2, w3), strict=True):
        layer.weight.data.copy_(weight)
    values = torch.arange(-2, 3, dtype=torch.float64)
    x = torch.cartesian_prod(values, values, values)
    below = x @ w1.T
    above = below.clamp(0, 6) @ w2.T
    assert all((values == edge).any() for values in (below, above) for edge in (0, 6)), "the test needs inputs there"
    signal = w3.clamp(min=0) * ((above > 0) & (above < 6))
    guided = ((signal @ w2).clamp(min=0) * ((below > 0) & (below < 6))) @ w1
    assert torch.equal(GuidedBackprop()(model, x, 1), guided)
    deconvolved = ((w3.clamp(min=0) @ w2).clamp(min=0) @ w1).expand_as(x)
    assert torch.equal(DeconvNet()(model, x, 1), deconvolved)
    assert relu_coverage(model, x).guided == 2


def test_mobilenet_v2_is_guided_at_every_relu6():
    model = seeded(partial(torchvision.models.mobilenet_v2, num_classes=3)).eval()
    x = images(1, (3, 32, 32))
    assert relu_coverage(model, x) == ReLUCoverage(35)
    maps = [method(model, x, 0).flatten() for method in (GuidedBackprop(), Gradient())]
    assert float(torch.cosine_similarity(*maps, dim=0)) < 0.9


# --- ReLUs that no rule can change, and ReLUs that play no part ---


class _Custom(torch.autograd.Function):
    """A ReLU of the model's own, of a linear function, so that its input is not what the function was given."""

    @staticmethod
    def forward(ctx, x):
        x = 2 * x
        ctx.save_for_backward(x)
        return x.clamp(min=0)

    @staticmethod
    def backward(ctx, signal):
        (x,) = ctx.saved_tensors
        return 2 * signal * (x > 0)


def _without_gradient(x):
    with torch.no_grad():
        gate = F.relu(x * 2)
    return x * gate


HIDDEN = {
    "a custom autograd function": _Custom.apply,
    "under no_grad": _without_gradient,
    "behind detach": lambda x: x * F.relu(x.detach()),
    "a product with a mask behind detach": lambda x: x + (lambda y: y * (y > 0))(x.detach()),
}


class Beside(nn.Module):
    """An activation, and a ReLU where there shall be one."""

    def __init__(self, activation, relu: bool) -> None:
        super().__init__()
        self.first, self.second, self.head = nn.Linear(198, 12), nn.Linear(12, 12), nn.Linear(12, CLASSES)
        self.activation, self.relu = activation, relu

    def forward(self, x):
        x = self.second(self.activation(self.first(x.flatten(1))))
        return self.head(F.relu(x) if self.relu else x)


@pytest.mark.parametrize("method", [GuidedBackprop, DeconvNet])
@pytest.mark.parametrize("name", HIDDEN)
def test_a_relu_that_cannot_be_guided_is_named_and_refused(name, method):
    alone, beside = (seeded(partial(Beside, HIDDEN[name], relu)) for relu in (False, True))
    coverage = relu_coverage(beside, images())
    assert coverage.guided == 1
    assert sum(coverage.hidden.values()) == 1
    assert coverage.share == 0.5
    with pytest.raises(ModelError, match="hidden from autograd"):
        method()(alone, images(), 0)
    with pytest.raises(ModelError, match=r"hidden from autograd.*min_coverage=0"):
        method()(beside, images(), 0)
    method(min_coverage=0.0)(beside, images(), 0)
    with pytest.raises(ModelError, match="makes no ReLU call"):
        method(min_coverage=0.0)(alone, images(), 0)


def test_relus_of_weights_and_of_unused_branches_take_no_part():
    class Net(Beside):
        def __init__(self):
            super().__init__(F.silu, relu=False)
            self.weights = nn.Parameter(torch.tensor([1.0, -1.0]))

        def forward(self, x):
            F.relu(self.first(x.flatten(1)))  # of an auxiliary head, say
            with torch.no_grad():
                constant = F.relu(self.weights)
            return super().forward(x) * F.relu(self.weights).sum() * constant.sum()

    model = seeded(Net)
    assert relu_coverage(model, images()) == ReLUCoverage(0, {"silu": 1})
    with pytest.raises(ModelError, match=r"makes no ReLU call.*1 silu"):
        GuidedBackprop()(model, images(), 0)


def test_swin_v2_is_refused_although_its_position_bias_has_relus():
    model = torchvision.models.swin_transformer.SwinTransformer(
        *([2, 2], 12, [1, 1], [2, 2], [4, 4]),
        num_classes=3,
        block=torchvision.models.swin_transformer.SwinTransformerBlockV2,
        downsample_layer=torchvision.models.swin_transformer.PatchMergingV2,
    ).eval()
    x = images(1, (3, 16, 16), dtype=torch.float32)
    assert relu_coverage(model, x).guided == 0
    with pytest.raises(ModelError, match=r"makes no ReLU call.*gelu"):
        GuidedBackprop()(model, x, 0)


def test_a_recurrent_layer_keeps_its_relus_to_itself():
    class Recurrent(nn.Module):
        def __init__(self):
            super().__init__()
            self.rnn, self.head = nn.RNN(9, 8, nonlinearity="relu", batch_first=True), nn.Linear(8, CLASSES)

        def forward(self, x):
            return self.head(F.relu(self.rnn(x.flatten(1, 2))[0][:, -1]))

    assert relu_coverage(seeded(Recurrent), images()) == ReLUCoverage(1, {"rnn_relu": 1})


def test_a_number_made_of_the_image_is_no_activation():
    def shifted(x):
        place = x.argmax(1).clamp(min=0)  # an integer
        return F.relu(x).gather(1, place[:, None]) + F.relu(x)

    assert relu_coverage(seeded(partial(Beside, shifted, False)), images()) == ReLUCoverage(2)


def test_hooks_of_the_caller_still_apply():
    model = seeded(partial(TwoReLUs, nn.ReLU, False))
    plain, guided = (method(model, images(), 0) for method in (Gradient(), GuidedBackprop()))
    handles = [
        model.inner.register_forward_hook(lambda module, inputs, output: 3 * output),
        model.register_forward_pre_hook(lambda module, inputs: (2 * inputs[0],)),
    ]
    # Without biases the network is homogeneous: the same ReLUs are on, and each factor passes through.
    torch.testing.assert_close(Gradient()(model, images(), 0), 6 * plain, rtol=1e-12, atol=1e-15)
    torch.testing.assert_close(GuidedBackprop()(model, images(), 0), 6 * guided, rtol=1e-12, atol=1e-15)
    for handle in handles:
        handle.remove()


def test_full_backward_hooks_of_the_caller_still_apply():
    model = seeded(partial(TwoReLUs, nn.ReLU, False))
    plain = Gradient()(model, images(), 0)
    model.outer.register_full_backward_hook(lambda module, inputs, outputs: (5 * inputs[0],))
    torch.testing.assert_close(Gradient()(model, images(), 0), 5 * plain, rtol=1e-12, atol=1e-15)


def test_weights_that_are_computed_from_others():
    def build():
        return nn.Sequential(
            nn.Flatten(),
            weight_norm(nn.Linear(198, 12)),  # keeps its weight as a plain tensor with a history
            nn.ReLU(inplace=True),
            parametrizations.weight_norm(nn.Linear(12, 12)),
            nn.ReLU(),
            parametrizations.spectral_norm(nn.Linear(12, CLASSES)),
        )

    with pytest.warns(FutureWarning, match="weight_norm"):
        model = seeded(build).eval()
    assert_right(model)


def assert_right(model):
    x = images()
    torch.testing.assert_close(Gradient()(model, x, 3), plain_gradient(model, x, 3), rtol=1e-12, atol=1e-15)
    guided, _ = guided_gradient(model, x, 3)
    torch.testing.assert_close(GuidedBackprop()(model, x, 3), guided, rtol=1e-12, atol=1e-15)


class Untidy(nn.Module):
    """Ties weights, holds a plain tensor, a list of its own layers and a bound method of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.head = nn.Linear(198, 12), nn.Linear(12, 12), nn.Linear(12, CLASSES)
        self.third = nn.Linear(12, 12)
        self.third.weight = self.second.weight
        self.mask = torch.linspace(-1, 1, 12, dtype=torch.float64)
        self.path = [self.second, self.third]
        self.activate = self._activate

    def _activate(self, x):
        return F.relu(x) * self.mask

    def forward(self, x):
        x = self.first(x.flatten(1))
        for layer in self.path:
            x = layer(self.activate(x))
        return self.head(x)


def test_tied_weights_plain_tensors_and_bound_methods():
    assert_right(seeded(Untidy))


def test_a_compiled_model_is_taken_as_it_was_written():
    written = seeded(partial(TwoReLUs, nn.ReLU, False))
    compiled = torch.compile(written, backend="eager")  # never called, so never compiled
    for method in (Gradient(), GuidedBackprop()):
        assert torch.equal(method(compiled, images(), 1), method(written, images(), 1))
    with pytest.raises(ModelError, match="on Mixed"):
        GuidedBackprop()(torch.compile(seeded(Mixed), backend="eager"), images(), 1)


@pytest.mark.filterwarnings("ignore:`torch.jit")
@pytest.mark.parametrize("method", [Gradient(), GuidedBackprop()])
def test_torchscript_is_refused_also_where_only_a_part_is_scripted(method):
    # Its operations cannot be seen: a scripted ReLU would pass the plain gradient beside guided ones.
    scripted = torch.jit.script(nn.Sequential(nn.Flatten(), nn.Linear(198, 5), nn.ReLU()).double())
    with pytest.raises(ModelError, match="RecursiveScriptModule is TorchScript"):
        method(scripted, images(), 0)
    with pytest.raises(ModelError, match=r"Sequential\.0 is TorchScript"):
        method(nn.Sequential(scripted, nn.ReLU()), images(), 0)


def test_checkpointed_blocks_are_guided_although_they_are_computed_twice():
    class Checkpointed(TwoReLUs):
        def forward(self, x):
            def block(x):
                return self.outer(self.second(self.inner(self.first(x))))

            return self.third(torch.utils.checkpoint.checkpoint(block, x.flatten(1), use_reentrant=False))

    make = partial(nn.ReLU, inplace=True)
    model, plain = seeded(partial(Checkpointed, make, False)), seeded(partial(TwoReLUs, make, False))
    for method in (Gradient(), GuidedBackprop()):
        torch.testing.assert_close(method(model, images(), 1), method(plain, images(), 1), rtol=1e-12, atol=1e-15)
    assert relu_coverage(model, images()).guided == 2


def test_a_full_backward_hook_of_each_module_sees_the_same():
    """For ReLUs that are modules of their own, the textbook's way: bit for bit the same map."""
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 64, 4)
    ).eval()
    images = torch.randn(2, 3, 12, 12)
    ours = GuidedBackprop()(model, images, 1)
    for module in model:
        if isinstance(module, nn.ReLU):
            module.register_full_backward_hook(lambda module, inputs, outputs: (inputs[0].clamp(min=0),))
    leaf = images.clone().requires_grad_()
    (hooked,) = torch.autograd.grad(model(leaf)[:, 1].sum(), leaf)
    assert torch.equal(ours, hooked)
