"""SmoothGrad: any method, averaged over noisy versions of the image."""

import math
from dataclasses import dataclass, field, replace
from typing import Literal

from torch import Tensor

from probatum.attributions.base import Method
from probatum.attributions.gradient import Gradient
from probatum.attributions.until_agreed import UntilAgreed, parts_of
from probatum.engine import Expansion, Noise, NumberedPath, PreparedModel, Request, StraightPath
from probatum.engine.arguments import require_count
from probatum.errors import InvalidInput

_PATHS = (StraightPath, NumberedPath)


@dataclass(frozen=True)
class SmoothGrad(Method):
    """A statistic of another method's maps over noisy copies of the image.

        x_k = x + σ ε_k,  ε_k ~ N(0, 1)
        "mean":      M(x) = 1/n Σ_k m(x_k)
        "square":    M(x) = 1/n Σ_k m(x_k)²
        "variance":  M(x) = 1/n Σ_k (m(x_k) − mean)²

    with σ a fraction of the image's own range, σ = noise_fraction · (max x − min x). The target is that of the image
    without noise. The noise depends on the image's content, the sample's number and the seed alone.

    Source: "mean" Smilkov, Thorat, Kim, Viégas & Wattenberg (2017), arXiv:1706.03825, section 3; "square" (SmoothGrad²)
    Hooker et al. (2019), arXiv:1806.10758; "variance" (VarGrad) Adebayo et al. (2018), arXiv:1810.03307. The defaults
    are those of Adebayo et al. (2018), arXiv:1810.03292.

    Of a method that integrates along a path, m(x) = ∫₀¹ g(x, α) dα, the mean has two estimators: "nested" takes the
    whole path of steps at every noisy image, n · steps gradients; "joint" draws one point of the path for each noisy
    image, n gradients,

        M(x) = 1/n Σ_k g(x_k, α_k),  α_k = (k + u_k) / n,  u_k ~ U(0, 1),  k = 0, ..., n − 1

    whose expectation is exactly that of nested paths of infinitely many steps; the inner method's steps and quadrature
    rule play no part. Maps of the two are not to be compared with each other sample by sample.

    Args:
        method: what is averaged: the gradient, or any other method but SmoothGrad itself.
        samples: n.
        noise_fraction: σ as a fraction of each image's range, 0.1 to 0.2 in the paper.
        noise_std: σ in the units of the input; replaces `noise_fraction` where given.
        statistic: "mean", "square" or "variance".
        estimator: "nested" or "joint", which needs an inner method with a path and the mean.
        ceiling: where given, samples are added to each image until its map agrees with itself so far, in (0, 1); n is
            then the most. The agreement is that of the means over the even and the odd samples: with r Spearman's
            correlation of their absolute values, 2r / (1 + r) is expected between two maps of all samples so far
            (Spearman 1910, Brown 1910, British Journal of Psychology 3(3)). It is looked at after 10 samples, and again
            after each further 10 or quarter. Images stop one by one, when the estimate happens to be high, so it is
            slightly too high on average. `attribute` returns samples and agreements in `efforts` of its result and
            warns of images that the most samples did not suffice for.
    """

    method: Method = field(default_factory=Gradient)
    samples: int = 50
    noise_fraction: float = 0.15
    noise_std: float | None = None
    statistic: Literal["mean", "square", "variance"] = "mean"
    estimator: Literal["nested", "joint"] = "nested"
    ceiling: float | None = None
    title = "SmoothGrad"
    stochastic = True

    def __post_init__(self) -> None:
        if isinstance(self.method, SmoothGrad):
            raise InvalidInput("SmoothGrad of SmoothGrad is SmoothGrad with more noise; wrap the inner method once")
        require_count("samples of SmoothGrad", self.samples)
        if not all(0 <= number < math.inf for number in (self.noise_fraction, self.noise_std or 0.0)):
            raise InvalidInput("the standard deviation of SmoothGrad's noise must be finite and at least 0")
        if self.statistic not in ("mean", "square", "variance"):
            raise InvalidInput(f"statistic {self.statistic!r} does not exist; choose from mean, square, variance")
        if self.estimator not in ("nested", "joint"):
            raise InvalidInput(f"estimator {self.estimator!r} does not exist; choose from nested, joint")
        if self.estimator == "joint" and self.statistic != "mean":
            raise InvalidInput(f"the joint estimator is one of the mean; take 'nested' for the {self.statistic}")
        if self.ceiling is not None and not 0 < self.ceiling < 1:
            raise InvalidInput(f"ceiling of SmoothGrad is {self.ceiling}; give an agreement between 0 and 1, as 0.95")
        if self.ceiling is not None and self.statistic != "mean":
            raise InvalidInput(f"a ceiling is one of the mean; leave it out for the {self.statistic}")

    def resolve(self, prepared: PreparedModel, images: Tensor) -> "SmoothGrad":
        """SmoothGrad of the resolved inner method."""
        return replace(self, method=self.method.resolve(prepared, images))

    def request(self, prepared: PreparedModel, images: Tensor) -> Request:
        """The inner method's points, around each noisy image."""
        inner = self.method.request(prepared, images)
        if self.estimator == "joint" and not any(isinstance(each, _PATHS) for each in inner.chain):
            raise InvalidInput(f"{self.method.title} integrates along no path; the joint estimator needs one")
        if self.estimator == "nested" and inner.refinement is not None:
            raise InvalidInput(
                f"nested SmoothGrad takes a whole path at every noisy image; give {self.method.title} steps and no "
                "tolerance, or take estimator='joint'"
            )
        inner = replace(inner, statistic=self.statistic, refinement=None)
        if self.ceiling is None:
            return replace(inner, chain=self._chain(inner.chain, range(self.samples)))
        rounds = [self._chain(inner.chain, part) for part in parts_of(self.samples)]
        return replace(inner, chain=rounds[0], refinement=UntilAgreed(self.ceiling, self.samples, tuple(rounds)))

    def _chain(self, inner: tuple[Expansion, ...], part: range) -> tuple[Expansion, ...]:
        """The inner method's points around some of the noisy images."""
        noise = Noise(len(part), self.noise_fraction, self.noise_std, part.start, self.samples)
        if self.estimator == "joint":
            inner = tuple(each.drawn(len(part), part.start) if isinstance(each, _PATHS) else each for each in inner)
        return (noise, *inner)
