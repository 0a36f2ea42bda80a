"""The laws that hold for every method: independence, the caller's world, memory, model calls."""

import copy
import math

import pytest
import torch
from attributions.table import EVERY, METHODS, ON_TOKENS, PAIRED, POINTS, REFINED, SEEDED, network
from nets import CLASSES, PROBE, SHAPE, CallCounter, ConvNet, images, seeded
from torch import nn

from probatum import attribute
from probatum.attributions import Gradient, GuidedGradCAM, SmoothGrad
from probatum.errors import InvalidInput, ModelError

pytestmark = pytest.mark.filterwarnings("ignore::probatum.errors.EffortWarning")  # maps of few points will do

TARGETS = torch.tensor([0, 3, 1, 2, 1])


@pytest.fixture(scope="module")
def net() -> nn.Module:
    return seeded(ConvNet)


@pytest.fixture(scope="module")
def reference() -> dict[str, torch.Tensor]:
    tables = (METHODS, ON_TOKENS)
    return {
        name: maps
        for table in tables
        for name, maps in attribute(network(next(iter(table))), images(), TARGETS, table, seed=3).items()
    }


@pytest.mark.parametrize("name", EVERY)
def test_map_has_the_images_shape_and_is_finite_and_not_constant(name, reference):
    maps = reference[name]
    channels = 1 if "rollout" in name or ("cam" in name and not name.startswith("guided")) else SHAPE[0]
    assert maps.shape == (5, channels, *SHAPE[1:])
    assert (maps.flatten(1).std(1) > 0).all()


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-5)])
def test_independence_of_neighbors_chunk_order_and_other_methods(name, dtype, tolerance):
    model, x = network(name).to(dtype), images(dtype=dtype)
    together = EVERY[name](model, x, TARGETS, seed=3)

    def close(maps, expected):
        scale = expected.abs().amax()
        torch.testing.assert_close(maps, expected, rtol=0, atol=tolerance * float(scale))

    alone = torch.cat([EVERY[name](model, x[i : i + 1], TARGETS[i : i + 1], seed=3) for i in range(5)])
    close(alone, together)
    order = torch.tensor([4, 2, 0, 3, 1])
    close(EVERY[name](model, x[order], TARGETS[order], seed=3), together[order])
    for chunk in (1, 2, 3, 64):
        close(EVERY[name](model, x, TARGETS, seed=3, chunk=chunk), together)
    close(EVERY[name](model, x, TARGETS, seed=3, memory_budget="100 KiB"), together)


