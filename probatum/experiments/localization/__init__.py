"""Localization on grids: the share of a map that lies where the evidence is, known without any training."""

from probatum.experiments.localization.result import LocalizationResult, LocalizationVerdict
from probatum.experiments.localization.work import localization_check

__all__ = ["LocalizationResult", "LocalizationVerdict", "localization_check"]
