"""Reproductions of papers: their experiments, figures and tables, and a verdict on each claim."""

from probatum.reproductions.base import Claim, Context, Experiment, Finding, Paper, ReproductionConfig
from probatum.reproductions.papers import PAPERS
from probatum.reproductions.run import (
    REPRODUCTION,
    get_paper,
    read_findings,
    read_reproduction,
    redraw_reproduction,
    run_reproduction,
)

__all__ = [
    "PAPERS",
    "REPRODUCTION",
    "Claim",
    "Context",
    "Experiment",
    "Finding",
    "Paper",
    "ReproductionConfig",
    "get_paper",
    "read_findings",
    "read_reproduction",
    "redraw_reproduction",
    "run_reproduction",
]
