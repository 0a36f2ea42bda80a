"""The rules of layer-wise relevance propagation at one linear layer, each a few lines on the same means."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from probatum.errors import InvalidInput

STABILIZER = 1e-6


class LinearLayer(NamedTuple):
    """A layer z = W a + b in the backward pass.

    Args:
        a: its input.
        weight: W; None for a layer without weights, such as a mean.
        bias: b, of a shape that can be added to z; None for none.
        apply: (a, W) -> W a, for any a and W of these shapes.
    """

    a: Tensor
    weight: Tensor | None
    bias: Tensor | None
    apply: Callable[[Tensor, Tensor | None], Tensor]


class Shares(NamedTuple):
    """Products that a part of the relevance is shared out by: R_i = factor · Σ_j Σ_m a_im w_mij / stab(z_j) · R_j.

    Args:
        products: pairs (a_m, w_m) of an input and a weight; z = Σ_m w_m a_m + b.
        bias: b, whose share is absorbed; None for none.
        factor: of the relevance.
        where: the outputs that take part, by the sign of the layer's own output: 1, -1, or 0 for all.
    """

    products: Sequence[tuple[Tensor, Tensor | None]]
    bias: Tensor | None = None
    factor: float = 1.0
    where: int = 0


class LayerRule(ABC):
    """How a linear layer passes the relevance of its outputs on to its inputs; subclasses are frozen dataclasses."""

    @abstractmethod
    def shares(self, layer: LinearLayer) -> Sequence[Shares]:
        """By which products the relevance is shared out."""

    @property
    def stabilizer(self) -> float:
        """The ε that keeps denominators from zero."""
        return STABILIZER

    def passed_on(self, layer: LinearLayer, relevance: Tensor) -> tuple[Tensor, Tensor]:
        """The relevance of the inputs, and the sum of what biases and stabilizers absorbed."""
        found, absorbed = torch.zeros_like(layer.a), relevance.sum(dtype=torch.float64)
        with torch.enable_grad():
            for shares in self.shares(layer):
                inputs = [a.detach().requires_grad_() for a, _ in shares.products]
                outputs = [layer.apply(a, w) for a, (_, w) in zip(inputs, shares.products, strict=True)]
                products = torch.stack([each.detach() for each in outputs]).sum(0)
                z = products if shares.bias is None else products + shares.bias
                part = shares.factor * relevance / stabilized(z, self.stabilizer)
                if shares.where:
                    part = part * (_output(layer).sign() == shares.where)
                slopes = torch.autograd.grad(outputs, inputs, [part] * len(outputs))
                for a, slope in zip(inputs, slopes, strict=True):
                    found += a.detach() * slope
                absorbed = absorbed - (part * products).sum(dtype=torch.float64)
        return found, absorbed


def stabilized(z: Tensor, epsilon: float) -> Tensor:
    """The denominator z + ε · sign(z), where sign(0) = 1."""
    return z + epsilon * torch.where(z < 0, -1.0, 1.0).to(z.dtype)


@dataclass(frozen=True)
class Epsilon(LayerRule):
    """LRP-ε, and LRP-0 for ε = 0: by the products themselves.

        R_i = Σ_j a_i w_ij / (z_j + ε · sign(z_j)) · R_j,   sign(0) = 1

    Source: Bach et al. (2015), doi:10.1371/journal.pone.0130140, equation 58.

    Args:
        epsilon: ε, in the unit of z.
    """

    epsilon: float = STABILIZER

    def __post_init__(self) -> None:
        if not 0 <= self.epsilon < float("inf"):
            raise InvalidInput(f"epsilon is {self.epsilon}; give a finite number of at least 0")

    @property
    def stabilizer(self) -> float:
        """The rule's own ε."""
        return self.epsilon

    def shares(self, layer: LinearLayer) -> Sequence[Shares]:
        """The products as they are."""
        return [Shares([(layer.a, layer.weight)], layer.bias)]


@dataclass(frozen=True)
class Gamma(LayerRule):
    """LRP-γ: products c_ij = a_i w_ij of the sign of the output weigh more by γ.

        R_i = Σ_j (c_ij + γ c^s_ij) / (Σ_i' (c_i'j + γ c^s_i'j) + b_j + γ b^s_j) · R_j

    s is the sign of z_j: c⁺ and b⁺ are the positive parts, c⁻ and b⁻ the negative ones. For a ≥ 0 and z_j > 0 this is
    the rule of Montavon et al., with w_ij + γ w⁺_ij. An output z_j = 0 passes nothing on.

    Source: Montavon et al. (2019), doi:10.1007/978-3-030-28954-6_10; for inputs and outputs of either sign
    Andéol et al. (2021), arXiv:2106.04923.

    Args:
        gamma: γ, at least 0.
    """

    gamma: float = 0.25

    def __post_init__(self) -> None:
        if not 0 <= self.gamma < float("inf"):
            raise InvalidInput(f"gamma is {self.gamma}; give a finite number of at least 0")

    def shares(self, layer: LinearLayer) -> Sequence[Shares]:
        """Outputs above zero, and outputs below zero, each with the parts of their sign strengthened."""
        (a_above, a_below), w, b = _parts(layer.a), _weight(layer), layer.bias
        strong_above, strong_below = (w + self.gamma * part for part in _parts(w))
        bias_above, bias_below = (None, None) if b is None else (b + self.gamma * part for part in _parts(b))
        return [
            Shares([(a_above, strong_above), (a_below, strong_below)], bias_above, where=1),
            Shares([(a_above, strong_below), (a_below, strong_above)], bias_below, where=-1),
        ]


