import math

import pytest
import torch
from torch import nn

from probatum.errors import InvalidInput, ModelError, UnknownName
from probatum.randomization import (
    INITIALIZERS,
    Identity,
    Initializer,
    Kaiming,
    Moments,
    Normal,
    Permutation,
    Reset,
    TruncatedNormal,
    Xavier,
    initializer,
    stream,
)

SIZE = (300, 500)
LARGE = nn.Linear(SIZE[1], SIZE[0])
TRAINED = 0.3 + 0.7 * torch.randn(SIZE, generator=torch.Generator().manual_seed(2))
MODULES = {
    "convolution": (nn.Conv2d(4, 6, 3), "weight"),
    "convolution bias": (nn.Conv2d(4, 6, 3), "bias"),
    "norm scale": (nn.BatchNorm2d(6), "weight"),
    "norm bias": (nn.BatchNorm2d(6), "bias"),
    "layer norm of an image": (nn.LayerNorm((2, 3, 4)), "weight"),
    "attention": (nn.MultiheadAttention(8, 2), "in_proj_weight"),
    "attention bias": (nn.MultiheadAttention(8, 2), "in_proj_bias"),
    "recurrent": (nn.LSTM(4, 3), "weight_hh_l0"),
    "embedding": (nn.Embedding(7, 3), "weight"),
    "slopes": (nn.PReLU(5), "weight"),
    "one number": (nn.Linear(3, 1), "bias"),
}


def draw(how: Initializer, trained=TRAINED, module: nn.Module = LARGE, name: str = "weight", key: str = "x"):
    return how(module, name, trained, stream(0, 0, key))


@pytest.mark.parametrize(
    ("how", "mean", "spread"),
    [
        (Moments(), 0.3, 0.7),
        (Normal(0.01), 0.0, 0.01),
        # of a normal distribution cut at two standard deviations
        (
            TruncatedNormal(0.02),
            0.0,
            0.02 * math.sqrt(1 - 4 * math.exp(-2) / math.sqrt(2 * math.pi) / math.erf(2**0.5)),
        ),
        (Xavier(), 0.0, math.sqrt(2 / 800)),
        (Xavier("normal"), 0.0, math.sqrt(2 / 800)),
        (Kaiming(), 0.0, math.sqrt(2 / 500)),
        (Kaiming("uniform", "fan_out"), 0.0, math.sqrt(2 / 300)),
        (Reset(), 0.0, math.sqrt(1 / 500 / 3)),
    ],
    ids=str,
)
def test_mean_and_spread_of_a_large_tensor(how, mean, spread):
    values = draw(how)
    # 150,000 draws: six standard errors of the mean, and about six of the standard deviation.
    assert abs(float(values.mean()) - mean) < 6 * spread / math.sqrt(values.numel())
    assert float(values.std()) == pytest.approx(spread, rel=0.012)
    assert values.shape == SIZE


def test_moments_are_those_of_this_tensor():
    pulled = draw(Moments(), TRAINED * 3)
    torch.testing.assert_close(pulled, 3 * draw(Moments()), rtol=1e-6, atol=1e-6)  # float32 rounding of TRAINED * 3


def test_truncated_draws_stay_within_two_standard_deviations():
    assert float(draw(TruncatedNormal(0.5)).abs().max()) <= 1.0


def test_uniform_and_normal_differ_in_their_tails():
    assert float(draw(Xavier()).abs().max()) <= math.sqrt(6 / 800)
    assert float(draw(Xavier("normal")).abs().max()) > math.sqrt(6 / 800)


def test_permutation_keeps_the_values():
    values = draw(Permutation())
    assert torch.equal(values.flatten().sort().values, TRAINED.flatten().sort().values)
    assert float((values == TRAINED).double().mean()) < 0.001


def test_identity_is_a_copy():
    values = draw(Identity())
    assert torch.equal(values, TRAINED)
    assert values.data_ptr() != TRAINED.data_ptr()


@pytest.mark.parametrize("name", INITIALIZERS)
@pytest.mark.parametrize("kind", MODULES)
def test_laws_of_every_initializer(name, kind):
    how = initializer(name)
    module, parameter = MODULES[kind]
    shape = getattr(module, parameter).shape
    trained = 0.5 + torch.randn(shape, generator=torch.Generator().manual_seed(3))
    before, state = trained.clone(), torch.get_rng_state()
    weights = {key: tensor.clone() for key, tensor in module.state_dict().items()}
    values = [how(module, parameter, trained, stream(seed, 0, parameter)) for seed in (0, 0, 1)]
    doubles = how(module, parameter, trained.double(), stream(0, 0, parameter))
    assert torch.equal(values[0], values[1])
    constant = name == "identity" or torch.equal(values[0].float(), trained) or values[0].unique().numel() == 1
    assert constant or not torch.equal(values[0], values[2])
    torch.testing.assert_close(values[0].double(), doubles, rtol=1e-12, atol=1e-12)
    assert torch.equal(trained, before)
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(tensor, weights[key]) for key, tensor in module.state_dict().items())
    assert how.rule(module, parameter, trained)


