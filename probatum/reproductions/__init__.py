"""Papers, rerun: frozen configurations, their figures and tables, their claims with a verdict each."""

from probatum.reproductions.base import Claim, Context, Experiment, Finding, Paper, ReproductionConfig
from probatum.reproductions.papers import PAPERS
from probatum.reproductions.run import (
    asked_of,
    get_paper,
    is_reproduction,
    read_reproduction,
    redraw_reproduction,
    run_reproduction,
)

__all__ = [
    "PAPERS",
    "Claim",
    "Context",
    "Experiment",
    "Finding",
    "Paper",
    "ReproductionConfig",
    "asked_of",
    "get_paper",
    "is_reproduction",
    "read_reproduction",
    "redraw_reproduction",
    "run_reproduction",
]
