"""Copies of a model: what they share, what they own, and what stays tied."""

import threading

import pytest
import torch
from nets import ConvNet, images, seeded
from torch import nn

from probatum.attributions import Gradient
from probatum.engine import copy_model, frozen_copy
from probatum.errors import ModelError


class Tied(nn.Module):
    """Ties a weight, and refers to its own parts in every way that python allows."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(4, 4), nn.Linear(4, 4)
        self.second.weight = self.first.weight
        self.register_buffer("scale", torch.ones(4))
        self.register_buffer("same_scale", self.scale)
        self.alias = self.first
        self.listed = [self.second]
        self.method = self.first.forward
        self.plain = torch.arange(4.0)
        self.history = torch.ones(4, requires_grad=True) * 2

    def forward(self, x):
        return self.listed[0](self.method(x)) * self.scale + self.plain + self.history


def shares(a: torch.Tensor, b: torch.Tensor) -> bool:
    return a.untyped_storage().data_ptr() == b.untyped_storage().data_ptr()


def named(model: nn.Module) -> dict[str, torch.Tensor]:
    return {**dict(model.named_parameters(remove_duplicate=False)), **dict(model.named_buffers(remove_duplicate=False))}


@pytest.mark.parametrize("build", [ConvNet, Tied])
def test_a_copy_shares_every_tensor_and_no_module(build):
    model = seeded(build)
    copy = copy_model(model)
    assert named(copy).keys() == named(model).keys()
    for name, tensor in named(model).items():
        assert shares(named(copy)[name], tensor)
        assert named(copy)[name] is not tensor
    assert not {id(m) for m in model.modules()} & {id(m) for m in copy.modules()}


def test_a_copy_owns_what_it_is_asked_to_own():
    model = seeded(ConvNet)
    copy = copy_model(model, own=lambda name: name.startswith("bn1.running") or name == "conv2.weight")
    owned = {name for name, tensor in named(copy).items() if not shares(tensor, named(model)[name])}
    assert owned == {"bn1.running_mean", "bn1.running_var", "conv2.weight"}
    assert all(torch.equal(tensor, named(model)[name]) for name, tensor in named(copy).items())


@pytest.mark.parametrize("accepted", ["first.weight", "second.weight"])
def test_tied_weights_stay_tied_and_one_name_is_enough_to_own_them(accepted):
    model = Tied()
    copy = copy_model(model, own=accepted.__eq__)
    assert copy.second.weight is copy.first.weight
    assert copy.same_scale is copy.scale
    assert not shares(copy.first.weight, model.first.weight)
    assert shares(copy.scale, model.scale)


def test_references_to_parts_and_bound_methods_lead_to_the_copy():
    model = Tied()
    copy = copy_model(model, own=lambda name: True)
    assert copy.alias is copy.first
    assert copy.listed[0] is copy.second
    assert copy.method.__self__ is copy.first
    with torch.no_grad():
        for parameter in copy.parameters():
            parameter.zero_()
    assert torch.equal(copy(torch.ones(1, 4)), (copy.plain + 2)[None])
    assert model.first.weight.any()


def test_plain_tensors_are_shared_even_those_with_a_history():
    model = Tied()
    copy = copy_model(model)
    assert shares(copy.plain, model.plain)
    assert shares(copy.history, model.history)
    assert copy.history.grad_fn is None


def test_flags_and_mode_are_carried_over_and_gradients_are_not():
    model = seeded(ConvNet).train()
    model.bn1.eval()
    model.conv1.weight.requires_grad_(False)
    model.conv2.weight.grad = torch.ones_like(model.conv2.weight)
    copy = copy_model(model)
    assert [m.training for m in copy.modules()] == [m.training for m in model.modules()]
    assert {n: p.requires_grad for n, p in copy.named_parameters()} == {
        n: p.requires_grad for n, p in model.named_parameters()
    }
    assert all(p.grad is None for p in copy.parameters())
    assert all(p.is_leaf for p in copy.parameters())
    assert model.conv2.weight.grad is not None


def test_hooks_flags_and_mode_of_a_copy_change_alone():
    model = seeded(ConvNet).eval()
    copy = copy_model(model)
    copy.train()
    copy.relu.inplace = False
    copy.conv1.register_forward_hook(lambda module, inputs, output: output * 0)
    copy.requires_grad_(False)
    assert not model.training
    assert model.relu.inplace
    assert not model.conv1._forward_hooks
    assert all(p.requires_grad for p in model.parameters())


def test_a_frozen_copy_may_write_into_its_buffers():
    model = seeded(ConvNet).train()
    kept = {name: tensor.clone() for name, tensor in model.named_buffers()}
    copy = frozen_copy(model)
    assert not copy.training
    assert not any(p.requires_grad for p in copy.parameters())
    assert all(shares(p, dict(model.named_parameters())[name]) for name, p in copy.named_parameters())
    copy.train()(images())
    assert all(torch.equal(tensor, kept[name]) for name, tensor in model.named_buffers())
    assert not torch.equal(copy.bn1.running_mean, model.bn1.running_mean)


def test_a_frozen_copy_made_in_inference_mode_can_be_differentiated():
    model = seeded(ConvNet)
    with torch.inference_mode():
        copy = frozen_copy(model)
    x = images().requires_grad_()
    (gradient,) = torch.autograd.grad(copy(x.clone())[:, 0].sum(), x)
    assert torch.equal(gradient, Gradient()(model, images(), 0))


def test_subclasses_of_parameters_and_shared_submodules_survive():
    class Mine(nn.Parameter):
        pass

    model = nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.Linear(2, 2))
    model.add_module("again", model[0])
    copy = copy_model(model)
    assert copy.again is copy[0]


@pytest.mark.parametrize("thing", [threading.Lock(), (n for n in range(3))], ids=["lock", "generator"])
def test_what_cannot_be_copied_is_named(thing):
    model = nn.Linear(2, 2)
    model.thing = thing
    with pytest.raises(ModelError, match="Linear cannot be copied: cannot pickle"):
        copy_model(model)


def test_a_lazy_model_has_to_run_once_first():
    with pytest.raises(ModelError, match="weight of LazyLinear is lazy and has no shape yet"):
        copy_model(nn.LazyLinear(3))
