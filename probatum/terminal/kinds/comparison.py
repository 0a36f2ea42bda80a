"""A check under several presets."""

from dataclasses import replace
from pathlib import Path

from probatum.experiments.compare import COMPARISON as COMPUTED
from probatum.experiments.compare import read_comparison
from probatum.experiments.run_folder import read_run
from probatum.report.comparison import draw_comparison
from probatum.report.html.comparison import comparison_page
from probatum.report.html.comparison_answer import comparison_answer
from probatum.terminal.documents import comparison_document
from probatum.terminal.summaries import show_verdicts, verify_comparison


def _show(folder: Path) -> None:
    comparison = read_comparison(folder)
    configs = {preset: read_run(folder / preset).config for preset in comparison.presets}
    show_verdicts(comparison, comparison_answer(comparison, configs), folder)


COMPARISON = replace(
    COMPUTED,
    draw=draw_comparison,
    page=comparison_page,
    show=_show,
    document=lambda folder: comparison_document(read_comparison(folder), folder),
    verify=lambda folder: verify_comparison(read_comparison(folder)),
)
