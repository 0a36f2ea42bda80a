"""Grad-CAM and Guided Grad-CAM by hand, and at layers that are hard to look at."""

import pytest
import torch
from nets import CLASSES, SHAPE, ConvNet, images, seeded
from torch import nn
from torch.nn import functional as F

from probatum.attributions import GradCAM, GuidedBackprop, GuidedGradCAM
from probatum.errors import InvalidInput, ModelError, UnknownName

TARGETS = torch.tensor([0, 3, 1, 2, 1])


class MeanOfMaps(nn.Module):
    """S_c = Σ_k v_ck mean(A_k) with A = conv(x): the gradient of every A_k,ij is v_ck / (height · width)."""

    def __init__(self, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(SHAPE[0], 3, 3, stride=stride, padding=1)
        self.relu = nn.ReLU()
        self.head = nn.Linear(3, CLASSES)

    def forward(self, x):
        return self.head(self.conv(x).mean((2, 3)))


def by_hand(model, x, relu=True):
    activations = model.conv(x).detach()
    height, width = activations.shape[2:]
    weights = model.head.weight[TARGETS].detach() / (height * width)  # (batch, 3)
    cam = torch.einsum("bk,bkij->bij", weights, activations)[:, None]
    return cam.relu() if relu else cam


@pytest.mark.parametrize("relu", [True, False])
def test_is_the_weighted_sum_of_the_maps(relu):
    model, x = seeded(MeanOfMaps), images()
    maps = GradCAM("conv", relu=relu)(model, x, TARGETS)
    torch.testing.assert_close(maps, by_hand(model, x, relu), rtol=1e-12, atol=1e-16)
    assert (maps.min() < 0) == (not relu)


def test_an_offset_is_added_before_the_sum_is_rectified():
    model, x = seeded(MeanOfMaps), images()
    sums = by_hand(model, x, relu=False)
    offset = -float(sums.median())
    maps = GradCAM("conv", offset=offset)(model, x, TARGETS)
    torch.testing.assert_close(maps, (sums + offset).relu(), rtol=1e-12, atol=1e-16)
    assert 0 < (maps == 0).double().mean() < 1
    with pytest.raises(InvalidInput, match="offset"):
        GuidedGradCAM("conv", offset=float("nan"))


def test_is_rectified_first_and_then_enlarged_to_the_image_bilinearly():
    model, x = seeded(lambda: MeanOfMaps(stride=2)), images()
    small = by_hand(model, x)
    expected = F.interpolate(small, size=SHAPE[1:], mode="bilinear", align_corners=False)
    maps = GradCAM("conv")(model, x, TARGETS)
    torch.testing.assert_close(maps, expected, rtol=1e-12, atol=1e-16)
    assert maps.shape == (5, 1, *SHAPE[1:])


def test_a_class_that_every_map_speaks_against_has_an_empty_map():
    model = seeded(MeanOfMaps)
    model.head.weight.data[1] = -1
    model.conv.bias.data += 100
    assert not GradCAM("conv")(model, images(), 1).any()
    assert (GradCAM("conv", relu=False)(model, images(), 1) < 0).all()


def test_guided_grad_cam_is_the_product():
    model = seeded(ConvNet)
    product = GuidedBackprop()(model, images(), TARGETS) * GradCAM("conv2")(model, images(), TARGETS)
    torch.testing.assert_close(GuidedGradCAM("conv2")(model, images(), TARGETS), product, rtol=1e-12, atol=1e-18)


def test_guided_backprop_beside_it_does_not_guide_the_gradient_of_the_layer():
    model = seeded(ConvNet)
    guided = GuidedGradCAM("conv1")(model, images(), TARGETS)
    cam = GradCAM("conv1")(model, images(), TARGETS)
    assert not guided[(cam == 0).expand_as(guided)].any()
    recovered = guided / GuidedBackprop()(model, images(), TARGETS)
    inside = torch.isfinite(recovered) & (guided != 0)
    torch.testing.assert_close(recovered[inside], cam.expand_as(recovered)[inside], rtol=1e-10, atol=0)


class InPlace(nn.Module):
    """A ReLU in place that lets its output be overwritten, because it keeps another tensor for the backward pass."""

    def forward(self, x):
        return x.copy_(F.relu(x))


class Overwritten(nn.Module):
    """Writes into the output of `norm` at once, and reads the output of `same` by another name later."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(SHAPE[0], 3, 3)
        self.norm = nn.BatchNorm2d(3)
        self.relu = InPlace()
        self.same = nn.Identity()
        self.head = nn.Linear(3, CLASSES)

    def forward(self, x):
        x = self.relu(self.norm(self.conv(x)))
        y = self.same(x)
        x *= 2
        return self.head((x * y).mean((2, 3)))  # y is x: (2 relu)²

    def tail(self, name, value):
        if name == "norm":
            value = value.relu()
        return self.head((2 * value).square().mean((2, 3)))


@pytest.mark.parametrize("name", ["norm", "relu", "same"])
@pytest.mark.parametrize("method", [GradCAM, GuidedGradCAM])
def test_a_layer_whose_output_is_overwritten_is_seen_as_it_was(name, method):
    model, x = seeded(Overwritten).eval(), images()
    before = model.norm(model.conv(x)).detach()
    value = (before if name == "norm" else before.relu()).requires_grad_()
    gradient = torch.autograd.grad(model.tail(name, value).gather(1, TARGETS[:, None]).sum(), value)[0]
    cam = (gradient.mean((2, 3), keepdim=True) * value.detach()).sum(1, keepdim=True).relu()
    expected = F.interpolate(cam, size=SHAPE[1:], mode="bilinear", align_corners=False)
    if method is GuidedGradCAM:
        expected = expected * GuidedBackprop()(model, x, TARGETS)
    torch.testing.assert_close(method(name)(model, x, TARGETS), expected, rtol=1e-12, atol=1e-16)


class Awkward(ConvNet):
    """A network with layers that are no place for Grad-CAM."""

    def __init__(self) -> None:
        super().__init__()
        self.unused = nn.Conv2d(SHAPE[0], 3, 1)
        self.idle = nn.Conv2d(SHAPE[0], 3, 1)
        self.constant = nn.Conv2d(1, 3, 1)
        self.pair = Pair()

    def forward(self, x):
        self.idle(x)
        self.constant(torch.ones_like(x[:, :1]))
        return super().forward(self.pair(x)[0])


class Pair(nn.Module):
    def forward(self, x):
        return x * 1, x


@pytest.mark.parametrize(
    ("layer", "error", "message"),
    [
        ("conv9", UnknownName, "did you mean 'conv"),
        ("", UnknownName, "no layer of Awkward is called ''"),
        ("conv", UnknownName, "no layer of Awkward is called 'conv'"),  # a part of a name is not a name
        ("relu", ModelError, "'relu' of Awkward is called 2 times"),
        ("unused", ModelError, "'unused' of Awkward is called 0 times"),
        ("idle", ModelError, "do not depend on layer 'idle'"),
        ("constant", ModelError, "'constant' of Awkward does not depend on the input"),
        ("pair", ModelError, "'pair' of Awkward returns a tuple"),
        ("head", ModelError, r"'head' of Awkward returns shape \(1, 4\)"),
    ],
)
@pytest.mark.parametrize("method", [GradCAM, GuidedGradCAM])
def test_a_layer_that_has_no_map_is_refused(method, layer, error, message):
    with pytest.raises(error, match=message):
        method(layer)(seeded(Awkward), images(), TARGETS, chunk=5)


def test_a_view_that_is_overwritten_is_refused_rather_than_misread():
    class PreparedModel(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(198, 18)
            self.fold = nn.Unflatten(1, (2, 3, 3))
            self.head = nn.Linear(18, CLASSES)

        def forward(self, x):
            x = self.fold(self.linear(x.flatten(1)))
            x.mul_(3)
            return self.head(x.flatten(1))

    with pytest.raises(ModelError, match="its output is a view that the model overwrites"):
        GradCAM("fold", layout="nchw")(seeded(PreparedModel), images(), TARGETS)


@pytest.mark.parametrize("method", [GradCAM("conv1"), GuidedGradCAM("conv1")])
def test_needs_pictures(method):
    with pytest.raises(InvalidInput, match=r"\(batch, channel, height, width\), got \(3, 7\)"):
        method(seeded(ConvNet), images(3, (7,)), 0)
