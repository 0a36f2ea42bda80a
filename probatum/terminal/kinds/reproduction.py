"""A paper's experiments."""

from dataclasses import replace
from pathlib import Path

from probatum.report.html.reproduction import reproduction_page
from probatum.reproductions import REPRODUCTION as COMPUTED
from probatum.reproductions import read_findings, redraw_reproduction
from probatum.runs.kinds import drawn_by_main
from probatum.terminal.documents import reproduction_document
from probatum.terminal.output import show
from probatum.terminal.summaries import show_findings


def _show(folder: Path) -> None:
    show_findings(read_findings(folder))
    show(f"report.html, figures, scorecard.md and all results are in {folder}")


REPRODUCTION = replace(
    COMPUTED,
    draw=drawn_by_main(redraw_reproduction),
    page=reproduction_page,
    show=_show,
    document=lambda folder: reproduction_document(read_findings(folder), folder),
)
