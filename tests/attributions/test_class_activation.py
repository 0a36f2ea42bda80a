"""Grad-CAM++, HiResCAM and LayerCAM on networks whose maps are known, and beside pytorch-grad-cam."""

import pytest
import torch
from nets import CLASSES, SHAPE, ConvNet, images, seeded
from torch import nn
from torch.nn import functional as F

from probatum.attributions import GradCAM, GradCAMPlusPlus, HiResCAM, LayerCAM

TARGETS = torch.tensor([0, 3, 1, 2, 1])
PLACES = SHAPE[1] * SHAPE[2]


class MeanOfReLUs(nn.Module):
    """S_c = Σ_k v_ck mean(A_k) + b_c with A = relu(conv(x)): ∂ S_c / ∂ A_k,ij is v_ck / (height · width)."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(SHAPE[0], 3, 3, padding=1)
        self.relu = nn.ReLU()
        self.head = nn.Linear(3, CLASSES)

    def forward(self, x):
        return self.head(self.relu(self.conv(x)).mean((2, 3)))

    def parts(self, x):
        """A (batch, 3, height, width) and its gradient (batch, 3, 1, 1)."""
        return self.conv(x).relu().detach(), self.head.weight[TARGETS].detach()[:, :, None, None] / PLACES


@pytest.fixture(scope="module")
def model():
    return seeded(MeanOfReLUs)


def assert_equal_up_to_rounding(maps, expected):
    torch.testing.assert_close(maps, expected, rtol=1e-12, atol=1e-15)


def test_grad_cam_plus_plus_of_constant_gradients(model):
    a, g = model.parts(images())
    weights = PLACES * g.relu() / (2 + g.relu() * a.sum((2, 3), keepdim=True))
    expected = (weights * a).sum(1, keepdim=True)
    assert_equal_up_to_rounding(GradCAMPlusPlus("relu")(model, images(), TARGETS), expected)
    assert (g < 0).any()


def test_layer_cam_of_constant_gradients(model):
    a, g = model.parts(images())
    assert_equal_up_to_rounding(LayerCAM("relu")(model, images(), TARGETS), (g.relu() * a).sum(1, keepdim=True))


def test_hires_cam_is_grad_cam_where_the_mean_of_the_places_is_read_linearly(model):
    maps = HiResCAM("relu")(model, images(), TARGETS)
    assert_equal_up_to_rounding(maps, GradCAM("relu", relu=False)(model, images(), TARGETS))
    assert maps.min() < 0
    assert_equal_up_to_rounding(HiResCAM("relu", relu=True)(model, images(), TARGETS), maps.relu())


def test_hires_cam_sums_to_the_logit_less_its_bias_where_a_linear_layer_follows():
    model = seeded(
        lambda: nn.Sequential(nn.Conv2d(SHAPE[0], 5, 3, padding=1), nn.Flatten(), nn.Linear(5 * PLACES, CLASSES))
    )
    rise = model(images())[range(5), TARGETS] - model[2].bias[TARGETS]
    torch.testing.assert_close(HiResCAM("0")(model, images(), TARGETS).sum((1, 2, 3)), rise, rtol=1e-12, atol=1e-12)
    assert (GradCAM("0", relu=False)(model, images(), TARGETS).sum((1, 2, 3)) - rise).abs().min() > 1e-3


def test_a_logit_that_overflows_the_exponential_function_leaves_grad_cam_plus_plus_finite(model):
    large = seeded(MeanOfReLUs, dtype=torch.float32)
    large.head.bias.data += 1e4
    maps = GradCAMPlusPlus("relu")(large, images(dtype=torch.float32), TARGETS)
    expected = GradCAMPlusPlus("relu")(model, images(), TARGETS)
    torch.testing.assert_close(maps.double(), expected, rtol=1e-4, atol=1e-6)  # float32


class Parts(nn.Module):
    """ConvNet in two, so that pytorch-grad-cam can read what the last ReLU returns."""

    def __init__(self, scale: float) -> None:
        super().__init__()
        self.net = seeded(ConvNet).eval()
        self.last = nn.ReLU()
        self.scale = scale

    def forward(self, x):
        net = self.net
        x = net.pool(F.relu(net.bn1(net.conv1(x))))
        x = self.last(net.conv3(F.relu(net.conv2(x) + x)))
        return self.scale * net.head(x.mean((2, 3)).square())


def of_pytorch_grad_cam(name, model):
    """The map of a class of pytorch-grad-cam before it is cut at zero, scaled to [0, 1] and enlarged by OpenCV."""
    library = pytest.importorskip("pytorch_grad_cam", reason="the extra bench is not installed")
    x = model.net.pool(F.relu(model.net.bn1(model.net.conv1(images()))))
    a = F.relu(model.net.conv3(F.relu(model.net.conv2(x) + x))).detach().requires_grad_()
    logits = model.scale * model.net.head(a.mean((2, 3)).square())
    (g,) = torch.autograd.grad(logits[range(5), TARGETS].sum(), a)
    with getattr(library, name)(model, [model.last]) as cam:
        return torch.as_tensor(cam.get_cam_image(None, None, None, a.detach().numpy(), g.numpy(), False))[:, None]


def enlarged(cam):
    return F.interpolate(cam, size=SHAPE[1:], mode="bilinear", align_corners=False)


@pytest.mark.extra
@pytest.mark.parametrize("method", [HiResCAM("last"), LayerCAM("last"), GradCAMPlusPlus("last")], ids=str)
def test_equals_pytorch_grad_cam_before_it_scales_the_map(method):
    model = Parts(1e6)  # so that its 1e-6 in the denominators of Grad-CAM++ does not matter
    expected = enlarged(of_pytorch_grad_cam(type(method).__name__, model))
    torch.testing.assert_close(
        method(model, images(), TARGETS), expected, rtol=1e-6, atol=1e-8 * float(expected.abs().max())
    )


@pytest.mark.extra
def test_small_gradients_vanish_in_the_constant_that_pytorch_grad_cam_adds_to_their_squares():
    """With g = 1e-4, 1e-6 outweighs 2 g², and its weights fall with g³ where the paper's fall with g."""
    small, smaller = Parts(1e-4), Parts(1e-5)
    theirs = [of_pytorch_grad_cam("GradCAMPlusPlus", model).sum() for model in (small, smaller)]
    ours = [GradCAMPlusPlus("last")(model, images(), TARGETS).sum() for model in (small, smaller)]
    assert float(ours[0] / ours[1]) == pytest.approx(10, rel=1e-2)
    assert float(theirs[0] / theirs[1]) > 900
