"""DeepLIFT: closed forms, completeness on torchvision's networks, agreement with Captum where Captum is right."""

import pytest
import torch
from attributions.zoo import ZOO, zoo_image, zoo_net
from nets import CLASSES, PROBE, SHAPE, CallCounter, ConvNet, Linear, Perceptron, Power, images, seeded
from torch import nn

from probatum import attribute
from probatum.attributions import DeepLIFT, Gradient, InputXGradient, IntegratedGradients, SmoothGrad
from probatum.attributions.baselines import as_baseline
from probatum.errors import InvalidInput

TARGETS = torch.tensor([0, 3, 1, 2, 1])
BASELINES = ["zero", "mean", "blurred"]


@pytest.mark.parametrize("baseline", BASELINES)
def test_of_a_linear_model_is_the_way_times_the_weights(baseline):
    model, x = seeded(Linear), images()
    weights = model.linear.weight[TARGETS].detach().reshape(x.shape)
    way = x - as_baseline(baseline)(x)
    torch.testing.assert_close(DeepLIFT(baseline)(model, x, TARGETS), way * weights, rtol=1e-14, atol=1e-16)
    local = DeepLIFT(baseline, multiply_by_inputs=False)(model, x, TARGETS)
    torch.testing.assert_close(local, weights, rtol=1e-14, atol=0)


@pytest.mark.parametrize("baseline", BASELINES)
@pytest.mark.parametrize("power", [2, 3, 4])
def test_of_a_sum_of_powers_is_the_difference_of_powers(power, baseline):
    model, x = seeded(lambda: Power(power)), images()
    start = as_baseline(baseline)(x)
    a = model.coefficients[TARGETS].detach().reshape(x.shape)
    expected = a * (x**power - start**power)
    torch.testing.assert_close(DeepLIFT(baseline)(model, x, TARGETS), expected, rtol=1e-11, atol=1e-13)


def test_from_zero_on_a_rectifier_network_without_biases_is_input_times_gradient():
    model, x = seeded(Perceptron), images()
    expected = InputXGradient()(model, x, TARGETS)
    torch.testing.assert_close(DeepLIFT()(model, x, TARGETS), expected, rtol=1e-12, atol=1e-16)


def test_the_papers_first_example():
    # Figure 1 of the paper: y = i1 + i2 up to 1 and 1 beyond, as 1 − relu(1 − i1 − i2); its gradient at (1, 1) is 0.
    class Saturated(nn.Module):
        def forward(self, x):
            return 1 - torch.relu(1 - x.sum(1, keepdim=True))

    x = torch.tensor([[1.0, 1.0]])
    assert Gradient()(Saturated(), x, 1).tolist() == [[0, 0]]
    assert DeepLIFT()(Saturated(), x, 1).tolist() == [[0.5, 0.5]]


def test_local_times_the_way_is_global():
    model, x = seeded(ConvNet), images()
    whole, local = DeepLIFT("mean"), DeepLIFT("mean", multiply_by_inputs=False)
    maps, factors = whole(model, x, TARGETS), local(model, x, TARGETS)
    torch.testing.assert_close(factors * (x - x.mean((2, 3), keepdim=True)), maps, rtol=1e-12, atol=1e-16)
    deltas = [each.convergence_delta(model, x, TARGETS, found) for each, found in [(whole, maps), (local, factors)]]
    torch.testing.assert_close(*deltas, rtol=0, atol=1e-15)


def test_global_and_local_share_their_model_calls():
    counter, x = CallCounter(seeded(ConvNet)), images()
    methods = {"global": DeepLIFT(), "local": DeepLIFT(multiply_by_inputs=False), "gradient": Gradient()}
    attribute(counter, x, TARGETS, methods, chunk=5)
    assert counter.calls == [*PROBE, 5, 5, 5]


def test_the_delta_reports_what_is_missing():
    model, x = seeded(ConvNet), images()
    maps = DeepLIFT()(model, x, None)
    maps[2, 0, 0, 0] += 0.25
    delta = DeepLIFT().convergence_delta(model, x, None, maps, memory_budget="1 MiB")
    expected = torch.tensor([0, 0, 0.25, 0, 0], dtype=torch.float64)
    torch.testing.assert_close(delta, expected, rtol=0, atol=1e-14)


@pytest.mark.parametrize("precision", ["float32", "bfloat16", "float64"])
def test_every_precision_passes_its_own_check(precision):
    model, x = seeded(ConvNet, dtype=torch.float32), images(dtype=torch.float32)
    exact = DeepLIFT()(model, x, TARGETS, precision="float64")
    maps = DeepLIFT()(model, x, TARGETS, precision=precision)
    tolerance = {"float32": 1e-5, "bfloat16": 0.2, "float64": 0}[precision]  # bfloat16 has 8 bits, and argmaxes switch
    assert float((maps - exact).abs().max()) <= tolerance * float(exact.abs().max())


