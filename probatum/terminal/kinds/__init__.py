"""The kinds of runs, each with what computes, draws and shows it: a further kind is a file here and a line below."""

from pathlib import Path
from typing import Any

from probatum.errors import InvalidInput
from probatum.report.html import write_page
from probatum.runs.kinds import Kind, find_kind
from probatum.terminal.kinds.attribution import ATTRIBUTION
from probatum.terminal.kinds.benchmark import BENCHMARK
from probatum.terminal.kinds.check import CHECK
from probatum.terminal.kinds.comparison import COMPARISON
from probatum.terminal.kinds.localization import LOCALIZATION
from probatum.terminal.kinds.reproduction import REPRODUCTION
from probatum.terminal.kinds.run_pair import RUN_PAIR
from probatum.terminal.kinds.text_attribution import TEXT_ATTRIBUTION

KINDS: dict[str, Kind[Any, Any]] = {
    kind.name: kind
    for kind in (CHECK, COMPARISON, RUN_PAIR, LOCALIZATION, ATTRIBUTION, TEXT_ATTRIBUTION, REPRODUCTION, BENCHMARK)
}


def kind_of(folder: Path) -> Kind[Any, Any]:
    """The kind of the run in a folder; InvalidInput or UnknownName where there is none."""
    return find_kind(folder, KINDS)


def write_report(folder: Path) -> Path:
    """Writes `report.html` into a run folder, by its kind: see `write_page`.

    Raises:
        InvalidInput: the folder holds no complete run, or one of a kind that has no page.
    """
    kind = kind_of(folder)
    if kind.page is None:
        raise InvalidInput(f"{folder} holds a run of the kind {kind.name!r}, which has no report.html")
    return write_page(folder, kind.page)


__all__ = [
    "ATTRIBUTION",
    "BENCHMARK",
    "CHECK",
    "COMPARISON",
    "KINDS",
    "LOCALIZATION",
    "REPRODUCTION",
    "RUN_PAIR",
    "TEXT_ATTRIBUTION",
    "kind_of",
    "write_report",
]