@dataclass(frozen=True)
class AlphaBeta(LayerRule):
    """LRP-αβ: positive products get α, negative ones −β of the relevance.

        R_i = Σ_j ( α (a_i w_ij)⁺ / z⁺_j − β (a_i w_ij)⁻ / z⁻_j ) · R_j,   z^± = Σ_i (a_i w_ij)^± + b^±_j

    α = 1 and β = 0 is the z⁺ rule. An output with no negative product passes on α of its relevance, and so more than it
    has.

    Source: Bach et al. (2015), doi:10.1371/journal.pone.0130140, equation 60.

    Args:
        alpha: α = 1 + β.
        beta: β, at least 0.
    """

    alpha: float = 1.0
    beta: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.beta < float("inf") or self.alpha != 1 + self.beta:
            raise InvalidInput(f"alpha and beta are {self.alpha} and {self.beta}; give beta >= 0 and alpha = 1 + beta")

    def shares(self, layer: LinearLayer) -> Sequence[Shares]:
        """The positive products; where β is not zero, the negative ones."""
        (a_above, a_below), (w_above, w_below) = _parts(layer.a), _parts(_weight(layer))
        b_above, b_below = (None, None) if layer.bias is None else _parts(layer.bias)
        found = [Shares([(a_above, w_above), (a_below, w_below)], b_above, self.alpha)]
        if self.beta:
            found.append(Shares([(a_above, w_below), (a_below, w_above)], b_below, -self.beta))
        return found


@dataclass(frozen=True)
class Box(LayerRule):
    """z^B: for a first layer whose inputs lie between bounds l and h.

        R_i = Σ_j (a_i w_ij − l_i w⁺_ij − h_i w⁻_ij) / Σ_i' (a_i' w_i'j − l_i' w⁺_i'j − h_i' w⁻_i'j) · R_j

    Source: Montavon et al. (2017), doi:10.1016/j.patcog.2016.11.008 (arXiv:1512.02479).

    Args:
        low: l, a number for all inputs or one for each channel; None takes the smallest value of each input.
        high: h, likewise the largest.
    """

    low: float | tuple[float, ...] | None = None
    high: float | tuple[float, ...] | None = None

    def shares(self, layer: LinearLayer) -> Sequence[Shares]:
        """How far the products are above the least that the bounds allow."""
        a, w = layer.a, _weight(layer)
        w_above, w_below = _parts(w)
        inner = tuple(range(1, a.ndim))
        low = a.amin(inner, keepdim=True) if self.low is None else _bound(self.low, a)
        high = a.amax(inner, keepdim=True) if self.high is None else _bound(self.high, a)
        return [Shares([(a, w), (-low.expand_as(a), w_above), (-high.expand_as(a), w_below)])]


@dataclass(frozen=True)
class WSquare(LayerRule):
    """w²: for a first layer, by the squared weights whatever the input is.

        R_i = Σ_j w²_ij / (Σ_i' w²_i'j + b²_j) · R_j

    Source: Montavon et al. (2017), doi:10.1016/j.patcog.2016.11.008 (arXiv:1512.02479), whose layers have no bias.
    """

    def shares(self, layer: LinearLayer) -> Sequence[Shares]:
        """Squared weights of ones."""
        bias = None if layer.bias is None else layer.bias.square()
        return [Shares([(torch.ones_like(layer.a), _weight(layer).square())], bias)]


@dataclass(frozen=True)
class Flat(LayerRule):
    """Flat: for a first layer, in equal parts to all inputs of an output.

    Source: Lapuschkin et al. (2019), doi:10.1038/s41467-019-08987-4.
    """

    def shares(self, layer: LinearLayer) -> Sequence[Shares]:
        """Ones."""
        return [Shares([(torch.ones_like(layer.a), torch.ones_like(_weight(layer)))])]


def _parts(values: Tensor) -> tuple[Tensor, Tensor]:
    """The positive and the negative part."""
    return values.clamp(min=0), values.clamp(max=0)


def _weight(layer: LinearLayer) -> Tensor:
    assert layer.weight is not None, "layers without weights have the rule ε"
    return layer.weight


def _output(layer: LinearLayer) -> Tensor:
    with torch.no_grad():
        z = layer.apply(layer.a, layer.weight)
        return z if layer.bias is None else z + layer.bias


def _bound(bound: float | tuple[float, ...], a: Tensor) -> Tensor:
    values = torch.as_tensor(bound, dtype=a.dtype, device=a.device)
    if values.ndim and len(values) != a.shape[1]:
        raise InvalidInput(f"{len(values)} bounds were given for inputs of {a.shape[1]} channels; give one for each")
    return values.reshape(-1, *[1] * (a.ndim - 2)) if values.ndim else values
