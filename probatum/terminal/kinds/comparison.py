"""A check under several presets."""

from dataclasses import replace
from pathlib import Path

from probatum.experiments.compare import COMPARISON as COMPUTED
from probatum.experiments.compare import read_comparison
from probatum.report.comparison import draw_comparison
from probatum.report.html.comparison import comparison_page
from probatum.terminal.output import show
from probatum.terminal.summaries import show_verdicts


def _show(folder: Path) -> None:
    show(f"report.html, verdicts.csv, figures and a run folder for each preset are in {folder}")
    show_verdicts(read_comparison(folder))


COMPARISON = replace(COMPUTED, draw=draw_comparison, page=comparison_page, show=_show)
