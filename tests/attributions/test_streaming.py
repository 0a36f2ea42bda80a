"""Maps batch by batch equal those of one call, hold one batch at a time, and name the batch that is at fault."""

import weakref

import pytest
import torch
from nets import CLASSES, SHAPE, ConvNet, images, seeded
from table import METHODS
from torch.utils.data import DataLoader, TensorDataset
from unchecked import unchecked

import probatum
from probatum.attributions import EdgeDetector, Gradient, SmoothGrad, attribute, attribute_stream
from probatum.engine import prepare
from probatum.errors import InvalidInput, MemoryBudgetError

FEW = ("gradient", "smoothgrad", "integrated-gradients-sg-joint", "deeplift-shap-local", "grad-cam", "edge-detector")
TARGETS = torch.tensor([3, 0, 2, 1, 3, 3, 0])


@pytest.fixture(scope="module")
def net():
    return seeded(ConvNet).eval()


@pytest.fixture(scope="module")
def stack():
    return images(7)


@pytest.fixture(scope="module")
def whole(net, stack):
    return attribute(net, stack, TARGETS, METHODS, seed=3)


def joined(batches):
    found = list(batches)
    return found, {name: torch.cat([batch.maps[name] for batch in found]) for name in found[0].maps}


@pytest.mark.parametrize("size", [1, 3, 7])
def test_however_they_are_cut_the_maps_are_those_of_one_call(size, net, stack, whole):
    loader = DataLoader(TensorDataset(stack, TARGETS), size)
    methods = METHODS if size == 3 else {name: METHODS[name] for name in FEW}
    batches, maps = joined(attribute_stream(net, loader, None, methods, seed=3))
    assert list(maps) == list(methods)
    for name, values in maps.items():
        torch.testing.assert_close(values, whole[name], rtol=1e-9, atol=1e-12, msg=lambda text, name=name: name + text)
    assert [batch.number for batch in batches] == list(range(len(batches)))
    assert [batch.first for batch in batches] == list(range(0, 7, size))
    assert torch.equal(torch.cat([batch.targets for batch in batches]), TARGETS)
    assert torch.equal(torch.cat([batch.images for batch in batches]), stack)


def test_workers_of_a_loader_and_options(net, stack):
    options = {"fold_batch_norm": True, "channels_last": True, "precision": "float32", "chunk": 2}
    expected = attribute(net, stack.float(), 1, [Gradient()], **options)["Gradient"]
    loader = DataLoader(TensorDataset(stack.float()), 4, num_workers=1)  # batches are lists of one tensor
    maps = joined(probatum.attribute_stream(net, loader, 1, [Gradient()], **options))[1]["Gradient"]
    torch.testing.assert_close(maps, expected, rtol=1e-4, atol=1e-6)  # float32


def test_which_classes_are_explained(net, stack):
    with torch.no_grad():
        predicted = net(stack).argmax(1)
    assert not torch.equal(predicted, TARGETS)
    pairs = [(stack[:4], TARGETS[:4].int()), [stack[4:], TARGETS[4:].int()]]
    for batches, targets, expected in (
        (pairs, None, TARGETS),
        (pairs, "predicted", predicted),
        (pairs, 2, torch.full((7,), 2)),
        ([stack[:4], (stack[4:],)], None, predicted),
        ([stack], 0, torch.zeros(7, dtype=torch.int64)),
    ):
        found, maps = joined(attribute_stream(net, iter(batches), targets, {"mine": Gradient()}))
        assert torch.equal(torch.cat([batch.targets for batch in found]), expected)
        torch.testing.assert_close(maps["mine"], Gradient()(net, stack, expected), rtol=1e-9, atol=1e-12)


def test_a_batch_is_taken_when_it_is_asked_for_and_nothing_of_it_is_kept(net, stack):
    taken, seen = [], []

    def batches():
        for number in range(4):
            assert all(reference() is None for reference in seen)
            taken.append(number)
            yield stack[number : number + 1].clone()

    stream = attribute_stream(net, batches(), methods=[Gradient(), EdgeDetector()])
    assert taken == []
    for number in range(4):
        batch = next(stream)
        assert taken == list(range(number + 1))
        seen += [weakref.ref(batch.images), *map(weakref.ref, batch.maps.values())]
        del batch
    assert list(stream) == []


