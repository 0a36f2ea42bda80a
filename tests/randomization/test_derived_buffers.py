"""Buffers computed from weights follow the new weights, or the model is refused."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations, parametrize, spectral_norm, weight_norm

from probatum.errors import ModelError
from probatum.randomization import Identity, Moments, Randomizer, Reset, automatic_stages

IMAGES = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(1))


def trained(build, *arguments) -> nn.Module:
    """A network whose power iterations have converged."""
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        model = build(*arguments).train()
        with torch.no_grad():
            for _ in range(30):
                model(torch.randn(2, 3, 8, 8))
    return model.eval()


def network(norm) -> nn.Module:
    return nn.Sequential(
        norm(nn.Conv2d(3, 16, 3)),
        nn.ReLU(),
        norm(nn.ConvTranspose2d(16, 12, 3)),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        norm(nn.Linear(12, 10)),
    )


def norms(model: nn.Module) -> list[float]:
    """The largest singular values by numpy's norm of the effective weights, output channels first."""
    model(IMAGES)  # the older form computes its weight in the forward pass
    found = []
    for place in (0, 2, 5):
        weight = model[place].weight.detach()
        weight = weight.transpose(0, 1) if isinstance(model[place], nn.ConvTranspose2d) else weight
        found.append(float(torch.linalg.matrix_norm(weight.flatten(1).double(), 2)))
    return found


@pytest.mark.parametrize("initializer", [Reset(), Moments()])
@pytest.mark.parametrize("norm", [spectral_norm, parametrizations.spectral_norm])
def test_spectral_norms_are_one_after_randomization(norm, initializer):
    model = trained(network, norm)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    plan = automatic_stages(model, IMAGES)
    randomizer = Randomizer(model, plan, initializer, seed=3)
    for step in randomizer.steps():
        drawn = norms(step.model)[3 - step.number :]
        assert drawn == pytest.approx([1] * step.number, abs=1e-5)
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    states = {entry.name: entry.state for entry in randomizer.account()}
    assert sum(state == "recomputed" for state in states.values()) == 6


@pytest.mark.parametrize("norm", [spectral_norm, parametrizations.spectral_norm])
def test_layers_that_are_not_drawn_keep_their_vectors(norm):
    model = trained(network, norm)
    first = Randomizer(model, automatic_stages(model, IMAGES), Reset()).model(1)
    kept = [name for name, _ in model.named_buffers() if not name.startswith("5")]
    assert all(torch.equal(first.get_buffer(name), model.get_buffer(name)) for name in kept)
    control = Randomizer(model, automatic_stages(model, IMAGES), Identity()).model(3)
    assert torch.equal(control(IMAGES), model(IMAGES))


@pytest.mark.filterwarnings("ignore:.*weight_norm:FutureWarning")
@pytest.mark.parametrize("norm", [weight_norm, parametrizations.weight_norm])
def test_weight_norm_has_no_state_to_recompute(norm):
    model = trained(network, norm)
    drawn = Randomizer(model, automatic_stages(model, IMAGES), Moments()).model(3)
    model(IMAGES), drawn(IMAGES)
    for place in (0, 2, 5):
        a, b = (each[place].weight.detach().flatten() for each in (model, drawn))
        assert abs(float(torch.corrcoef(torch.stack([a, b]))[0, 1])) < 0.4


class Cached(nn.Module):
    """A linear layer that reads a buffer made from its weight."""

    def __init__(self, make) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(10, 192))
        self.register_buffer("cached", make(self.weight.detach()))

    def forward(self, x: Tensor) -> Tensor:
        used = self.cached if self.cached.ndim == 2 else self.weight / (self.weight.T @ self.cached).norm()
        return x.flatten(1) @ (used + 0 * self.weight).T


def test_a_copy_of_a_weight_is_copied_again():
    model = trained(Cached, Tensor.clone)
    drawn = Randomizer(model, automatic_stages(model, IMAGES), Moments()).model(1)
    assert torch.equal(drawn.cached, drawn.weight)
    assert not torch.equal(drawn.weight, model.weight)


def standardized(weight: Tensor) -> Tensor:
    return (weight - weight.mean(1, keepdim=True)) / weight.std(1, keepdim=True)


def first_singular_vector(weight: Tensor) -> Tensor:
    return torch.linalg.svd(weight).U[:, 0]


@pytest.mark.parametrize("make", [standardized, first_singular_vector])
def test_other_buffers_made_from_weights_are_refused(make):
    model = trained(Cached, make)
    with pytest.raises(ModelError, match=r"cached of Cached .* weight"):
        Randomizer(model, automatic_stages(model, IMAGES), Moments())


def test_the_state_of_an_unknown_parametrization_is_refused():
    class Shift(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("base", torch.randn(10, 192))

        def forward(self, weight: Tensor) -> Tensor:
            return weight + self.base

    model = nn.Sequential(nn.Flatten(), nn.Linear(192, 10))
    parametrize.register_parametrization(model[1], "weight", Shift())
    with pytest.raises(ModelError, match="base"):
        Randomizer(model.eval(), automatic_stages(model, IMAGES), Moments())


def test_buffers_that_no_weight_explains_are_kept():
    class Positions(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("sine", torch.sin(torch.arange(192.0)))
            self.head = nn.Linear(192, 10)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(x.flatten(1) + self.sine)

    model = trained(Positions)
    drawn = Randomizer(model, automatic_stages(model, IMAGES), Moments()).model(1)
    assert torch.equal(drawn.sine, model.sine)
