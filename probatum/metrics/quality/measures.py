"""The quality metrics as settings, and the table of them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from jaxtyping import Float
from torch import Tensor

from probatum.errors import InvalidInput, UnknownName
from probatum.metrics.quality.faithfulness import deletion, insertion
from probatum.metrics.quality.infidelity import Responses, correlation, mean_squared_gap, responses
from probatum.metrics.quality.inputs import Explain, Forward, Product, feature_count
from probatum.metrics.quality.perturbations import GaussianNoise, Perturbation, Removal, SubsetRemoval
from probatum.metrics.quality.sensitivity import max_sensitivities

YEH = "Yeh et al. 2019, arXiv:1901.09392"
Scores = dict[str, Float[Tensor, " batch"]]


@dataclass(frozen=True, eq=False)
class Case:
    """Maps of several methods to score, with the functions needed to score them.

    Args:
        forward: see `Forward`.
        explain: see `Explain`; it returns maps of the kind of `reference`.
        images: (batch, ...).
        maps: by method.
        local_or_global: kind of each method's maps; see `Product`.
        reference: maps as max-sensitivity compares them, such as token scores summed over the embedding; None uses
            `maps`.
        baseline: x₀, of a shape that expands to the images'; None is zeros.
        feature_dim: see `SubsetRemoval`.
        probability: softmax probability instead of the logit, for deletion and insertion; None uses `forward`.
        seed: of all perturbations.
        chunk: maximum number of points in one call; None limits the memory of the points instead.
    """

    forward: Forward
    explain: Explain
    images: Tensor = field(repr=False)
    maps: Mapping[str, Tensor] = field(repr=False)
    local_or_global: Mapping[str, Product]
    reference: Mapping[str, Tensor] | None = field(default=None, repr=False)
    baseline: Tensor | None = None
    feature_dim: int | None = 1
    probability: Forward | None = None
    seed: int = 0
    chunk: int | None = None


@runtime_checkable
class QualityMeasure(Protocol):
    """A quality metric whose fields are its settings."""

    def scores(self, case: Case) -> Scores:
        """Score every method on every image."""


@dataclass(frozen=True)
class Infidelity:
    """Infidelity of Kokhlikyan et al. 2021: noise for local maps, removal of the whole image for global maps.

    These are different tests in different units; to compare a local map with a global one use `SubsetInfidelity`.

    Args:
        sigma: standard deviation of the noise, in the units of the input.
        samples: noise samples per image.
    """

    sigma: float = 0.03
    samples: int = 50

    def scores(self, case: Case) -> Scores:
        """Mean squared gap between prediction and response."""
        found: Scores = {}
        perturbations: dict[Product, Perturbation] = {
            "local": GaussianNoise(self.sigma, self.samples),
            "global": Removal(),
        }
        for product, perturbation in perturbations.items():
            if maps := {name: phi for name, phi in case.maps.items() if case.local_or_global[name] == product}:
                answers = _responses(case, maps, perturbation)
                found |= {name: mean_squared_gap(a, answers.measured) for name, a in answers.predicted.items()}
        return found


@dataclass(frozen=True)
class SubsetInfidelity:
    """Infidelity of local and global maps under one test: removal of random subsets of the features.

    Args:
        share: size of a subset as a share of the features.
        samples: subsets per image.
        scaled: scale each map by its optimal β, so that only its proportions count.
    """

    share: float = 0.5
    samples: int = 50
    scaled: bool = False

    def scores(self, case: Case) -> Scores:
        """Mean squared gap between prediction and response."""
        answers = _responses(case, case.maps, _subsets(case, self.share, self.samples))
        return {name: mean_squared_gap(a, answers.measured, self.scaled) for name, a in answers.predicted.items()}


@dataclass(frozen=True)
class MaxSensitivity:
    """Settings of `max_sensitivity`.

    Args:
        radius: of the L∞ ball, in the units of the input.
        samples: perturbed versions per image.
    """

    radius: float = 0.02
    samples: int = 5

    def scores(self, case: Case) -> Scores:
        """Largest relative change of each map."""
        return max_sensitivities(
            case.explain,
            case.images,
            reference=case.maps if case.reference is None else case.reference,
            radius=self.radius,
            samples=self.samples,
            seed=case.seed,
            chunk=case.chunk,
        )


@dataclass(frozen=True)
class SensitivityN:
    """Settings of `sensitivity_n`, with n as a share of the features.

    Args:
        share: n as a share of the features.
        samples: subsets per image.
    """

    share: float = 0.1
    samples: int = 100

    def scores(self, case: Case) -> Scores:
        """Correlation of prediction and response."""
        answers = _responses(case, case.maps, _subsets(case, self.share, self.samples))
        return {name: correlation(a, answers.measured) for name, a in answers.predicted.items()}


@dataclass(frozen=True)
class Deletion:
    """Settings of `deletion`; the curve is of the probability if the case has one.

    Args:
        steps: number of steps of the curve.
    """

    steps: int = 100

    def scores(self, case: Case) -> Scores:
        """Areas under the curves."""
        return _areas(case, deletion, self.steps)


@dataclass(frozen=True)
class Insertion:
    """Settings of `insertion`; the curve is of the probability if the case has one.

    Args:
        steps: number of steps of the curve.
    """

    steps: int = 100

    def scores(self, case: Case) -> Scores:
        """Areas under the curves."""
        return _areas(case, insertion, self.steps)


@dataclass(frozen=True)
class Quality:
    """A quality metric as a paper uses it.

    To change settings, replace the measure: `dataclasses.replace(quality, measure=MaxSensitivity(radius=0.1))`.

    Args:
        name: key in `QUALITY`, recorded in results.
        title: as written in figures.
        measure: the computation and its settings.
        source: paper that defines it.
        lower_is_better: True if a small score is good.
        perfect: best possible score; None if there is no bound.
    """

    name: str
    title: str
    measure: QualityMeasure
    source: str
    lower_is_better: bool
    perfect: float | None = None


QUALITY: dict[str, Quality] = {
    quality.name: quality
    for quality in (
        Quality("infidelity", "Infidelity", Infidelity(), f"{YEH}; Kokhlikyan et al. 2021", True, 0.0),
        Quality("infidelity-subsets", "Infidelity under removal of subsets", SubsetInfidelity(), YEH, True, 0.0),
        Quality(
            "infidelity-scaled",
            "Infidelity under removal of subsets, scaled",
            SubsetInfidelity(scaled=True),
            YEH,
            True,
            0.0,
        ),
        Quality("max-sensitivity", "Max-sensitivity", MaxSensitivity(), f"{YEH}; Kokhlikyan et al. 2021", True, 0.0),
        Quality("sensitivity-n", "Sensitivity-n", SensitivityN(), "Ancona et al. 2018, arXiv:1711.06104", False, 1.0),
        Quality("deletion", "Deletion", Deletion(), "Petsiuk et al. 2018, arXiv:1806.07421", True),
        Quality("insertion", "Insertion", Insertion(), "Petsiuk et al. 2018, arXiv:1806.07421", False),
    )
}


def get_quality(name: str) -> Quality:
    """Look up a quality metric by its name in `QUALITY`; UnknownName suggests similar names."""
    if name not in QUALITY:
        raise UnknownName("quality metric", name, QUALITY)
    return QUALITY[name]


def _subsets(case: Case, share: float, samples: int) -> SubsetRemoval:
    if not 0 < share < 1:
        raise InvalidInput(f"share is {share}; a subset needs a share of the features between 0 and 1")
    count = feature_count(case.images, case.feature_dim)
    return SubsetRemoval(min(max(round(share * count), 1), count - 1), samples, case.feature_dim)


def _responses(case: Case, maps: Mapping[str, Tensor], perturbation: Perturbation) -> Responses:
    return responses(
        case.forward,
        case.images,
        maps,
        perturbation,
        product=case.local_or_global,
        baseline=case.baseline,
        feature_dim=case.feature_dim,
        seed=case.seed,
        chunk=case.chunk,
    )


def _areas(case: Case, area: Callable[..., Tensor], steps: int) -> Scores:
    forward = case.probability or case.forward
    options = {"steps": steps, "feature_dim": case.feature_dim, "chunk": case.chunk}
    return {name: area(forward, case.images, maps, case.baseline, **options) for name, maps in case.maps.items()}
