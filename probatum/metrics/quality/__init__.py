"""Quality of a single map: faithfulness to the function and stability. Pure functions of callables."""

from probatum.metrics.quality.faithfulness import deletion, exchange_curve, insertion
from probatum.metrics.quality.infidelity import (
    Responses,
    correlation,
    infidelity,
    mean_squared_gap,
    responses,
    sensitivity_n,
)
from probatum.metrics.quality.inputs import Explain, Forward, Product
from probatum.metrics.quality.measures import (
    QUALITY,
    Case,
    Deletion,
    Infidelity,
    Insertion,
    MaxSensitivity,
    Quality,
    QualityMeasure,
    SensitivityN,
    SubsetInfidelity,
    get_quality,
)
from probatum.metrics.quality.perturbations import GaussianNoise, Perturbation, Perturbed, Removal, SubsetRemoval
from probatum.metrics.quality.sensitivity import max_sensitivities, max_sensitivity

__all__ = [
    "QUALITY",
    "Case",
    "Deletion",
    "Explain",
    "Forward",
    "GaussianNoise",
    "Infidelity",
    "Insertion",
    "MaxSensitivity",
    "Perturbation",
    "Perturbed",
    "Product",
    "Quality",
    "QualityMeasure",
    "Removal",
    "Responses",
    "SensitivityN",
    "SubsetInfidelity",
    "SubsetRemoval",
    "correlation",
    "deletion",
    "exchange_curve",
    "get_quality",
    "infidelity",
    "insertion",
    "max_sensitivities",
    "max_sensitivity",
    "mean_squared_gap",
    "responses",
    "sensitivity_n",
]
