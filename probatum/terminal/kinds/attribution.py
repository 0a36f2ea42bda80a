"""Maps of a few images."""

from dataclasses import replace
from pathlib import Path

from probatum.experiments.explain import ATTRIBUTION as COMPUTED
from probatum.experiments.explain import read_explanation
from probatum.report.html.explanation import explanation_page
from probatum.report.run import draw_attribution
from probatum.runs.kinds import drawn_by_main
from probatum.terminal.documents import attribution_document
from probatum.terminal.output import show
from probatum.terminal.summaries import show_explanation, verify_explanation
from probatum.terminal.verdict_lines import counted


def _show(folder: Path) -> None:
    found = read_explanation(folder)
    show_explanation(found)
    show(f"report.html and the maps of {counted(len(found.maps), 'method')} are in {folder}")


ATTRIBUTION = replace(
    COMPUTED,
    draw=drawn_by_main(draw_attribution),
    page=explanation_page,
    show=_show,
    document=attribution_document,
    verify=lambda folder: verify_explanation(read_explanation(folder)),
)
