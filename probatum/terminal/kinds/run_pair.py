"""Two checks side by side."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from probatum.attributions import title_of
from probatum.experiments.run_pair import RUN_PAIR as COMPUTED
from probatum.experiments.run_pair import read_pair
from probatum.report.html.run_pair import pair_warnings, run_pair_page, setting_name
from probatum.report.run_pair import draw_run_pair
from probatum.runs.kinds import drawn_by_main
from probatum.terminal.documents import judgement_document
from probatum.terminal.output import columns, show, show_table
from probatum.terminal.verdict_lines import wrapped


def _show(folder: Path) -> None:
    pair = read_pair(folder)
    for sentence in pair_warnings(pair):
        show(wrapped(sentence, columns()))
    rows = []
    for method in pair.methods:
        words = [judgement.summary(method).word for judgement in pair.judgements]
        rows.append((title_of(method), *words, "differ" if method in pair.changed else "same"))
    show_table("verdicts", ("method", "first", "second", ""), rows)
    for name, first, second in pair.settings:
        show(wrapped(f"{setting_name(name)}: {first} -> {second}", columns()))
    show(f"report.html, verdicts.csv and figures are in {folder}")


def _document(folder: Path) -> dict[str, Any]:
    pair = read_pair(folder)
    first, second = map(judgement_document, pair.judgements)
    return {"first": first, "second": second, "changed": pair.changed, "differences": pair.differences}


RUN_PAIR = replace(COMPUTED, draw=drawn_by_main(draw_run_pair), page=run_pair_page, show=_show, document=_document)
