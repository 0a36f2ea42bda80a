"""The model-randomization check."""

from dataclasses import replace
from pathlib import Path

from probatum.experiments.check import CHECK as COMPUTED
from probatum.experiments.run_folder import read_run
from probatum.report.html.check import check_page
from probatum.report.run import draw_run
from probatum.terminal.documents import check_document
from probatum.terminal.summaries import show_check, verify_check


def _show(folder: Path) -> None:
    show_check(read_run(folder))


CHECK = replace(
    COMPUTED,
    draw=draw_run,
    page=check_page,
    show=_show,
    document=lambda folder: check_document(read_run(folder)),
    verify=lambda folder: verify_check(read_run(folder)),
)