@pytest.mark.parametrize("name", EVERY)
def test_computed_together_equals_computed_alone(name, reference):
    alone = EVERY[name](network(name), images(), TARGETS, seed=3)
    torch.testing.assert_close(reference[name], alone, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", EVERY)
def test_only_noisy_methods_depend_on_the_seed(name, reference):
    other = EVERY[name](network(name), images(), TARGETS, seed=4)
    assert torch.equal(other, reference[name]) is (name not in SEEDED)


@pytest.mark.parametrize("name", EVERY)
def test_no_targets_means_the_predicted_classes(name):
    net = network(name)
    predicted = net(images()).argmax(1)
    assert len(set(predicted.tolist())) > 1, "the test needs images of different predicted classes"
    for chunk in (None, 2):
        maps = EVERY[name](net, images(), chunk=chunk)
        torch.testing.assert_close(maps, EVERY[name](net, images(), predicted), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", [name for name in EVERY if name not in REFINED])
@pytest.mark.parametrize("chunk", [1, 4, 100])
def test_model_calls_are_as_few_as_the_chunk_allows(name, chunk):
    counter = CallCounter(network(name))
    method = EVERY[name]
    layer = getattr(method, "layer", None) or getattr(getattr(method, "method", None), "layer", None)
    if layer is not None:
        method = _with_prefix(method)
    method(counter, images(), TARGETS, chunk=chunk)
    tracing = [1] if "cam" in name or "rollout" in name else []  # where the layer is found, and its layout
    rows = 0 if name == "edge-detector" else 5 * POINTS[name]
    expected = [chunk] * (rows // chunk) + ([rows % chunk] if rows % chunk else [])
    assert len(expected) == math.ceil(rows / chunk)
    calls = 2 if name in PAIRED else 1
    probe = [] if name == "edge-detector" else [1, 1] if chunk == 1 else PROBE
    assert counter.calls == tracing + probe + [size for size in expected for _ in range(calls)]


def _with_prefix(method):
    inner = getattr(method, "method", None)
    if inner is not None:
        return type(method)(_with_prefix(inner), samples=method.samples)
    return type(method)(f"model.{method.layer}")


def test_methods_at_the_same_points_share_their_model_calls(net):
    counter = CallCounter(net)
    five = {
        name: METHODS[name] for name in ("gradient", "input-x-gradient", "guided-backprop", "integrated-gradients")
    } | {"cam": GuidedGradCAM("model.conv2")}
    attribute(counter, images(), None, five, chunk=5)
    # The layout of Grad-CAM's layer and the independence of rows are probed once. Then one forward pass serves four
    # methods and the classes, and five the path.
    assert counter.calls == [1, *PROBE] + [5] * (1 + 5)
    counter.calls.clear()
    attribute(counter, images(), TARGETS, [SmoothGrad(samples=7), METHODS["gradient"]], chunk=5)
    assert counter.calls == [5] * (1 + 7)


def _raising(model: nn.Module) -> nn.Module:
    """Fails in the middle of a forward pass, after hooks and buffers were in use."""

    class Raising(type(model)):
        def forward(self, x):
            super().forward(x)
            raise RuntimeError("the model's own error")

    model.__class__ = Raising
    return model


def _world(model: nn.Module) -> dict:
    return {
        "tensors": {name: (id(t), t.clone(), t.requires_grad) for name, t in [*_tensors(model)]},
        "grad": {name: p.grad for name, p in model.named_parameters()},
        "modules": [
            (name, m.training, getattr(m, "inplace", None), sorted(vars(m)), len(m._forward_hooks), id(type(m)))
            for name, m in model.named_modules()
        ],
        "hooks": [len(m._backward_hooks) + len(m._forward_pre_hooks) for m in model.modules()],
        "random": torch.get_rng_state(),
        "dtype": torch.get_default_dtype(),
        "grad_enabled": torch.is_grad_enabled(),
        "tf32": (torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32),
    }


def _tensors(model):
    yield from model.named_parameters()
    yield from model.named_buffers()


def _assert_same_world(before: dict, after: dict) -> None:
    for name, (identity, value, requires_grad) in before["tensors"].items():
        other_identity, other_value, other_requires_grad = after["tensors"][name]
        assert (identity, requires_grad) == (other_identity, other_requires_grad)
        assert torch.equal(value, other_value)
    assert torch.equal(before["random"], after["random"])
    for key in set(before) - {"tensors", "random"}:
        assert before[key] == after[key], key


@pytest.mark.parametrize("raises", [False, True])
@pytest.mark.parametrize("mode", [True, False])
@pytest.mark.parametrize("name", EVERY)
def test_the_callers_world_is_left_as_found(name, mode, raises):
    model = network(name).train(mode)
    if raises:
        model = _raising(model)
    next(model.parameters()).requires_grad_(False)
    x = images()
    kept = x.clone()
    before = _world(model)
    if raises and name != "edge-detector":
        with pytest.raises(RuntimeError, match="the model's own error"):
            EVERY[name](model, x, TARGETS)
    else:
        EVERY[name](model, x, TARGETS)
    _assert_same_world(before, _world(model))
    assert torch.equal(x, kept)
    assert not x.requires_grad
    assert x.grad is None


@pytest.mark.parametrize("context", [torch.no_grad, torch.inference_mode])
@pytest.mark.parametrize("name", EVERY)
def test_works_where_the_caller_has_switched_gradients_off(name, context, reference):
    with context():
        maps = EVERY[name](network(name), images(), TARGETS, seed=3)
    torch.testing.assert_close(maps, reference[name], rtol=1e-12, atol=1e-12)
    assert not maps.is_inference()
    assert not maps.requires_grad


def test_autocast_of_the_caller_does_not_lower_the_precision(net):
    model, x = copy.deepcopy(net).float(), images(dtype=torch.float32)
    expected = Gradient()(model, x, TARGETS)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(Gradient()(model, x, TARGETS), expected)


def test_precision_is_that_of_the_model_unless_asked_for(net):
    model = copy.deepcopy(net).float()
    x = images()
    assert Gradient()(model, x, TARGETS).dtype == torch.float32
    exact = Gradient()(model, x, TARGETS, precision="float64")
    assert exact.dtype == torch.float64
    assert all(p.dtype == torch.float32 for p in model.parameters())
    torch.testing.assert_close(Gradient()(model, x, TARGETS).double(), exact, rtol=1e-4, atol=1e-6)  # float32 rounding


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda x: x[:0], InvalidInput, "non-empty"),
        (lambda x: (x * 255).to(torch.uint8), InvalidInput, "uint8"),
        (lambda x: torch.where(torch.arange(5).reshape(-1, 1, 1, 1) == 3, torch.nan, x), InvalidInput, "image 3"),
        (lambda x: torch.where(torch.arange(5).reshape(-1, 1, 1, 1) == 2, torch.inf, x), InvalidInput, "image 2"),
    ],
)
@pytest.mark.parametrize("name", ["gradient", "smoothgrad", "edge-detector", "grad-cam"])
def test_bad_images_are_refused(name, change, error, message, net):
    with pytest.raises(error, match=message):
        METHODS[name](net, change(images()), None)