@pytest.mark.parametrize("how", [Xavier(), Kaiming(), Reset()], ids=["xavier", "kaiming", "reset"])
@pytest.mark.parametrize(
    ("kind", "value"),
    [("norm scale", 1.0), ("norm bias", 0.0), ("layer norm of an image", 1.0), ("attention bias", 0.0)],
)
def test_vectors_start_where_torch_layers_start(how, kind, value):
    module, name = MODULES[kind]
    trained = getattr(module, name).detach() + 3
    assert torch.equal(draw(how, trained, module, name).unique(), torch.tensor([value], dtype=torch.float64))


@pytest.mark.parametrize("how", [Xavier(), Kaiming()], ids=["xavier", "kaiming"])
def test_biases_are_zero_and_other_vectors_keep_their_moments(how):
    assert not draw(how, torch.ones(6), MODULES["convolution"][0], "bias").any()
    slopes = torch.linspace(0.0, 1.0, 5000)
    values = draw(how, slopes, nn.PReLU(5000), "weight")
    assert float(values.mean()) == pytest.approx(0.5, abs=0.02)
    assert how.rule(nn.PReLU(5000), "weight", slopes) == "Moments"


@pytest.mark.parametrize("how", [Normal(0.01), TruncatedNormal(0.01)], ids=["normal", "truncated"])
def test_norm_scales_are_centered_at_one(how):
    scales = draw(how, torch.full((5000,), 7.0), nn.LayerNorm(5000))
    assert float(scales.mean()) == pytest.approx(1.0, abs=0.001)
    assert float(scales.std()) < 0.011


def test_constants_stay_and_single_numbers_do_not():
    assert torch.equal(draw(Moments(), torch.full((4, 4), 2.5)).unique(), torch.tensor([2.5], dtype=torch.float64))
    numbers = torch.stack([draw(Moments(), torch.tensor(2.0), key=str(key)) for key in range(2000)])
    assert float(numbers.std()) == pytest.approx(2.0, rel=0.1)  # six standard errors of 2000 draws


def test_bfloat16_weights_have_float64_moments():
    values = draw(Moments(), torch.full(SIZE, 1000.0).bfloat16() + TRAINED.bfloat16())
    assert values.dtype == torch.float64


class Token(nn.Module):
    """Owns a weight that its reset sets and a token that it forgets."""

    def __init__(self, width: int = 4) -> None:
        super().__init__()
        self.token = nn.Parameter(torch.randn(1, 1, width))
        self.weight = nn.Parameter(torch.randn(width, width))

    def reset_parameters(self) -> None:
        nn.init.uniform_(self.weight, 2.0, 3.0)


def test_reset_runs_the_layers_own_method():
    values = draw(Reset(None), torch.zeros(4, 4), Token(), "weight")
    assert 2.0 <= float(values.min()) < float(values.max()) <= 3.0
    assert Reset().rule(Token(), "weight", torch.zeros(4, 4)) == "Token.reset_parameters"
    attention, name = MODULES["attention"]
    assert Reset().rule(attention, name, torch.zeros(24, 8)) == "MultiheadAttention._reset_parameters"


def test_what_reset_leaves_alone_is_drawn_by_the_fallback_or_refused():
    trained = torch.full((1, 1, 400), 5.0) + torch.randn(1, 1, 400)
    assert float(draw(Reset(), trained, Token(400), "token").mean()) == pytest.approx(5.0, abs=0.5)
    assert Reset().rule(Token(400), "token", trained) == "fallback: Moments"
    assert Reset(None).rule(Token(400), "token", trained) == "refused"
    assert not draw(Reset(Xavier()), torch.ones(4), nn.ParameterList([torch.ones(4)]), "bias").any()
    with pytest.raises(ModelError, match="Token has no reset_parameters that sets 'token'"):
        draw(Reset(None), trained, Token(400), "token")


def test_a_reset_that_fails_is_named_and_leaves_the_random_state():
    class Broken(Token):
        def reset_parameters(self) -> None:
            torch.rand(3)
            raise KeyError("gain")

    module, state = Broken(), torch.get_rng_state()
    with pytest.raises(ModelError, match=r"Broken\.reset_parameters failed: 'gain'"):
        draw(Reset(), torch.zeros(4, 4), module, "weight")
    assert torch.equal(torch.get_rng_state(), state)


def test_a_wrong_draw_is_refused():
    class Nan(Initializer):
        def _draw(self, module, name, trained, generator):
            return trained / 0 * 0

    with pytest.raises(ModelError, match="'weight' of Linear"):
        draw(Nan())


@pytest.mark.parametrize("build", [lambda: Normal(0.0), lambda: TruncatedNormal(-1.0), lambda: Normal(math.nan)])
def test_a_wrong_spread_is_refused(build):
    with pytest.raises(InvalidInput, match="must be positive"):
        build()


def test_unknown_names_are_refused():
    with pytest.raises(UnknownName, match="did you mean 'moments'"):
        initializer("moment")
