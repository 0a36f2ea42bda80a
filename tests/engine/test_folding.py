"""Batch norm folded into convolutions, and channels laid next to each other: the same maps up to rounding."""

import pytest
import torch
from attributions.table import METHODS
from attributions.zoo import ZOO, zoo_image, zoo_net
from nets import ConvNet, images, seeded
from torch import nn

from probatum import attribute
from probatum.attributions import GradCAM, Gradient, GuidedBackprop, GuidedGradCAM
from probatum.engine import prepare
from probatum.engine.folding import Fold, find_folds
from probatum.errors import InvalidInput, ModelError

# Convolutions with a batch norm directly behind. DenseNet has its batch norms before most convolutions.
FOLDED = {"resnet18": 20, "squeezenet1_0": 0, "densenet121": 59, "googlenet": 57, "inception_v3": 94}


def assert_equal_maps(found, expected):
    for name, maps in expected.items():
        assert (found[name] - maps).abs().max() <= 1e-12 * maps.abs().max(), name
        assert found[name].is_contiguous()


@pytest.mark.parametrize("options", [{"channels_last": True}, {"fold_batch_norm": True}], ids=str)
def test_maps_are_the_same_for_every_method(options):
    model, x = seeded(ConvNet), images()
    # The output of conv1 is not there once it is folded.
    methods = {name: method for name, method in METHODS.items() if "conv1" not in repr(method)}
    assert_equal_maps(attribute(model, x, 1, methods, seed=2, **options), attribute(model, x, 1, methods, seed=2))


@pytest.mark.parametrize("name", FOLDED)
def test_maps_are_the_same_for_torchvisions_networks(name):
    model, x = zoo_net(name), zoo_image(name)
    prepared = prepare(model, channels_last=True, fold_batch_norm=True, example=x)
    assert len(prepared.folds) == FOLDED[name]
    methods = [Gradient(), GuidedBackprop(), GradCAM()]
    assert_equal_maps(attribute(prepared, x, 3, methods), attribute(model, x, 3, methods))


def test_a_batch_norm_of_its_own_layer_is_found_and_its_output_is_what_it_was():
    model, x = seeded(ConvNet), images()
    prepared = prepare(model, fold_batch_norm=True, example=x)
    assert prepared.folds == (Fold("conv1", "bn1", ("conv1",)),)
    assert_equal_maps({"": GradCAM("bn1")(prepared, x, 1)}, {"": GradCAM("bn1")(model, x, 1)})
    with pytest.raises(ModelError, match="layer 'conv1' of ConvNet is folded into its batch norm; name 'bn1'"):
        GuidedGradCAM("conv1")(prepared, x, 1)


class Tail(nn.Module):
    """Convolution, batch norm, and something that decides whether the two may become one."""

    def __init__(self, between=None, after=None) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(2, 3, 3, bias=False), nn.BatchNorm2d(3, affine=False)
        nn.init.normal_(self.norm.running_mean)
        nn.init.uniform_(self.norm.running_var, 0.5, 2.0)
        self.last = nn.Conv2d(3, 4, 1)
        self.between, self.after = between, after

    def forward(self, x):
        y = self.conv(x)
        if self.between:
            y = self.between(self, y)
        z = self.norm(y)
        if self.after:
            z = self.after(self, z, y)
        return self.last(z).mean((2, 3))


CASES = {
    "directly": (Tail(), True),
    "something between": (Tail(between=lambda self, y: y * 2), False),
    "an operation in place between": (Tail(between=lambda self, y: y.mul_(2)), False),
    "the output is read twice": (Tail(after=lambda self, z, y: z + y), False),
    "a part of the output is read": (Tail(after=lambda self, z, y: z + y[:, :1]), False),
    "the batch norm is called twice": (Tail(after=lambda self, z, y: self.norm(z)), False),
    "the convolution's weights are read": (Tail(after=lambda self, z, y: z * self.conv.weight.sum()), True),
}


@pytest.mark.parametrize("name", CASES)
def test_only_what_nothing_else_reads_is_folded(name):
    model, folded = CASES[name]
    model, x = model.double().eval(), images()
    assert bool(find_folds(model, x[:1])) is folded
    if name != "the convolution's weights are read":
        assert_equal_maps({"": Gradient()(model, x, 1, fold_batch_norm=True)}, {"": Gradient()(model, x, 1)})


def test_without_running_statistics_or_with_hooks_nothing_is_folded():
    def build(track):
        return nn.Sequential(
            nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3, track_running_stats=track), nn.Conv2d(3, 4, 1), nn.Flatten()
        )

    x = images()
    assert find_folds(seeded(lambda: build(True)).eval(), x[:1])
    assert not find_folds(seeded(lambda: build(False)).eval(), x[:1])
    hooked = seeded(lambda: build(True)).eval()
    hooked[1].register_forward_hook(lambda module, inputs, output: output * 2)
    assert not find_folds(hooked, x[:1])


def test_views_of_one_structure_share_the_folds_and_not_the_weights():
    first = prepare(seeded(ConvNet), fold_batch_norm=True, example=images())
    model = seeded(ConvNet, seed=5)
    second = prepare(model, fold_batch_norm=True, like=first)
    assert second.folds == first.folds
    assert second.row_bytes is first.row_bytes
    assert_equal_maps({"": Gradient()(second, images(), 1)}, {"": Gradient()(model, images(), 1)})
    assert prepare(model, like=first).row_bytes is not first.row_bytes


def test_options_of_a_view_are_its_own():
    model, x = seeded(ConvNet), images()
    prepared = prepare(model, "float64", channels_last=True)
    assert prepare(prepared) is prepare(prepared, "float64", channels_last=True) is prepared
    for options, message in [
        ({"precision": "float32"}, "prepared for float64, not for precision 'float32'"),
        ({"fold_batch_norm": True}, "prepared without fold_batch_norm"),
    ]:
        with pytest.raises(InvalidInput, match=message):
            Gradient()(prepared, x, 0, **options)
    with pytest.raises(InvalidInput, match="prepared without channels_last"):
        Gradient()(prepare(model), x, 0, channels_last=True)
    with pytest.raises(InvalidInput, match="needs an example image"):
        prepare(model, fold_batch_norm=True)
    with pytest.raises(InvalidInput, match=r"channels_last is for .*, not \(5, 198\)"):
        Gradient()(nn.Linear(198, 3).double(), x.flatten(1), 0, channels_last=True)


def test_a_folded_network_computes_in_float64_before_it_rounds():
    model, x = seeded(ConvNet, dtype=torch.float32), images(dtype=torch.float32)
    exact = Gradient()(model, x, 0, precision="float64")
    found = Gradient()(model, x, 0, fold_batch_norm=True)
    assert (found - exact).norm() < 1e-5 * exact.norm()  # of float32


@pytest.mark.parametrize("name", sorted(set(ZOO) - set(FOLDED)))
def test_networks_without_batch_norm_have_nothing_to_fold(name):
    prepared = prepare(zoo_net(name), fold_batch_norm=True, example=zoo_image(name))
    assert prepared.folds == ()
