"""Scores of figures 2 and 6 and of table 1: the paper's two, and infidelity relative to the response."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from probatum.attributions import Method
from probatum.experiments.quality import QualityResult, quality_scores
from probatum.metrics.quality import (
    QUALITY,
    Case,
    GaussianNoise,
    Infidelity,
    Perturbation,
    Product,
    Quality,
    Removal,
    mean_squared_gap,
    responses,
)
from probatum.randomization import Randomizer
from probatum.report.boxes import Quantity
from probatum.reproductions.base import Context
from probatum.reproductions.subjects import Subject

SHARE = "infidelity-share"
METRICS = ("infidelity", "max-sensitivity", SHARE)
TITLES = {
    "infidelity": QUALITY["infidelity"].title,
    "max-sensitivity": QUALITY["max-sensitivity"].title,
    SHARE: "Infidelity / mean squared response",
}
HOMOGENEOUS = (
    "If all biases are 0, as after Xavier randomization, a network of ReLU and MaxPool has f(αx) = αf(x), and "
    "global IG from zero is complete up to rounding."
)
QUANTITIES: dict[str, Quantity] = {"infidelity": "magnitude", "max-sensitivity": "distance", SHARE: "magnitude"}


@dataclass(frozen=True)
class InfidelityShare:
    """Infidelity as a share of the mean squared response, which removes the scale of the logit.

    A map of zeros scores 1. NaN if the function does not respond at all.

    Args:
        infidelity: settings of infidelity.
    """

    infidelity: Infidelity

    def scores(self, case: Case) -> dict[str, Tensor]:
        """Mean squared gap between prediction and response, relative to the mean squared response."""
        found: dict[str, Tensor] = {}
        noise = GaussianNoise(self.infidelity.sigma, self.infidelity.samples)
        perturbations: dict[Product, Perturbation] = {"local": noise, "global": Removal()}
        for product, perturbation in perturbations.items():
            maps = {name: phi for name, phi in case.maps.items() if case.local_or_global[name] == product}
            answers = responses(
                case.forward,
                case.images,
                maps,
                perturbation,
                product=product,
                baseline=case.baseline,
                feature_dim=case.feature_dim,
                seed=case.seed,
                chunk=case.chunk,
            )
            power = answers.measured.square().mean(1)
            power = power.masked_fill(power == 0, torch.nan)
            found |= {name: mean_squared_gap(a, answers.measured) / power for name, a in answers.predicted.items()}
        return found


def quality_metrics(samples: int) -> dict[str, Quality]:
    """Return the three metrics in the order of `METRICS`, given the noise samples of infidelity."""
    infidelity = Infidelity(samples=samples)
    source = QUALITY["infidelity"].source
    return {
        "infidelity": Quality("infidelity", TITLES["infidelity"], infidelity, source, True, 0.0),
        "max-sensitivity": QUALITY["max-sensitivity"],
        SHARE: Quality(SHARE, TITLES[SHARE], InfidelityShare(infidelity), source, True, 0.0),
    }


def scored(
    context: Context,
    subject: Subject,
    methods: Mapping[str, Method],
    samples: int,
    randomizer: Randomizer,
    trials: int,
    targets: Tensor | None = None,
) -> QualityResult:
    """Score the maps of a network and of its randomized versions under the three metrics.

    Args:
        context: of the experiment.
        subject: the network and its images.
        methods: by name.
        samples: of infidelity.
        randomizer: of the network.
        trials: independent randomizations.
        targets: (image,) explained classes; None is what the network predicts.
    """
    return quality_scores(
        subject.model,
        subject.data.images.to(context.device),
        targets,
        methods=methods,
        metrics=quality_metrics(samples),
        randomizer=randomizer,
        trials=trials,
        seed=context.config.seed,
        image_names=subject.data.image_names,
        memory_budget=context.config.memory_budget,
        cells=context.cells,
        progress=context.progress,
    )
