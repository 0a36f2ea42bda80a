"""The sanity-check loop and its records: the only place where methods, randomizers and metrics meet."""

from probatum.experiments.check import run_check
from probatum.experiments.config import CheckConfig
from probatum.experiments.sanity import Progress, SanityResult, sanity_check
from probatum.experiments.setup import Setup, set_up
from probatum.experiments.store import Run, new_folder, read_run

__all__ = [
    "CheckConfig",
    "Progress",
    "Run",
    "SanityResult",
    "Setup",
    "new_folder",
    "read_run",
    "run_check",
    "sanity_check",
    "set_up",
]
