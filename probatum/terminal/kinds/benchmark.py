"""Benchmarks."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from probatum.benchmarks import figure, protocol, read_records, table
from probatum.benchmarks.compare import read_changes
from probatum.benchmarks.kind import BENCHMARK as COMPUTED
from probatum.benchmarks.page import bench_page
from probatum.benchmarks.suites import get_suite
from probatum.report import save_figure
from probatum.report.html import write_page
from probatum.runs.kinds import drawn_by_main
from probatum.terminal.documents import benchmark_document
from probatum.terminal.output import show, show_table
from probatum.terminal.verdict_lines import counted


def _draw(folder: Path, progress: Callable[[str], None] | None = None) -> list[Path]:
    """Draws a figure of each suite that measured something, and `report.html` last."""
    written: list[Path] = []
    for record in read_records(folder / "record.json"):
        if record.entries:
            if progress is not None:
                progress(record.suite)
            written += save_figure(figure(record), folder / f"{get_suite(record.suite).name}.png")
    return [*written, write_page(folder, bench_page)]


def _show(folder: Path) -> None:
    records = read_records(folder / "record.json")
    for record in records:
        show_table(f"{record.suite}: {record.title}", *table(record))
        for line in record.lines:
            show(line)
    changes, lines = read_changes(folder)
    if changes:
        rows = [(change.word, str(change)) for change in changes]
        show_table("changes against the stored record", ("change", "time"), rows)
    for line in lines:
        show(line)
    show(protocol(records[-1]))
    show(f"report.html, record.json, table.md and the figures of {counted(len(records), 'suite')} are in {folder}")


BENCHMARK = replace(COMPUTED, draw=drawn_by_main(_draw), page=bench_page, show=_show, document=benchmark_document)
