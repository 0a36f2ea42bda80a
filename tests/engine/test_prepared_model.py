"""The prepared view of a model, and what it refuses."""

import pytest
import torch
from attributions.unchecked import unchecked
from nets import CLASSES, CallCounter, ConvNet, Linear, images, seeded
from torch import nn

from probatum import attribute
from probatum.attributions import Gradient
from probatum.engine import Compute, all_logits, prepare, relu_coverage
from probatum.errors import InvalidInput, ModelError, UnknownName


def test_a_prepared_model_shares_the_weights():
    model = seeded(Linear)
    assert prepare(model).model.linear.weight.data_ptr() == model.linear.weight.data_ptr()


def train(model: nn.Module) -> str:
    model.train()
    optimizer = torch.optim.Adam(model.parameters())
    model(images()).square().sum().backward()
    optimizer.step()
    return "conv1.weight"


def gather_statistics(model: nn.Module) -> str:
    model.train()
    with torch.no_grad():
        model(images())
    return "bn1.*"


def load(model: nn.Module) -> str:
    model.load_state_dict(seeded(ConvNet, 3).state_dict())
    return "conv1.weight"


def replace_head(model: nn.Module) -> str:
    model.head.bias = nn.Parameter(model.head.bias.detach().clone())
    return "head.bias"


@pytest.mark.parametrize("precision", [None, "float32"])
@pytest.mark.parametrize("change", [train, gather_statistics, load, replace_head])
def test_a_model_that_changed_after_it_was_prepared_is_refused(change, precision: str | None):
    model = seeded(ConvNet).eval()
    prepared = prepare(model, precision)
    Gradient()(prepared, images(), 0)
    name = change(model)
    with pytest.raises(ModelError, match=f"{name} of ConvNet changed"):
        Gradient()(prepared, images(), 0)
    Gradient()(prepare(model.eval(), precision), images(), 0)


def test_evaluating_a_model_is_no_change_of_it():
    model = seeded(ConvNet).eval()
    prepared = prepare(model)
    model(images()).sum().backward()
    model.train().eval()
    Gradient()(prepared, images(), 0)


def test_another_precision_is_a_copy():
    model = seeded(Linear, dtype=torch.float32)
    prepared = prepare(model, "float64")
    assert (prepared.dtype, prepared.name, prepared.device) == (torch.float64, "Linear", torch.device("cpu"))
    assert model.linear.weight.dtype == torch.float32
    assert Gradient()(prepared, images(dtype=torch.float32), 0).dtype == torch.float64


def test_a_view_is_taken_as_it_is():
    prepared = prepare(seeded(Linear))
    assert prepare(prepared) is prepared
    assert prepare(prepared, "float64") is prepared
    with pytest.raises(InvalidInput, match=r"prepared for torch\.float64, not for precision 'float32'"):
        Gradient()(prepared, images(), 0, precision="float32")


def test_a_view_keeps_its_memory_budget_until_a_call_gives_another():
    counter = CallCounter(seeded(ConvNet))
    prepared = prepare(counter, chunk=2)
    Gradient()(prepared, images(), 0)
    for options, calls in [({}, [2, 2, 1]), ({"chunk": 3}, [3, 2]), ({"memory_budget": "1 GiB"}, [1, 2, 2, 1])]:
        counter.calls.clear()
        Gradient()(prepared, images(), 0, **options)
        assert counter.calls == calls  # a budget measures one row before
    assert prepared.compute == Compute(chunk=2)


def test_without_parameters_a_model_computes_in_float32():
    assert prepare(nn.Flatten()).dtype == torch.float32
    with pytest.raises(InvalidInput, match="precision 'double' does not exist"):
        prepare(nn.Flatten(), "double")


def test_images_come_to_the_views_type_without_their_history():
    x = images(dtype=torch.float32).requires_grad_()
    accepted = prepare(seeded(Linear)).accept(x)
    assert (accepted.dtype, accepted.requires_grad) == (torch.float64, False)


def test_a_model_on_two_devices_is_refused():
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2, device="meta"))
    with pytest.raises(ModelError, match="Sequential spreads over cpu, meta; put it on one device"):
        prepare(model)


def test_images_on_another_device_are_refused():
    with pytest.raises(InvalidInput, match="images are on meta, Linear is on cpu; move one to the other"):
        Gradient()(seeded(Linear), images().to("meta"), 0)


def test_what_is_no_module_is_refused():
    with unchecked(), pytest.raises(InvalidInput, match=r"the model is a function, not a torch\.nn\.Module"):
        attribute(lambda x: x, images(), 0, [Gradient()])


def test_all_logits_are_those_of_the_model_in_any_chunks():
    model = seeded(ConvNet).eval()
    for options in ({}, {"chunk": 2}, {"memory_budget": "100 KiB"}):
        torch.testing.assert_close(all_logits(prepare(model, **options), images()), model(images()).detach())


def test_relu_coverage_takes_a_model_or_a_view_and_counts_nothing_that_is_not_there():
    model = seeded(ConvNet).train()
    assert relu_coverage(model, images()) == relu_coverage(prepare(model), images())
    assert relu_coverage(seeded(Linear), images()).guided == 0


@pytest.mark.parametrize("shape", [(), (3,)])
def test_images_have_a_batch_axis_and_another(shape):
    with pytest.raises(InvalidInput, match="non-empty"):
        Gradient()(seeded(Linear), torch.ones(shape, dtype=torch.float64), 0)


def test_errors_name_the_choices():
    assert issubclass(UnknownName, InvalidInput)
    assert issubclass(InvalidInput, ValueError)
    with pytest.raises(ModelError, match=rf"returns shape \(1, {CLASSES}, 1\) for 1 images"):
        Gradient()(nn.Sequential(seeded(Linear), nn.Unflatten(1, (CLASSES, 1))), images(), 0)
