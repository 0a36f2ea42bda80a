"""The memory budget: what it reads, measures and bounds, and what happens where memory runs out."""

import gc
import math
from functools import partial

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from nets import PROBE, SHAPE, CallCounter, ConvNet, Linear, Perceptron, images, seeded
from torch import nn

from probatum import attribute
from probatum.attributions import (
    LRP,
    ConservativePropagation,
    DeepLIFT,
    GradCAM,
    Gradient,
    GuidedGradCAM,
    IntegratedGradients,
    SmoothGrad,
)
from probatum.engine import PLAIN, prepare
from probatum.engine import budget as budgets
from probatum.engine.arguments import parse_bytes
from probatum.engine.budget import COPIES, CPU_DEFAULT, MIB, Budget, default_budget, measure_saved
from probatum.engine.compute import Compute
from probatum.errors import InvalidInput, MemoryBudgetError, MemoryBudgetWarning

IMAGE = math.prod(SHAPE) * 8  # bytes of one image in float64
UNITS = {"": 1, "b": 1, "B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "kB": 10**3, "MB": 10**6, "gb": 10**9}


@given(st.integers(1, 10**6), st.sampled_from(sorted(UNITS)), st.sampled_from(["", " ", "  "]))
@settings(max_examples=50, deadline=None)
def test_sizes_are_read_with_their_unit(number, unit, space):
    assert parse_bytes(f"{space}{number}{space}{unit}{space}") == number * UNITS[unit]
    assert parse_bytes(number) == number


@given(st.floats(0.001, 1000, allow_nan=False))
@settings(max_examples=50, deadline=None)
def test_sizes_may_have_decimals(number):
    number = round(number, 3)
    assert parse_bytes(f"{number:.3f} GB") == int(float(f"{number:.3f}") * 10**9)


@pytest.mark.parametrize("text", ["", "GiB", "2 TiB?", "1,5 GB", "-1 MiB", "two MiB", "1e3 MiB", "MiB 2", "2 mebi"])
def test_what_is_no_size_is_refused(text):
    with pytest.raises(InvalidInput, match="is not a size; write '512 MiB'"):
        parse_bytes(text)


@pytest.mark.parametrize("size", [0, -5, "0 MiB", "0.1 b"])
def test_a_size_is_positive(size):
    with pytest.raises(InvalidInput, match="no positive number of bytes"):
        parse_bytes(size)


def test_the_default_is_512_mib_on_the_cpu_and_a_chunk_alone_replaces_it():
    assert default_budget(torch.device("cpu")) == CPU_DEFAULT == 512 * MIB
    assert Budget.of(images(), Compute(), {}).limit == CPU_DEFAULT
    assert Budget.of(images(), Compute(chunk=7), {}).limit is None
    assert Budget.of(images(), Compute(memory_budget="1 MiB", chunk=7), {}).limit == MIB
    with pytest.raises(InvalidInput, match="at least 1"):
        Compute(chunk=0)


def measured(model, x, method=None) -> int:
    """The bytes that the budget counts for a row."""
    prepared = prepare(model)
    (method or Gradient())(prepared, x[:2], 0)
    (bytes_,) = prepared.row_bytes.values()
    return bytes_


def test_a_rows_need_is_what_a_hand_counts():
    # Of a frozen perceptron, autograd keeps the outputs of the two ReLUs, 16 numbers each, the four logits and which of
    # them is explained. The largest of these counts twice more: for its gradient, and for the next one's.
    assert measured(seeded(Perceptron), images()) == (16 + 16 + 4 + 1 + 2 * 16) * 8 + COPIES * IMAGE

    def build():
        return nn.Sequential(nn.Flatten(), nn.Linear(198, 1000), nn.ReLU(), nn.Linear(1000, 10), nn.Tanh())

    assert measured(seeded(build), images()) == (1000 + 10 + 1 + 2 * 1000) * 8 + COPIES * IMAGE


def test_the_models_own_tensors_are_not_counted():
    def build():
        return nn.Sequential(nn.Conv2d(2, 64, 3, padding=1), nn.BatchNorm2d(64), nn.ReLU(), nn.Flatten())

    pixels = SHAPE[1] * SHAPE[2]
    # Kept: the convolution's input, batch norm's input, the ReLU's output; the weights of the last layer are none.
    kept = (math.prod(SHAPE) + 2 * 64 * pixels) * 8
    need = measured(seeded(build), images()) - COPIES * IMAGE
    largest = 64 * pixels * 8
    assert kept + 2 * largest <= need <= kept + 2 * largest + 4 * 64 * 8  # and a few numbers a channel


def test_views_of_one_structure_measure_once():
    first = prepare(seeded(ConvNet))
    second = prepare(seeded(ConvNet, seed=1), like=first)
    counter = CallCounter(seeded(ConvNet, seed=2))
    Gradient()(first, images(), 0)
    assert second.row_bytes is first.row_bytes
    Gradient()(prepare(counter, like=first), images(), 0)
    assert counter.calls == [5], "a first row was measured again"


def test_a_model_that_is_explained_again_is_not_measured_again():
    counter = CallCounter(seeded(ConvNet))
    Gradient()(counter, images(), 0)
    assert counter.calls == [*PROBE, 1, 5]
    Gradient()(counter, images(), 0)
    assert counter.calls == [*PROBE, 1, 5, 5]
    assert prepare(counter).row_bytes is prepare(counter).row_bytes
    assert prepare(counter).row_bytes is not prepare(counter, "float32").row_bytes
    assert prepare(seeded(ConvNet)).row_bytes == {}


class Live:
    """The bytes that autograd keeps alive, counted as tensors come and go."""

    def __init__(self, model: nn.Module) -> None:
        self.own = {t.untyped_storage().data_ptr() for t in [*model.parameters(), *model.buffers()]}
        self.count: dict[int, int] = {}
        self.now = self.peak = 0

    def pack(self, tensor):
        return _Kept(self, tensor.detach())

    def hooks(self):
        return torch.autograd.graph.saved_tensors_hooks(self.pack, lambda kept: kept.tensor)


class _Kept:
    def __init__(self, live: Live, tensor: torch.Tensor) -> None:
        storage = tensor.untyped_storage()
        self.live, self.tensor, self.key, self.size = live, tensor, storage.data_ptr(), storage.nbytes()
        if self.key in live.own:
            self.size = 0
        if live.count.get(self.key, 0) == 0:
            live.now += self.size
            live.peak = max(live.peak, live.now)
        live.count[self.key] = live.count.get(self.key, 0) + 1

    def __del__(self) -> None:
        self.live.count[self.key] -= 1
        if self.live.count[self.key] == 0:
            self.live.now -= self.size


@pytest.mark.parametrize(
    "method",
    [
        Gradient(),
        SmoothGrad(samples=9),
        SmoothGrad(IntegratedGradients(4), samples=3),
        GuidedGradCAM("conv1"),
        GradCAM(),
    ],
    ids=lambda method: method.title,
)
@pytest.mark.parametrize("rows", [1, 1.01, 1.99, 2, 3.5, 7, 20])
def test_what_autograd_keeps_stays_within_the_budget_in_every_chunk(rows, method):
    model = seeded(ConvNet)
    row = measured(model, images(), method)
    prepared = prepare(model)
    prepared.row_bytes.update(dict.fromkeys(_kinds(prepared, method), row))
    expected = method(prepared, images(6), 0, chunk=1)
    live = Live(prepared.model)
    with live.hooks():
        maps = method(prepared, images(6), 0, memory_budget=int(rows * row))
    torch.testing.assert_close(maps, expected, rtol=1e-10, atol=1e-12 * float(expected.abs().max()))
    assert 0 < live.peak <= int(rows * row)
    assert live.now == 0


def _kinds(prepared, method):
    request = method.request(prepared, images())
    return [(prepared.shapes(images()), prepared.dtype, request.measurements)]


@pytest.mark.parametrize("rows", [1, 2, 3, 8, 20])
def test_a_chunk_holds_as_many_rows_as_fit(rows):
    row = measured(seeded(ConvNet), images())
    counter = CallCounter(seeded(ConvNet))
    SmoothGrad(samples=5)(counter, images(4), 0, memory_budget=rows * row)
    chunks = [min(rows, 20 - start) for start in range(0, 20, rows)]
    assert counter.calls == [*PROBE, 1, *chunks]  # one row is measured apart, so that it moves no chunk
    counter.calls.clear()
    for again in (counter, prepare(counter)):
        SmoothGrad(samples=5)(again, images(4), 0, memory_budget=rows * row)
        assert counter.calls == chunks
        counter.calls.clear()


def test_a_stream_of_one_row_is_its_own_measure():
    counter = CallCounter(seeded(ConvNet))
    Gradient()(counter, images(1), 0)
    assert counter.calls == [*PROBE, 1]


def test_chunk_and_budget_together_both_bound():
    row = measured(seeded(ConvNet), images())
    for budget, chunk, largest in [(3 * row, 10, 3), (10 * row, 3, 3)]:
        counter = CallCounter(seeded(ConvNet))
        Gradient()(counter, images(9), 0, memory_budget=budget, chunk=chunk)
        assert max(counter.calls) == largest


def test_a_budget_below_one_row_is_refused_with_the_need():
    def build():
        return nn.Sequential(nn.Flatten(), nn.Linear(198, 100_000), nn.ReLU(), nn.Linear(100_000, 3))

    model = seeded(build)  # 3 · 100 000 · 8 bytes: 2.3 MiB a row
    with pytest.raises(MemoryBudgetError, match=r"one row needs 2\.3 MiB, .* of 1\.0 MiB; .* at least 3 MiB"):
        Gradient()(model, images(), 0, memory_budget="1 MiB")
    assert torch.equal(Gradient()(model, images(), 0, memory_budget="3 MiB"), Gradient()(model, images(), 0, chunk=1))


def test_the_default_budget_grows_to_one_row_and_says_so(monkeypatch):
    model, x = seeded(ConvNet), images()
    expected = Gradient()(model, x, 0)
    row = measured(model, x)
    monkeypatch.setattr(budgets, "CPU_DEFAULT", row - 1)
    counter = CallCounter(model)
    with pytest.warns(MemoryBudgetWarning, match="one row needs") as caught:
        maps = Gradient()(counter, x, 0)
    assert len(caught) == 1
    assert max(counter.calls[len(PROBE) :]) == 1
    torch.testing.assert_close(maps, expected, rtol=1e-12, atol=1e-15)
    with pytest.raises(MemoryBudgetError, match="memory budget"):
        Gradient()(counter, x, 0, memory_budget=row - 1)


def test_finding_the_predicted_classes_is_bounded_too():
    model = seeded(ConvNet)
    row = measured(model, images())
    counter = CallCounter(model)
    SmoothGrad(samples=2)(counter, images(6), None, memory_budget=2 * row)
    assert max(counter.calls[len(PROBE) :]) <= 2


# ---------------------------------------------------------------- where memory runs out


class Scarce(nn.Module):
    """A model that runs out of memory on more than `most` rows, in its forward or its backward pass."""

    def __init__(self, error, most: int, where: str) -> None:
        super().__init__()
        self.model = ConvNet()
        self.error, self.most, self.where = error, most, where

    def forward(self, x):
        if len(x) > self.most and self.where == "forward":
            raise self.error
        return _FailsBackward.apply(self.model(x), self)


class _FailsBackward(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, scarce):
        ctx.scarce = scarce
        return x.clone()

    @staticmethod
    def backward(ctx, gradient):
        if len(gradient) > ctx.scarce.most and ctx.scarce.where == "backward":
            raise ctx.scarce.error
        return gradient, None


OUT_OF_MEMORY = [
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
    RuntimeError("[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: can't allocate memory: you tried to"),
    RuntimeError("CUDA error: out of memory"),
    RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
    MemoryError("numpy's"),
]


@pytest.mark.parametrize("where", ["forward", "backward"])
@pytest.mark.parametrize("error", OUT_OF_MEMORY, ids=lambda error: str(error)[:24])
def test_out_of_memory_halves_the_chunk_and_gives_the_same_maps(error, where):
    counter = CallCounter(seeded(partial(Scarce, error, 3, where)))
    methods = {"gradient": Gradient(), "smoothgrad": SmoothGrad(samples=3), "cam": GradCAM("model.model.conv2")}
    enough = attribute(CallCounter(seeded(partial(Scarce, error, 100, where))), images(), 0, methods)
    for options in ({"chunk": 16}, {"memory_budget": "1 GiB"}):
        maps = attribute(counter, images(), 0, methods, **options)
        for name in methods:
            scale = float(enough[name].abs().max())
            torch.testing.assert_close(maps[name], enough[name], rtol=0, atol=1e-12 * scale)


def test_the_halved_chunk_is_kept_for_the_rest_of_the_call():
    counter = CallCounter(seeded(partial(Scarce, OUT_OF_MEMORY[0], 3, "forward")))
    SmoothGrad(samples=4)(counter, images(), 0, chunk=16)
    assert counter.calls == [*PROBE, 16, 8, 4] + [2] * 10


def test_progress_does_not_count_what_failed():
    seen = []
    model = seeded(partial(Scarce, OUT_OF_MEMORY[0], 2, "backward"))
    Gradient()(model, images(), 0, chunk=4, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(2, 5), (4, 5), (5, 5)]


@pytest.mark.parametrize("where", ["forward", "backward"])
@pytest.mark.parametrize("options", [{"chunk": 4}, {"chunk": 1}, {"memory_budget": "1 GiB"}, {}])
def test_where_one_row_does_not_fit_in_memory_the_error_says_so(where, options):
    model = seeded(partial(Scarce, OUT_OF_MEMORY[0], 0, where))
    with pytest.raises(MemoryBudgetError, match="one row does not fit in memory: CUDA out of memory") as caught:
        Gradient()(model, images(), 0, **options)
    assert repr(caught.value.__cause__) == repr(OUT_OF_MEMORY[0])


@pytest.mark.parametrize("error", [RuntimeError("shapes do not match"), ValueError("memory"), KeyError("oom")])
@pytest.mark.parametrize("where", ["forward", "backward"])
def test_other_errors_pass_through_unchanged(error, where):
    model = seeded(partial(Scarce, error, 3, where))
    with pytest.raises(type(error)) as caught:
        Gradient()(model, images(), 0, chunk=4)
    assert caught.type is type(error)
    assert caught.value.args == error.args


# ---------------------------------------------------------------- measuring leaves autograd's rules in force


class Overwrites(nn.Module):
    """Overwrites what the backward pass needs, which torch refuses at the backward pass."""

    def forward(self, x):
        x = x.flatten(1)
        y = x.exp()
        y += 1
        return y


@pytest.mark.parametrize("options", [{}, {"chunk": 3}])
def test_an_overwritten_activation_is_refused_whether_measured_or_not(options):
    with pytest.raises(RuntimeError, match=r"modified by an in-?place operation"):
        Gradient()(Overwrites(), images(dtype=torch.float32), 0, **options)


def test_measuring_does_not_change_the_map():
    model = prepare(seeded(ConvNet))
    first = Gradient()(model, images(1), 0)
    assert model.row_bytes
    assert torch.equal(Gradient()(model, images(1), 0), first)


def test_a_storage_that_is_kept_twice_is_counted_once():
    x = torch.ones(100, dtype=torch.float64, requires_grad=True)
    with measure_saved(nn.Identity()) as saved:
        y = x.exp()
        (y.sin() + y[:50].sin().sum()).sum()
    assert (saved.total, saved.largest, saved.needed) == (800, 800, 2400)


def _tensors_alive() -> int:
    return sum(issubclass(type(thing), torch.Tensor) for thing in gc.get_objects())


@pytest.mark.parametrize("targets", [0, None])
def test_no_cycle_keeps_activations_alive(targets):
    # The garbage collector would not find a cycle through autograd's nodes: the memory would be lost.
    model, x = prepare(seeded(ConvNet)), images()
    methods = {m.title: SmoothGrad(m, samples=2) for m in (Gradient(), GradCAM(), GuidedGradCAM("conv1"))}
    methods |= {m.title: m for m in (ConservativePropagation(), DeepLIFT(), LRP())}
    attribute(model, x, targets, methods)  # fills the caches of torch
    gc.collect()
    gc.disable()
    try:
        for forget in (False, True):
            if forget:
                model.row_bytes.clear()  # measure again
            before = _tensors_alive()
            attribute(model, x, targets, methods)
            assert _tensors_alive() == before
    finally:
        gc.enable()


def test_need_of_the_plain_gradient_is_known_by_its_kind():
    prepared = prepare(seeded(Linear))
    Gradient()(prepared, images(), 0)
    assert set(prepared.row_bytes) == {((torch.Size(SHAPE),), torch.float64, frozenset({PLAIN}))}