@pytest.mark.parametrize(
    ("targets", "message"),
    [
        (torch.tensor([0, 1, 2, 3, CLASSES]), "target 4 is out of range"),
        (torch.tensor([0, -1, 2, 3, 0]), "target -1 is out of range"),
        (torch.tensor([0, 1]), "5 class indices"),
        (torch.rand(5), "float32"),
        (CLASSES, "out of range"),
    ],
)
def test_bad_targets_are_refused(targets, message, net):
    with pytest.raises(InvalidInput, match=message):
        Gradient()(net, images(), targets)


class _FeatureMaps(nn.Module):
    def forward(self, x):
        return x


class _NoTensor(nn.Module):
    def forward(self, x):
        return {"scores": [x]}


class _Detached(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(198, CLASSES)

    def forward(self, x):
        return self.linear(x.flatten(1).detach())


class _Infinite(ConvNet):
    def forward(self, x):
        return super().forward(x) + (0 * x[:, 0, :1, :CLASSES].flatten(1)).sqrt()  # slope 0 · ∞


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (_FeatureMaps, r"returns shape \(\d, 2, 11, 9\)"),
        (_NoTensor, "returns a dict"),
        (_Detached, "do not depend on its input"),
        (_Infinite, "NaN or infinite"),
    ],
)
def test_models_that_cannot_be_explained_are_refused(build, message):
    with pytest.raises(ModelError, match=message):
        Gradient()(seeded(build), images(), 0)


def test_refuses_two_methods_of_one_title_and_no_methods(net):
    with pytest.raises(InvalidInput, match="two methods are called"):
        attribute(net, images(), None, [SmoothGrad(samples=2), SmoothGrad(samples=3)])
    with pytest.raises(InvalidInput, match="no methods"):
        attribute(net, images(), None, [])


def test_progress_counts_every_point(net):
    seen = []
    attribute(
        net,
        images(),
        None,
        [Gradient(), SmoothGrad(samples=3)],
        chunk=4,
        progress=lambda done, all: seen.append((done, all)),
    )
    assert [done for done, _ in seen] == [4, 5, 9, 13, 17, 20]
    assert {total for _, total in seen} == {20}
