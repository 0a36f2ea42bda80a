"""Initializers: how one parameter is re-drawn.

Numbers are drawn on the CPU in float64 and rounded by the randomizer to the parameter's dtype: a model gets the same
weights on every device, and its float64 copy gets the same up to rounding. Terms for parameters that are not matrices:
a *norm scale* is the weight of a normalization layer; a *bias* has "bias" in its name and belongs to a normalization
layer or has fewer than two dimensions; any other tensor of fewer than two dimensions (PReLU slopes) is a *vector*.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Literal, get_args

import torch
from jaxtyping import Float
from torch import Tensor, nn

from probatum.engine.copying import copy_model
from probatum.errors import InvalidInput, ModelError, UnknownName

Role = Literal["matrix", "bias", "norm scale", "vector"]
Distribution = Literal["uniform", "normal"]
Fan = Literal["fan_in", "fan_out"]


class Initializer(ABC):
    """Re-draws a parameter. Subclasses implement `_draw` and can be used wherever the ones below can."""

    def __call__(
        self, module: nn.Module, name: str, trained: Float[Tensor, "*shape"], generator: torch.Generator
    ) -> Float[Tensor, "*shape"]:
        """Draw a new tensor.

        Args:
            module: the module that owns the parameter; not changed.
            name: of the parameter in that module.
            trained: its trained values; not changed.
            generator: on the CPU; the only source of randomness.

        Returns:
            A new tensor of the same shape, of any floating-point dtype and on any device.

        Raises:
            ModelError: the drawn tensor has another shape or numbers that are not finite.
        """
        value = self._draw(module, name, trained, generator)
        if value.shape != trained.shape or not bool(value.isfinite().all()):
            raise ModelError(
                f"{self} gives {name!r} of {type(module).__name__}, shape {tuple(trained.shape)}, "
                f"numbers of shape {tuple(value.shape)} that should have its shape and be finite"
            )
        return value

    @abstractmethod
    def _draw(self, module: nn.Module, name: str, trained: Tensor, generator: torch.Generator) -> Tensor:
        """Draw without checks."""

    def rule(self, module: nn.Module, name: str, trained: Float[Tensor, "*shape"]) -> str:
        """Describe in a few words how this parameter is drawn."""
        return type(self).__name__


@dataclass(frozen=True)
class Moments(Initializer):
    """N(m, s²) with the mean m and standard deviation s of the parameter's own trained values.

    Source: Wienecke & Hinrichs (2021), section 2.2. A constant tensor has s = 0 and does not change. A single number
    has no standard deviation and would not change either, so it is drawn with s = |m|.
    """

    def _draw(self, module: nn.Module, name: str, trained: Tensor, generator: torch.Generator) -> Tensor:
        values = trained.double().cpu()
        spread = values.std(correction=0) if values.numel() > 1 else values.abs()
        return values.mean() + spread * _normal(values.shape, generator)


@dataclass(frozen=True)
class Reset(Initializer):
    """The layer's own initialization: `reset_parameters` or `_reset_parameters`, called on a copy.

    Source: Adebayo et al. (2018), arXiv 1810.03292. If a module has no such method, or the method does not set the
    parameter (class tokens, position embeddings, layer scales, position-bias tables, parametrized weights), its
    original initialization is unknown, and the fallback draws it.

    Args:
        fallback: draws what cannot be reset; None raises ModelError instead.

    Raises:
        ModelError: on call, if the reset fails, or if nothing resets the parameter and there is no fallback.

    Differs from the paper:
        1. The initialization is that of the torch layer, not that of the paper's TensorFlow graph, nor what a model's
           constructor does afterwards (torchvision's ResNet overwrites its convolutions with Kaiming weights).
    """

    fallback: Initializer | None = field(default_factory=Moments)

    def _draw(self, module: nn.Module, name: str, trained: Tensor, generator: torch.Generator) -> Tensor:
        value = _after_reset(module, name, generator)
        if value is not None:
            return value
        if self.fallback is None:
            raise ModelError(
                f"{type(module).__name__} has no reset_parameters that sets {name!r}; "
                "choose a fallback, for example Reset(fallback=Moments())"
            )
        return self.fallback(module, name, trained, generator)

    def rule(self, module: nn.Module, name: str, trained: Float[Tensor, "*shape"]) -> str:
        """Return the reset method's name, or the fallback's rule."""
        if _after_reset(module, name, torch.Generator()) is not None:
            return f"{type(module).__name__}.{_reset_method(module)}"
        return "refused" if self.fallback is None else f"fallback: {self.fallback.rule(module, name, trained)}"


@dataclass(frozen=True)
class Normal(Initializer):
    """N(0, std²); norm scales N(1, std²).

    Source: Shin & Nemeth (2021), section 4.2, std = 0.01.

    Args:
        std: standard deviation, in units of the weights.

    Differs from the paper:
        1. Its networks have no normalization layers. Norm scales near 0.01 would shrink the signal a hundredfold per
           layer until gradients underflow, so they are centered at one, their value before training.
    """

    std: float = 0.01

    def __post_init__(self) -> None:
        _require_positive(self.std)

    def _draw(self, module: nn.Module, name: str, trained: Tensor, generator: torch.Generator) -> Tensor:
        return _center(module, name, trained) + self.std * _normal(trained.shape, generator)

    def rule(self, module: nn.Module, name: str, trained: Float[Tensor, "*shape"]) -> str:
        """Return the distribution."""
        return f"N({_center(module, name, trained):g}, {self.std:g}²)"


@dataclass(frozen=True)
class TruncatedNormal(Initializer):
    """N(0, std²), draws beyond two standard deviations drawn again; norm scales are centered at one.

    Source: the initialization of BERT (Devlin et al., 2019, arXiv 1810.04805) and of vision transformers, std = 0.02.

    Args:
        std: standard deviation before truncation, in units of the weights; truncation reduces it to 0.8796 of that.
    """

    std: float = 0.02

    def __post_init__(self) -> None:
        _require_positive(self.std)

    def _draw(self, module: nn.Module, name: str, trained: Tensor, generator: torch.Generator) -> Tensor:
        values = _normal(trained.shape, generator).flatten()
        while len(outside := (values.abs() > 2).nonzero().flatten()):
            values[outside] = _normal(outside.shape, generator)
        return _center(module, name, trained) + self.std * values.view(trained.shape)

    def rule(self, module: nn.Module, name: str, trained: Float[Tensor, "*shape"]) -> str:
        """Return the distribution."""
        return f"truncated N({_center(module, name, trained):g}, {self.std:g}²)"


@dataclass(frozen=True)
class _FanScaled(Initializer):
    """Base of Xavier and Kaiming. Vectors have no fans and get the values with which torch's layers start."""

    def _draw(self, module: nn.Module, name: str, trained: Tensor, generator: torch.Generator) -> Tensor:
        role = _role(module, name, trained)
        if role == "vector":
            return Moments()(module, name, trained, generator)
        values = torch.full(trained.shape, 1.0 if role == "norm scale" else 0.0, dtype=torch.float64, device="cpu")
        if role == "matrix":
            self._fill(values, generator)
        return values

    @abstractmethod
    def _fill(self, values: Tensor, generator: torch.Generator) -> None:
        """Draw a tensor of at least two dimensions in place: dimension 0 is the fan-out, dimension 1 the fan-in."""

    def rule(self, module: nn.Module, name: str, trained: Float[Tensor, "*shape"]) -> str:
        """Return the distribution or the constant."""
        others: dict[Role, str] = {"vector": "Moments", "norm scale": "one", "bias": "zero"}
        return others.get(_role(module, name, trained), str(self))


@dataclass(frozen=True)
class Xavier(_FanScaled):
    """Variance 2 / (fan-in + fan-out); biases zero, norm scales one, other vectors as `Moments` draws them.

    Source: Glorot & Bengio (2010); Kokhlikyan et al. (2021), appendix A, who do not name the distribution.

    Args:
        distribution: "uniform" or "normal".
    """

    distribution: Distribution = "uniform"

    def __post_init__(self) -> None:
        _require("distribution", self.distribution, get_args(Distribution))

    def _fill(self, values: Tensor, generator: torch.Generator) -> None:
        draw = nn.init.xavier_uniform_ if self.distribution == "uniform" else nn.init.xavier_normal_
        draw(values, generator=generator)


@dataclass(frozen=True)
class Kaiming(_FanScaled):
    """Variance 2 / fan, for layers before a ReLU; biases zero, norm scales one, other vectors as `Moments` draws them.

    Source: He et al. (2015), arXiv 1502.01852.

    Args:
        distribution: "uniform" or "normal".
        fan: "fan_in" keeps the variance of the forward pass, "fan_out" that of the backward pass.
    """

    distribution: Distribution = "normal"
    fan: Fan = "fan_in"

    def __post_init__(self) -> None:
        _require("distribution", self.distribution, get_args(Distribution))
        _require("fan", self.fan, get_args(Fan))

    def _fill(self, values: Tensor, generator: torch.Generator) -> None:
        draw = nn.init.kaiming_uniform_ if self.distribution == "uniform" else nn.init.kaiming_normal_
        draw(values, mode=self.fan, nonlinearity="relu", generator=generator)


@dataclass(frozen=True)
class Permutation(Initializer):
    """The parameter's own trained values in random order: same distribution, no structure.

    A constant tensor or a single number does not change.
    """

    def _draw(self, module: nn.Module, name: str, trained: Tensor, generator: torch.Generator) -> Tensor:
        order = torch.randperm(trained.numel(), generator=generator, device="cpu").to(trained.device)
        return trained.flatten()[order].view(trained.shape)


@dataclass(frozen=True)
class Identity(Initializer):
    """Control: weights do not change, so every score must be that of two identical maps."""

    def _draw(self, module: nn.Module, name: str, trained: Tensor, generator: torch.Generator) -> Tensor:
        return trained.clone()


def _role(module: nn.Module, name: str, trained: Tensor) -> Role:
    """Role of a parameter in its layer; a user-defined class counts as a normalization layer by its name."""
    norms = (nn.modules.batchnorm._NormBase, nn.LayerNorm, nn.GroupNorm, nn.RMSNorm)
    is_norm = isinstance(module, norms) or (trained.ndim < 2 and "norm" in type(module).__name__.lower())
    if trained.ndim >= 2 and not is_norm:
        return "matrix"
    if "bias" in name:
        return "bias"
    return "norm scale" if is_norm else "vector"


def _center(module: nn.Module, name: str, trained: Tensor) -> float:
    return 1.0 if _role(module, name, trained) == "norm scale" else 0.0


def _normal(shape: torch.Size, generator: torch.Generator) -> Tensor:
    return torch.randn(shape, generator=generator, dtype=torch.float64, device="cpu")


def _reset_method(module: nn.Module) -> str | None:
    """Return the name of the module's reset method, which is private in `nn.MultiheadAttention`."""
    names = ("reset_parameters", "_reset_parameters")
    return next((name for name in names if callable(getattr(module, name, None))), None)


def _after_reset(module: nn.Module, name: str, generator: torch.Generator) -> Tensor | None:
    """Return the parameter after resetting a copy of the module, or None if the reset does not set it."""
    method = _reset_method(module)
    if method is None:
        return None
    seed = int(torch.randint(2**62, (), generator=generator, device="cpu"))
    twin = copy_model(module, own=lambda _: True).to(device="cpu", dtype=torch.float64)
    state = torch.get_rng_state()
    try:
        # Seed the CPU's generator only: torch.manual_seed would also reseed every accelerator.
        torch.default_generator.manual_seed(seed)
        with torch.no_grad():
            for parameter in twin.parameters():
                parameter.fill_(torch.nan)  # values that stay NaN were not set
            getattr(twin, method)()
    except Exception as error:
        raise ModelError(f"{type(module).__name__}.{method} failed: {error}") from error
    finally:
        torch.set_rng_state(state)
    value = twin.get_parameter(name).detach()
    return value if bool(value.isfinite().all()) else None


def _require(kind: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise UnknownName(kind, value, choices)


def _require_positive(std: float) -> None:
    if not 0 < std < float("inf"):
        raise InvalidInput(f"the standard deviation must be positive and finite, got {std}")


INITIALIZERS: dict[str, Initializer] = {
    "moments": Moments(),
    "reset": Reset(),
    "normal": Normal(),
    "truncated-normal": TruncatedNormal(),
    "xavier": Xavier(),
    "kaiming": Kaiming(),
    "permutation": Permutation(),
    "identity": Identity(),
}


def initializer(name: str) -> Initializer:
    """Look up an initializer by its name in `INITIALIZERS`, with its default parameters."""
    _require("initializer", name, tuple(INITIALIZERS))
    return INITIALIZERS[name]