def test_under_smoothgrad_every_noisy_image_is_compared_with_the_one_baseline():
    model, x = seeded(lambda: Power(2)), images()
    method = SmoothGrad(DeepLIFT(), samples=200, noise_fraction=0.1)
    sigma = 0.1 * (x.flatten(1).amax(1) - x.flatten(1).amin(1)).reshape(-1, 1, 1, 1)
    a = model.coefficients[TARGETS].detach().reshape(x.shape)
    noise = method(model, x, TARGETS) / a - x**2  # the mean of 2 x σ ε + σ² ε²
    expected = sigma**2
    spread = ((4 * x**2 * sigma**2 + 2 * sigma**4) / 200).sqrt()
    assert float(((noise - expected) / spread).abs().max()) < 5


# ---------------------------------------------------------------- completeness of torchvision's networks

NETS = [*ZOO, "resnet50"]


@pytest.mark.parametrize("name", NETS)
def test_is_complete_on_torchvisions_networks(name):
    model, image = zoo_net(name), zoo_image("resnet18" if name == "resnet50" else name)
    x = torch.cat([image, image.flip(3) * 1.5])
    start = torch.linspace(-0.5, 0.5, image.numel(), dtype=torch.float64).reshape(image.shape)
    targets = model(x).argmax(1)  # SqueezeNet ends in a ReLU, so that most of its logits never change
    maps = DeepLIFT(start)(model, x, targets)
    change = (model(x) - model(start)).gather(1, targets[:, None])[:, 0]
    assert float(change.abs().min()) > 1e-3
    assert float(((maps.flatten(1).sum(1) - change) / change).abs().max()) < 1e-9


# ---------------------------------------------------------------- Captum


class Tame(nn.Module):
    """What Captum is right on: every module used once, no two non-linear ones adjacent, windows that do not overlap."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(SHAPE[0], 6, 3, padding=1),
            nn.BatchNorm2d(6),
            nn.ReLU(),
            nn.Conv2d(6, 6, 3, padding=1),
            nn.MaxPool2d(2),
            nn.Conv2d(6, 8, 3, padding=1),
            nn.Sigmoid(),
            nn.Conv2d(8, 8, 3),
            nn.LeakyReLU(0.1),
            nn.AvgPool2d(2),
            nn.Flatten(),
            nn.Linear(8, 12),
            nn.Tanh(),
            nn.Linear(12, 12),
            nn.ELU(),
            nn.Linear(12, CLASSES),
        )
        nn.init.normal_(self.layers[1].running_mean)

    def forward(self, x):
        return self.layers(x)


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("multiply", [True, False])
@pytest.mark.parametrize("baseline", ["zero", "mean"])
def test_agrees_with_captum_where_captum_is_right(baseline, multiply):
    attr = pytest.importorskip("captum.attr")
    model, x = seeded(Tame).eval(), images()
    start = as_baseline(baseline)(x).clone()
    expected = attr.DeepLift(model, multiply_by_inputs=multiply).attribute(x, start, TARGETS)
    maps = DeepLIFT(baseline, multiply_by_inputs=multiply)(model, x, TARGETS)
    torch.testing.assert_close(maps, expected.detach(), rtol=0, atol=1e-11 * float(expected.abs().max()))
    integrated = IntegratedGradients(20, baseline, multiply_by_inputs=multiply)(model, x, TARGETS)
    assert not torch.allclose(maps, integrated, rtol=1e-3)


# ---------------------------------------------------------------- bad baselines


@pytest.mark.parametrize(
    ("baseline", "message"),
    [
        (torch.zeros(3, 11, 9), r"shape \(3, 11, 9\), which does not fit images of \(5, 2, 11, 9\)"),
        (torch.zeros(4, *SHAPE), r"shape \(4, 2, 11, 9\), which does not fit"),
        (torch.full(SHAPE, torch.nan), "the baseline has NaN or infinite values"),
        (lambda x: x / 0, "the baseline has NaN or infinite values"),
        (lambda x: x[:, :1], r"the baselines have shape \(5, 1, 11, 9\), the images \(5, 2, 11, 9\)"),
        ("white", "no baseline is called 'white'"),
    ],
)
def test_a_baseline_that_does_not_fit_is_refused(baseline, message):
    with pytest.raises(InvalidInput, match=message):
        DeepLIFT(baseline)(seeded(ConvNet), images(), 0)
