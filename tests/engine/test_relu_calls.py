"""Guided Backprop sees every way to call a ReLU, and the function that a model with in-place ReLUs really computes."""

from functools import partial

import pytest
import torch
from attributions.guided_reference import guided_gradient, plain_gradient
from nets import CLASSES, images, seeded
from torch import nn
from torch.nn import functional as F
from torch.nn.utils import parametrizations, weight_norm

from probatum.attributions import Gradient, GuidedBackprop
from probatum.engine import relu_coverage
from probatum.errors import ModelError


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
}


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


def test_other_activations_are_counted_and_without_a_relu_named_in_the_error():
    model = seeded(Mixed)
    with pytest.raises(
        ModelError, match=r"Mixed makes no ReLU call \(found: 2 relu6, 1 gelu, 1 leaky_relu, 1 hardtanh, 1 threshold\)"
    ):
        GuidedBackprop()(model, images(), 0)
    model.activations.append(nn.ReLU())
    coverage = relu_coverage(model, images())
    assert (coverage.guided, coverage.others) == (
        1,
        {
            "relu6": 2,
            "gelu": 1,
            "leaky_relu": 1,
            "hardtanh": 1,
            "threshold": 1,
        },
    )
    assert str(coverage).startswith("1 of 1 ReLU calls guided, 2 relu6 calls have no guided rule, 1 gelu")
    guided, _ = guided_gradient(model, images(), 0)
    torch.testing.assert_close(GuidedBackprop()(model, images(), 0), guided, rtol=1e-12, atol=1e-15)


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
    with pytest.raises(ModelError, match=r"^Mixed makes no ReLU"):
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
