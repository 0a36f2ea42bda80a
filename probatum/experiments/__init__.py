"""The sanity-check loop and its records: the only place where methods, randomizers and metrics meet."""

from probatum.experiments.adversary import NoiseOfWeights
from probatum.experiments.build import Setup, preprocessing_of, set_up
from probatum.experiments.check import run_check
from probatum.experiments.compare import PresetComparison, compare_presets
from probatum.experiments.config import CheckConfig
from probatum.experiments.faithfulness import SanityAndFaithfulness, sanity_and_faithfulness
from probatum.experiments.localization import LocalizationResult, LocalizationVerdict, localization_check
from probatum.experiments.quality import QualityResult, quality_scores
from probatum.experiments.result import Failure, SanityResult
from probatum.experiments.run_folder import Run, read_run
from probatum.experiments.sanity import sanity_check
from probatum.experiments.shift import ShiftResult, ShiftVerdict, shift_check
from probatum.experiments.verdicts import Judgement, Summary, Verdict, judge
from probatum.progress import Progress

__all__ = [
    "CheckConfig",
    "Failure",
    "Judgement",
    "LocalizationResult",
    "LocalizationVerdict",
    "NoiseOfWeights",
    "PresetComparison",
    "Progress",
    "QualityResult",
    "Run",
    "SanityAndFaithfulness",
    "SanityResult",
    "Setup",
    "ShiftResult",
    "ShiftVerdict",
    "Summary",
    "Verdict",
    "compare_presets",
    "judge",
    "localization_check",
    "preprocessing_of",
    "quality_scores",
    "read_run",
    "run_check",
    "sanity_and_faithfulness",
    "sanity_check",
    "set_up",
    "shift_check",
]
