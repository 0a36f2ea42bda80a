"""Integrated Gradients: gradients summed on the way from a baseline to the image."""

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
from torch import Tensor

from probatum.attributions.baselines import Baseline, as_baseline
from probatum.attributions.completeness import CompleteMethod
from probatum.attributions.until_complete import UntilComplete
from probatum.engine import PLAIN, Evaluation, Expansion, PreparedModel, Reference, Request, StraightPath
from probatum.engine.arguments import require_count
from probatum.errors import InvalidInput

Rule = Literal["midpoint", "trapezoid", "gauss-legendre", "right"]


@lru_cache
def quadrature(rule: Rule, steps: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Positions on [0, 1] and weights of a quadrature rule; the weights sum to one for every number of steps.

    "midpoint" and "gauss-legendre" have no point at the ends; "trapezoid" has both, each of half weight; "right" is the
    sum of the paper's equation 3. Errors fall as steps⁻² for midpoint and trapezoid and as steps⁻¹ for right on smooth
    integrands; Gauss-Legendre is exact for polynomials of degree 2 · steps − 1.
    """
    if rule == "trapezoid":
        require_count("steps of the trapezoid rule", steps, 2)
    weights = np.full(steps, 1 / steps)
    if rule == "midpoint":
        alphas = (np.arange(steps) + 0.5) / steps
    elif rule == "right":
        alphas = (np.arange(steps) + 1) / steps
    elif rule == "trapezoid":
        alphas, weights = np.linspace(0, 1, steps), np.full(steps, 1 / (steps - 1))
        weights[[0, -1]] /= 2
    elif rule == "gauss-legendre":
        nodes, lengths = np.polynomial.legendre.leggauss(steps)
        alphas, weights = (nodes + 1) / 2, lengths / 2
    else:
        raise InvalidInput(f"rule {rule!r} does not exist; choose from midpoint, trapezoid, gauss-legendre, right")
    return tuple(alphas.tolist()), tuple(weights.tolist())


@dataclass(frozen=True)
class IntegratedGradients(CompleteMethod):
    """The mean gradient on the straight path from a baseline x′ to the image, times the way travelled.

        M(x) = (x − x′) ⊙ ∫₀¹ ∂ S_c(x′ + α (x − x′)) / ∂ x dα

    The exact integral is complete: the map sums to S_c(x) − S_c(x′). `convergence_delta` tells how far the finite sum
    is from that.

    Source: Sundararajan, Taly & Yan (2017), arXiv:1703.01365, equations 1 and 3. 50 steps from a zero image as in
    Adebayo et al. (2018), arXiv:1810.03292; local and global variants as in Ancona et al. (2018), arXiv:1711.06104.

    Args:
        steps: points on the path.
        baseline: x′: "zero", "blurred", "mean", `Black(level=...)`, a tensor, or a function of the images.
        rule: quadrature rule: "midpoint", "trapezoid", "gauss-legendre" or "right".
        multiply_by_inputs: True is the global variant above; False the local one, without the factor x − x′.
        tolerance: where given, points are added to each image's path until the relative completeness error

                |Σ M(x) − (S_c(x) − S_c(x′))| / |S_c(x) − S_c(x′)|

            is at most so large; `steps` is then the most. M is the global map, also of local ones. The rule is Fejér's
            of 7, 15, 31, ... points, the largest at most `steps`, and `rule` plays no part: see `UntilComplete`.
            Logits of a half-precision model are too coarse to tell; compute them with `precision="float32"`. Images
            stop one by one. `attribute` returns points and errors in `efforts` of its result and warns of images
            that the most points did not suffice for.

    Differs from the paper:
        1. The default rule is the midpoint rule; the paper's equation 3 is the right-hand sum, `rule="right"`.
    """

    steps: int = 50
    baseline: Baseline | Tensor | str = "zero"
    rule: Rule = "midpoint"
    multiply_by_inputs: bool = True
    tolerance: float | None = None
    title = "Integrated Gradients"

    def __post_init__(self) -> None:
        require_count("steps of Integrated Gradients", self.steps)
        quadrature(self.rule, self.steps)
        if self.tolerance is not None and not 0 < self.tolerance < math.inf:
            raise InvalidInput(f"tolerance of Integrated Gradients is {self.tolerance}; give one above 0, such as 0.01")

    def request(self, prepared: PreparedModel, images: Tensor) -> Request:
        """The points of the path, with the weights of the quadrature."""
        baseline = as_baseline(self.baseline)
        if self.tolerance is not None:
            rule = UntilComplete(self.tolerance, self.steps, baseline, local=not self.multiply_by_inputs)
            return Request(self.value, frozenset({PLAIN}), rule.chains[0], refinement=rule)
        alphas, weights = quadrature(self.rule, self.steps)
        return Request(self.value, frozenset({PLAIN}), (StraightPath(alphas, weights, baseline),))

    def endpoints(self, images: Tensor) -> tuple[Expansion, ...]:
        """From the one baseline to the image."""
        return (Reference(as_baseline(self.baseline)),)

    def value(self, at: Evaluation) -> Tensor:
        """(x − x′) ⊙ ∂ S_c / ∂ x at one point of the path; under SmoothGrad, x is the noisy image."""
        return (at.origins - at.baselines) * at.gradient if self.multiply_by_inputs else at.gradient
