"""What the terminal shows: progress, tables, summaries of results, and errors in one line."""

from probatum.terminal.allocator import keep_freed_memory
from probatum.terminal.ending import Stopped, one_line, stoppable
from probatum.terminal.lists import Kind, table_of
from probatum.terminal.meter import Meter, metered
from probatum.terminal.output import complain, plain, show, show_table
from probatum.terminal.summaries import show_check, show_findings, show_skipped, show_verdicts

__all__ = [
    "Kind",
    "Meter",
    "Stopped",
    "complain",
    "keep_freed_memory",
    "metered",
    "one_line",
    "plain",
    "show",
    "show_check",
    "show_findings",
    "show_skipped",
    "show_table",
    "show_verdicts",
    "stoppable",
    "table_of",
]
