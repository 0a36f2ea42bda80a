"""Several versions of a model in one stream: bit for bit the maps of each alone, with less work."""

import gc

import pytest
import torch
from attributions.table import METHODS
from attributions.zoo import ZOO, zoo_image, zoo_net
from nets import ConvNet, images, seeded
from torch import nn
from torch.overrides import TorchFunctionMode

from probatum import attribute
from probatum.attributions import GradCAM, Gradient, GuidedBackprop, GuidedGradCAM, SmoothGrad, attribute_variants
from probatum.engine import Variant, prepare
from probatum.randomization import Randomizer, Reset, automatic_stages

SOME = ["gradient", "guided-backprop", "grad-cam-bn1", "guided-grad-cam", "integrated-gradients", "vargrad", "deeplift"]
SOME += ["integrated-gradients-sg-joint", "guided-backprop-sg", "edge-detector"]
NETWORKS = ["resnet18", "squeezenet1_0", "densenet121", "googlenet", "inception_v3"]


def cascade(model, x, **options) -> list:
    """Views of all randomized versions."""
    randomizer = Randomizer(model, automatic_stages(model, x), Reset(), **options)
    return [prepare(step.model) for step in randomizer.steps(start=1)]


def variants_of(views, targets, **limits) -> list:
    """The views as versions of one model, with a memory budget or a chunk."""
    return [Variant(prepare(prepared, **limits), targets) for prepared in views]


def assert_same_maps(variants, x, methods, **options):
    together = attribute_variants(variants, x, methods, **options)
    for variant, maps in zip(variants, together, strict=True):
        alone = attribute(variant.prepared, x, variant.targets, methods, **options)
        for name in methods:
            assert torch.equal(maps[name], alone[name]), name


class Calls(TorchFunctionMode):
    """Counts the convolutions that are really computed."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_function__(self, func, types, args=(), kwargs=None):
        self.count += getattr(func, "__name__", "") == "conv2d"
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("order", ["cascading", "independent", "bottom-up"])
@pytest.mark.parametrize("targets", [torch.tensor([0, 3, 1, 2, 1]), None], ids=["targets", "predicted"])
def test_maps_are_bit_for_bit_those_of_each_version_alone(order, targets):
    x = images()
    views = cascade(seeded(ConvNet), x, order=order)
    some = {name: METHODS[name] for name in SOME}
    assert_same_maps(variants_of(views, targets, chunk=4), x, some, seed=3)


@pytest.mark.parametrize("name", NETWORKS)
def test_maps_of_torchvisions_networks_too(name):
    model, x = zoo_net(name), zoo_image(name)
    randomizer = Randomizer(model, automatic_stages(model, x), Reset())
    middle = {"googlenet": 5}.get(name, len(randomizer.stages) // 2 + 1)  # GoogLeNet's differ in one of four branches
    some = [prepare(randomizer.model(step)) for step in (2, middle)]
    layer = {"inception_v3": "Mixed_6a", "densenet121": "features.denseblock2"}.get(name)
    methods = {"gradient": Gradient(), "guided": GuidedBackprop(), "cam": GradCAM(layer)}
    assert_same_maps(variants_of(some, 3, chunk=2), x, methods)


def test_the_layers_before_the_first_that_differs_are_computed_once():
    x = images()
    views = cascade(seeded(ConvNet), x)  # head, conv3, conv2, conv1
    Gradient()(views[0], x, 0)  # the model is probed once
    with Calls() as calls:
        attribute_variants(variants_of(views, 0, chunk=5), x, {"gradient": Gradient()})
    assert calls.count == 3 + 1 + 2 + 3
    with Calls() as calls:
        attribute_variants(variants_of([views[0]] * 3, 0, chunk=5), x, {"gradient": Gradient()})
    assert calls.count == 3


@pytest.mark.parametrize("layer", ["conv1", "bn1", "relu", "conv2", "conv3"])
def test_hooks_see_kept_layers_as_they_were(layer):
    # The output of bn1 is overwritten by the ReLU behind it, conv2's by a sum.
    x = images()
    views = cascade(seeded(ConvNet), x)
    layers = {"cam": GradCAM(layer), "guided": GuidedGradCAM(layer)}
    if layer == "relu":  # called twice
        layers = {"cam": GradCAM("pool"), "guided": GuidedGradCAM("pool")}
    assert_same_maps(variants_of(views, 1, chunk=3), x, layers)


class Overwrites(nn.Module):
    """Writes into what an unchanged layer made, together with what a changed layer made."""

    def __init__(self, statement) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(2, 3, 3, padding=1), nn.Conv2d(2, 3, 3, padding=1)
        self.head = nn.Linear(3, 4)
        self.statement = statement

    def forward(self, x):
        y = self.statement(self, x)
        return self.head(y.mean((2, 3)))


class Square(torch.autograd.Function):
    """An operation that no torch function announces."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * x

    @staticmethod
    def backward(ctx, gradient):
        (x,) = ctx.saved_tensors
        return 2 * x * gradient


