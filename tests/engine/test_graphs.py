"""Calls recorded as a graph, with a recorder in the place of CUDA's, and calls that run compiled code."""

import warnings
from dataclasses import replace
from functools import partial

import pytest
import torch
from nets import ConvNet, Perceptron, images, seeded

from probatum import attribute
from probatum.attributions import GradCAM, Gradient, GuidedBackprop, IntegratedGradients, SmoothGrad
from probatum.engine import LOGIT, PLAIN, GuidedReLU, InputGradient, LayerGradient, Noise, PointStream, Targets, prepare
from probatum.engine import chunks as chunks_of_engine
from probatum.engine.evaluate import evaluate
from probatum.engine.graphs import LEAST_CALLS, Recorded, RecordedEvaluation
from probatum.errors import GraphWarning, InvalidInput, ModelError

TARGETS = torch.tensor([0, 3, 1, 2, 1])


class FakeGraphs:
    """Keeps the tensors of the recorded call, and fills them by calling the work again, as a replayed graph does."""

    def __init__(self) -> None:
        self.recorded = self.replayed = 0

    def record(self, work):
        self.recorded += 1
        outputs = work()

        def replay():
            self.replayed += 1
            for own, fresh in zip(outputs, work(), strict=True):
                own.copy_(fresh)

        return outputs, replay


class NoGraphs:
    """Fails as a capture does where the host reads a value."""

    def record(self, work):
        work()
        raise RuntimeError("operation not permitted when stream is capturing")


def test_inputs_are_copied_in_and_outputs_out():
    seen, graphs = [], FakeGraphs()

    def work(a, b):
        seen.append((a.data_ptr(), b.data_ptr()))
        return [a + b, a * 2]

    recorded = Recorded(work, graphs, "sum")
    pairs = [(torch.full((3,), float(n)), torch.arange(3.0) * n) for n in range(4)]
    found = [recorded(*pair) for pair in pairs]
    for (a, b), (total, double) in zip(pairs, found, strict=True):  # later calls have not changed earlier outputs
        assert torch.equal(total, a + b)
        assert torch.equal(double, a * 2)
    assert (graphs.recorded, graphs.replayed) == (1, 4)
    assert len(set(seen)) == 1, "a graph knows its tensors by their addresses"
    assert pairs[0][0].data_ptr() not in seen[0]
    for other in (torch.ones(2), torch.ones(3, dtype=torch.float64), torch.ones(6)[::2]):
        assert torch.equal(recorded(other, other)[0], 2 * other)
    assert (graphs.recorded, graphs.replayed) == (1, 4)


@pytest.mark.parametrize(
    "measurements",
    [{PLAIN}, {PLAIN, InputGradient(GuidedReLU())}, {LayerGradient("conv2"), LOGIT}, {LOGIT}],
    ids=["gradient", "rule", "layer", "logit"],
)
@pytest.mark.parametrize("targets", [TARGETS, None], ids=["targets", "predicted"])
def test_an_evaluation_that_is_replayed_has_the_bits_of_one_that_is_not(measurements, targets):
    prepared, x, graphs = prepare(seeded(ConvNet)), images(), FakeGraphs()
    stream = PointStream.of(x, torch.arange(5), (Noise(4),))
    given = None if targets is None else Targets.of(x, targets)
    recorded = RecordedEvaluation(prepared, frozenset(measurements), graphs)
    for start in (0, 6, 12, 18):  # the last chunk has two rows
        rows = stream.rows(start, start + 6)
        aims = None if given is None else given.at(rows.image)
        expected, classes = evaluate(prepared, rows.points, aims, frozenset(measurements), image=rows.image)
        found, found_classes = recorded(rows, aims)
        assert torch.equal(found_classes, classes)
        assert found.keys() == expected.keys()
        for need, tensors in expected.items():
            assert all(torch.equal(a, b) for a, b in zip(found[need], tensors, strict=True))
    assert (graphs.recorded, graphs.replayed) == (1, 3)


def with_graphs(model):
    """A model on the CPU prepared as if it were on CUDA, where graphs are asked for."""
    prepared = prepare(model)
    return replace(prepared, compute=replace(prepared.compute, cuda_graphs=True))


@pytest.mark.parametrize("graphs", [FakeGraphs(), NoGraphs()], ids=["recorded", "refused"])
def test_a_stream_has_the_bits_of_one_without_graphs(graphs, monkeypatch):
    monkeypatch.setattr(chunks_of_engine, "RecordedEvaluation", partial(RecordedEvaluation, recorder=graphs))
    model, x = seeded(ConvNet), images()
    methods = {"few": Gradient(), "sg": SmoothGrad(samples=17), "cam": SmoothGrad(GradCAM("conv2"), samples=17)}
    expected = attribute(prepare(model), x, TARGETS, methods, chunk=7)
    refused = isinstance(graphs, NoGraphs)
    with pytest.warns(GraphWarning, match=r"ConvNet.*capturing") if refused else warnings.catch_warnings():
        found = attribute(with_graphs(model), x, TARGETS, methods, chunk=7)
    assert all(torch.equal(found[name], maps) for name, maps in expected.items())
    if not refused:  # 85 points: 12 chunks and one row; a single chunk of images is not worth a graph
        assert LEAST_CALLS == 85 // 7
        assert (graphs.recorded, graphs.replayed) == (1, 12)


def test_graphs_are_for_cuda():
    with pytest.raises(InvalidInput, match="CUDA"):
        prepare(seeded(Perceptron), cuda_graphs=True)


def test_compiled_code_runs_where_nothing_looks_into_the_model():
    model, x = seeded(ConvNet), images()
    prepared, calls = prepare(model), []

    def compiled(points):
        calls.append(len(points))
        return prepared.model(points)

    fast = replace(prepared, compiled=compiled)
    methods = {"gradient": Gradient(), "guided": GuidedBackprop(), "cam": GradCAM("conv2")}
    for name, method in methods.items():
        assert torch.equal(method(fast, x, TARGETS), method(prepared, x, TARGETS)), name
    assert calls == [5]
    IntegratedGradients(4)(fast, x, TARGETS, chunk=10)
    assert calls == [5, 10, 10]


def test_a_compiled_model_has_the_same_maps():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's own, while it compiles
        fast = prepare(seeded(Perceptron), compile="eager")
        found = SmoothGrad(samples=3)(fast, images(), TARGETS, chunk=5)
    assert torch.equal(found, SmoothGrad(samples=3)(seeded(Perceptron), images(), TARGETS, chunk=5))


def test_a_model_with_hooks_is_not_compiled():
    model = seeded(ConvNet)
    model.conv2.register_forward_hook(lambda module, inputs, output: output * 2)
    with pytest.raises(ModelError, match=r"'conv2'.*hooks"):
        prepare(model, compile="eager")
