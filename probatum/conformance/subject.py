"""An explainer as the laws call it: on a model itself, without the copies and checks that a run makes."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from probatum.attributions import (
    ConservativePropagation,
    DeepLIFT,
    DeepLiftSHAP,
    Explainer,
    Gradient,
    GradientSHAP,
    InputXGradient,
    IntegratedGradients,
    Method,
    SmoothGrad,
)
from probatum.attributions.literal import Problem, literal
from probatum.engine import image_keys
from probatum.engine.external import seeded

EXACT = 1e-10  # of a method without quadrature
QUADRATURE = 0.1  # of a sum over some tens of steps through kinks


@dataclass(frozen=True)
class Claims:
    """Claims of an explainer. A law about what it does not claim is not applicable.

    Args:
        linear: its map of a linear model S(x) = W x + b: "local" W, or "global" W ⊙ x.
        complete: relative tolerance to which a map sums to S_c(x) − S_c(0); None where it makes no such claim.
        replica: (model, image, target, seed) -> the map by a second, plain implementation.
    """

    linear: Literal["local", "global"] | None = None
    complete: float | None = None
    replica: Callable[[nn.Module, Tensor, int, int], Tensor] | None = None


@dataclass(frozen=True)
class Subject:
    """An explainer that is tested.

    Args:
        method: a method of the package or an `Explainer`.
        claims: its own.
    """

    method: Method
    claims: Claims

    @property
    def is_external(self) -> bool:
        """True for an `Explainer`, whose function is called directly."""
        return isinstance(self.method, Explainer)

    def explain(self, model: nn.Module, images: Tensor, targets: Tensor, seed: int = 0) -> Tensor:
        """The maps, (batch, channel, height, width), of so many images at once as the explainer allows."""
        if not isinstance(self.method, Explainer):
            return self.method(model, images, targets, seed=seed)
        maps = []
        size = self.method.images_at_once
        for part, classes in zip(torch.split(images, size), torch.split(targets, size), strict=True):
            number = int(image_keys(part[:1], seed)) & 0xFFFF_FFFF
            with seeded(number, images.device):
                maps.append(as_maps(self.method.call(model, part.clone(), classes.clone()), part))
        return torch.cat(maps)

    def call(self, model: nn.Module, images: Tensor, targets: Tensor) -> Any:
        """Whatever the explainer returns for these very tensors, or the first rows where it takes no more at once."""
        if isinstance(self.method, Explainer):
            size = self.method.images_at_once
            return self.method.call(model, images[:size] if len(images) > size else images, targets[:size])
        return self.method(model, images, targets)


def claims_of(method: Method) -> Claims:
    """The claims of a method of the package; none of any other."""
    if isinstance(method, Explainer):
        return Claims()

    def replica(model: nn.Module, image: Tensor, target: int, seed: int) -> Tensor:
        return literal(method, Problem(model, target, image, seed), image)

    known = literal.dispatch(type(method)) is not literal.dispatch(object)
    return Claims(_linear(method), _complete(method), replica if known else None)


def as_maps(found: Any, images: Tensor) -> Tensor:
    """A tensor (batch, channel, height, width) of whatever an explainer returned."""
    maps = torch.from_numpy(np.asarray(found)) if isinstance(found, np.ndarray) else found
    maps = maps.detach()
    return maps[:, None] if maps.ndim == images.ndim - 1 else maps


def _linear(method: Method) -> Literal["local", "global"] | None:
    if isinstance(method, SmoothGrad):
        inner = _linear(method.method)
        return inner if method.statistic == "mean" and inner == "local" else None
    if isinstance(method, Gradient):
        return "local"
    if isinstance(method, (IntegratedGradients, DeepLIFT, ConservativePropagation)):
        return "global" if method.multiply_by_inputs else "local"
    if isinstance(method, (DeepLiftSHAP, GradientSHAP)):
        return None if method.multiply_by_inputs else "local"
    return "global" if isinstance(method, InputXGradient) else None


def _complete(method: Method) -> float | None:
    if isinstance(method, DeepLIFT) and method.multiply_by_inputs:
        return EXACT
    return QUADRATURE if isinstance(method, IntegratedGradients) and method.multiply_by_inputs else None