def test_the_model_is_prepared_once(net, stack, monkeypatch):
    calls = []
    real = probatum.engine.prepared_model.frozen_copy
    monkeypatch.setattr("probatum.engine.prepared_model.frozen_copy", lambda model: calls.append(model) or real(model))
    joined(attribute_stream(net, stack.split(2), methods=[Gradient()]))
    assert len(calls) == 1
    joined(attribute_stream(prepare(net), stack.split(2), methods=[Gradient()]))
    assert len(calls) == 2


def test_the_models_own_error_is_left_as_it_is(net, stack):
    with pytest.raises(RuntimeError, match="Output size is too small") as caught:
        list(attribute_stream(net, [stack[:2], images(2)[:, :, :2, :2]], methods=[Gradient()]))
    note = "This was batch 1 of the stream."
    assert getattr(caught.value, "__notes__", [note]) == [note]  # there are notes from Python 3.11


def test_no_batches_give_no_maps(net):
    assert list(attribute_stream(net, [], methods=[Gradient()])) == []


@pytest.mark.parametrize(
    ("bad", "options", "error", "message"),
    [
        (torch.full((2, *SHAPE), torch.nan).double(), {}, InvalidInput, "batch 1: image 0 of the batch has NaN"),
        (torch.zeros(2, *SHAPE, dtype=torch.uint8), {}, InvalidInput, "batch 1: images are torch.uint8"),
        ((images(2), torch.tensor([0, CLASSES])), {}, InvalidInput, "batch 1: target 4 is out of range"),
        ((images(2), torch.tensor([0])), {}, InvalidInput, "batch 1: targets must be 2 class indices"),
        ((images(2), ["cat", "dog"]), {}, InvalidInput, "batch 1: targets are a list"),
        ({"pixels": images(2)}, {}, InvalidInput, r"batch 1: it holds \(dict\); give batches of images, or of pairs"),
        ((images(2), TARGETS[:2], "name"), {}, InvalidInput, r"batch 1: it holds \(Tensor, Tensor, str\)"),
        ((), {}, InvalidInput, r"batch 1: it holds \(\)"),
        (images(2), {"memory_budget": 10}, MemoryBudgetError, "batch 0: "),
    ],
)
def test_errors_name_the_batch(bad, options, error, message, net, stack):
    with unchecked(), pytest.raises(error, match=message):
        list(attribute_stream(net, [stack[:2], bad], methods=[SmoothGrad(samples=2)], **options))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"methods": ()}, "no methods given"),
        ({"methods": [Gradient(), Gradient()]}, "called 'Gradient'"),
        ({"batches": images(2)}, "batches are a Tensor"),
        ({"batches": {"train": [images(2)]}}, "batches are a dict"),
        ({"batches": 3}, "batches are a int"),
        ({"targets": "labels"}, "targets of a stream"),
        ({"targets": TARGETS}, "targets of a stream"),
        ({"precision": "float12"}, "float12"),
        ({"model": "resnet18"}, "not a torch.nn.Module"),
    ],
)
def test_what_no_batch_can_mend_is_said_at_once(change, message, net):
    with unchecked(), pytest.raises(InvalidInput, match=message):
        attribute_stream(**{"model": net, "batches": [images(2)], "methods": [Gradient()]} | change)


def test_attribute_sends_a_loader_to_the_stream(net, stack):
    with unchecked(), pytest.raises(InvalidInput, match="attribute_stream"):
        attribute(net, DataLoader(TensorDataset(stack), 2), None, [Gradient()])


def test_errors_of_the_loader_are_its_own(net):
    def broken():
        yield images(1)
        raise OSError("disk")

    stream = attribute_stream(net, broken(), methods=[Gradient()])
    next(stream)
    with pytest.raises(OSError, match=r"^disk$"):
        next(stream)
