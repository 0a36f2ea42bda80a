"""A record as a table: for the terminal, and in Markdown."""

from collections.abc import Callable, Sequence

from probatum.benchmarks.contest import BARE
from probatum.benchmarks.record import OURS, Entry, Record
from probatum.benchmarks.timing import Spread

Cell = Callable[[Record, Entry], str]


def table(record: Record) -> tuple[list[str], list[list[str]]]:
    """Headings and rows of cells; a column that no row fills is left out.

    Times are medians of all windows with the quartiles in brackets. "× probatum" is the time in units of probatum's,
    the median of the windows paired by round: above 1, probatum was faster.
    """
    scores = list(dict.fromkeys(name for entry in record.entries for name in entry.scores))
    columns: dict[str, Cell] = {
        "work": lambda record, entry: entry.contest,
        "who": lambda record, entry: entry.name,
        "time": lambda record, entry: _spread(entry.time, seconds_in_words) if entry.seconds else "",
        "× probatum": _relative,
        "× bare": _overhead,
        "gradients/s": lambda record, entry: _number(entry.per_second(entry.gradients)),
        "maps/s": lambda record, entry: _number(entry.per_second(entry.maps)),
        "GFLOP/s": lambda record, entry: _number(_giga(entry.per_second(entry.flops))),
        "GB/s": lambda record, entry: _number(_giga(entry.per_second(entry.traffic))),
        "gradients": lambda record, entry: str(entry.gradients) if scores and entry.gradients else "",
        "peak memory": lambda record, entry: f"{entry.memory / 2**20:.0f} MiB" if entry.memory is not None else "",
        "error": lambda record, entry: f"{entry.error:.1e}" if entry.error is not None else "",
        **{name: _score(name) for name in scores},
        "note": lambda record, entry: entry.note,
    }
    rows = {heading: [cell(record, entry) for entry in record.entries] for heading, cell in columns.items()}
    filled = [heading for heading, cells in rows.items() if any(cells)]
    return filled, [[rows[heading][number] for heading in filled] for number in range(len(record.entries))]


def protocol(record: Record) -> str:
    """Where and with what it was measured, in one line."""
    facts = record.environment
    versions = ", ".join(f"{name} {version}" for name, version in facts["versions"].items() if version)
    where = facts["device"] if facts["device_type"] == "cuda" else facts["processor"]
    return (
        f"{facts['date']}, {where}, {facts['threads']} of {facts['cores']} CPU threads, load {facts['load']} before, "
        f"commit {facts['commit'] or 'unknown'}; {versions}"
    )


def markdown(records: Sequence[Record]) -> str:
    """All records as a page of Markdown."""
    return "\n".join(_section(record) for record in records)


def _section(record: Record) -> str:
    headings, rows = table(record)
    lines = [f"## {record.suite}: {record.title}", ""]
    if rows:
        lines += [_row(headings), _row(["---"] * len(headings)), *(_row(row) for row in rows), ""]
    return "\n".join([*lines, *(f"- {line}" for line in record.lines), "", protocol(record), ""])


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _relative(record: Record, entry: Entry) -> str:
    relative = record.relative(entry)
    return _spread(relative, lambda value: f"{value:.3g}") if relative is not None else ""


def _overhead(record: Record, entry: Entry) -> str:
    relative = record.relative(entry, BARE) if entry.who == OURS else None
    return _spread(relative, lambda value: f"{value:.3g}") if relative is not None else ""


def _spread(values: Spread, words: Callable[[float], str]) -> str:
    return f"{words(values.median)} [{words(values.low)}, {words(values.high)}]"


def seconds_in_words(value: float) -> str:
    """A time in seconds or milliseconds."""
    return f"{value:.3g} s" if value >= 1 else f"{1000 * value:.3g} ms"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3g}" if value < 100 else f"{value:.0f}"


def _giga(value: float | None) -> float | None:
    return None if value is None else value / 1e9


def _score(name: str) -> Cell:
    """Three decimals, or none in a column of whole numbers, such as counts."""

    def shown(record: Record, entry: Entry) -> str:
        column = [each.scores[name] for each in record.entries if name in each.scores]
        decimals = 0 if all(float(score).is_integer() for score in column) else 3
        return f"{entry.scores[name]:.{decimals}f}" if name in entry.scores else ""

    return shown