def _sum_into_first(self, x):
    y = self.first(x)
    z = y * 2  # reads y before it is overwritten
    y += self.second(x)
    return y * z.detach() + y.relu_()


def _through_a_view(self, x):
    y = self.first(x)
    y[:, 1:] += self.second(x)[:, 1:]
    return y.tanh()


def _through_data(self, x):
    y = self.first(x)
    y.data.mul_(2)
    return y + self.second(x)


def _custom(self, x):
    y = self.first(x)
    z = Square.apply(y)
    return z + self.second(x)


def _constants(self, x):
    ramp = torch.arange(x.shape[-1], dtype=x.dtype)
    return torch.cat([self.first(x) * ramp, self.second(x) * ramp], dim=2) * torch.ones_like(x[:, :1]).mean()


@pytest.mark.parametrize("statement", [_sum_into_first, _through_a_view, _through_data, _custom, _constants])
@pytest.mark.parametrize("changed", ["first", "second", "head"])
def test_what_cannot_be_shared_is_computed_anew(statement, changed):
    model, x = seeded(lambda: Overwrites(statement)), images()
    views = [prepare(model)]
    for seed in (1, 2):
        other = seeded(lambda: Overwrites(statement), seed=seed)
        for name in {"first", "second", "head"} - {changed}:
            getattr(other, name).load_state_dict(getattr(model, name).state_dict())
        views.append(prepare(other))
    methods = {"gradient": Gradient(), "cam": GradCAM("first"), "smooth": SmoothGrad(samples=3)}
    assert_same_maps(variants_of(views, 1, chunk=4), x, methods)


def test_memory_that_runs_out_in_the_middle_of_the_versions_loses_nothing(monkeypatch):
    x = images()
    views = cascade(seeded(ConvNet), x)
    methods = {"gradient": Gradient(), "smooth": SmoothGrad(samples=4)}
    expected = attribute_variants(variants_of(views, 1, chunk=6), x, methods)
    forward = type(views[2].model).forward

    def scarce(self, points):
        if self is views[2].model and len(points) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return forward(self, points)

    monkeypatch.setattr(type(views[2].model), "forward", scarce)
    found = attribute_variants(variants_of(views, 1, chunk=6), x, methods)
    for maps, others in zip(found, expected, strict=True):
        for name in methods:
            torch.testing.assert_close(maps[name], others[name], rtol=1e-12, atol=1e-14)


def test_progress_counts_the_points_of_all_versions():
    x, seen = images(), []
    views = cascade(seeded(ConvNet), x)
    attribute_variants(
        variants_of(views, 0, chunk=8),
        x,
        {"edges": METHODS["edge-detector"], "smooth": SmoothGrad(samples=3)},
        progress=lambda done, total: seen.append((done, total)),
    )
    assert {total for _, total in seen} == {4 * (5 + 15)}
    assert [done for done, _ in seen] == [20, *(20 + 8 * k for k in range(1, 5)), *(52 + 7 * k for k in range(1, 5))]


class Live:
    """The bytes of the tensors that autograd keeps or a graph would, at their most."""

    def __init__(self) -> None:
        self.sizes: dict[int, int] = {}
        self.peak = 0

    def pack(self, tensor):
        return _Kept(self, tensor.detach())


class _Kept:
    def __init__(self, live, tensor) -> None:
        self.live, self.tensor = live, tensor
        self.key = (tensor.untyped_storage().data_ptr(), id(self))
        live.sizes[self.key] = tensor.untyped_storage().nbytes()
        live.peak = max(live.peak, sum({key[0]: size for key, size in live.sizes.items()}.values()))

    def __del__(self) -> None:
        del self.live.sizes[self.key]


@pytest.mark.parametrize("rows", [1, 3, 8])
def test_kept_graphs_stay_within_the_budget(rows):
    x = images(6)
    views = cascade(seeded(ConvNet), x)
    attribute_variants(variants_of(views, 0), x[:1], {"gradient": Gradient()})
    ((_, row),) = views[0].row_bytes.items()
    live = Live()
    own = sum(t.nbytes for v in views for t in [*v.model.parameters(), *v.model.buffers()])
    with torch.autograd.graph.saved_tensors_hooks(live.pack, lambda kept: kept.tensor):
        attribute_variants(variants_of(views, 0, memory_budget=rows * row), x, {"gradient": Gradient()})
    assert 0 < live.peak <= rows * row + own
    assert not live.sizes


def test_nothing_stays_alive_afterwards():
    x = images()
    variants = [Variant(prepared, 0) for prepared in cascade(seeded(ConvNet), x)]
    methods = {"gradient": Gradient(), "guided": GuidedBackprop(), "cam": GradCAM("conv2")}
    attribute_variants(variants, x, methods)
    gc.collect()
    gc.disable()
    try:
        before = sum(issubclass(type(thing), torch.Tensor) for thing in gc.get_objects())
        attribute_variants(variants, x, methods)
        assert sum(issubclass(type(thing), torch.Tensor) for thing in gc.get_objects()) == before
    finally:
        gc.enable()


def test_the_zoo_is_covered():
    assert set(NETWORKS) <= set(ZOO)
