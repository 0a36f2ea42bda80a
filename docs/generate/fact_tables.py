"""Tables of facts that stand in the middle of written pages, at lines such as `<!-- table: metrics -->`."""

import inspect
import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path

import command_page
from markup import linked, table

from probatum.benchmarks import SUITES, read_records
from probatum.benchmarks.record import SHARES
from probatum.benchmarks.tables import protocol
from probatum.conformance import LAWS
from probatum.experiments import judge
from probatum.experiments.run_folder import CEILING_COLUMNS, COLUMNS, FAILURE_COLUMNS
from probatum.maps import REDUCTIONS
from probatum.metrics import METRICS
from probatum.metrics.quality import QUALITY
from probatum.randomization import INITIALIZERS, PRESETS, Preset

_RECORDS = Path(__file__).parents[2] / "benchmarks" / "records"
OUTCOMES = Path(__file__).parents[1] / "conformance.json"
_MARK = re.compile(r"^<!-- table: ([a-z-]+) -->$(?:\n\n\|.*?^<!-- end -->$)?", re.MULTILINE | re.DOTALL)
# Pages that the README sends to: their sources hold the tables, too, for those who read them where the code is hosted.
KEPT = {"conformance.md": ("conformance",), "verdicts.md": ("verdict-study",)}


def fill(text: str) -> str:
    """Puts the tables in the places of their marks; KeyError where there is no such table."""
    return _MARK.sub(lambda mark: _TABLES[mark[1]](), text)


def with_kept_tables(text: str, kept: Sequence[str]) -> str:
    """The source of a page with the tables of these names between marks, where `fill` replaces them."""

    def marked(mark: re.Match[str]) -> str:
        begin = f"<!-- table: {mark[1]} -->"
        return f"{begin}\n\n{_TABLES[mark[1]]()}\n\n<!-- end -->" if mark[1] in kept else begin

    return _MARK.sub(marked, text)


def _presets() -> str:
    names = {initializer: name for name, initializer in INITIALIZERS.items()}
    rows = [
        (
            f"`{name}`",
            each.order,
            f"`{names.get(each.initializer, each.initializer)}`",
            _further(each),
            linked(each.source),
        )
        for name, each in PRESETS.items()
    ]
    return table(("preset", "order", "initializer", "further", "source"), rows)


def _further(preset: Preset) -> str:
    """What a protocol has that others lack."""
    smoothing = preset.smoothing
    facts = {
        f"{preset.trials} trials": preset.trials > 1,
        "all stages are drawn anew at each step": preset.redraw,
        f"batch norm: {preset.batch_norm}": preset.batch_norm != "keep-statistics",
        f"metrics: {', '.join(preset.metrics or ())}": preset.metrics,
        f"maps averaged over {smoothing.samples} noisy images" if smoothing else "": smoothing,
    }
    return "; ".join(fact for fact, holds in facts.items() if holds)


def _conformance() -> str:
    """One row for each law: how many explainers of each library keep it, and which do not."""
    libraries = json.loads(OUTCOMES.read_text(encoding="utf-8"))["libraries"]
    rows = [
        (f"`{name}`<br>{law.statement}", *(_kept(name, explainers) for explainers in libraries.values()))
        for name, law in LAWS.items()
    ]
    return table(("law", *libraries), rows)


def _kept(law: str, explainers: dict[str, dict[str, dict[str, object]]]) -> str:
    """Counts of the explainers that keep a law, among those that it applies to, and the names of those that do not."""
    status = {name: found.get(law, {}).get("status", "passed") for name, found in explainers.items()}
    broken = [name for name, word in status.items() if word == "failed"]
    applies = sum(word != "not applicable" for word in status.values())
    count = f"{applies - len(broken)} of {applies}" if applies else "–"
    return f"{count}; not {', '.join(broken)}" if broken else count


def _conformance_setting() -> str:
    """Versions, day and explainers of the table."""
    found = json.loads(OUTCOMES.read_text(encoding="utf-8"))
    versions = ", ".join(f"{name} {version}" for name, version in found["versions"].items())
    explainers = "; ".join(f"{library}: {', '.join(rows)}" for library, rows in found["libraries"].items())
    return f"{found['date']}, on the CPU, with {versions}. Explainers: {explainers}."


def _verdict_rules() -> str:
    """The rules as `judge` states them."""
    return (inspect.getdoc(judge) or "").partition("\nArgs:")[0]


def _verdict_study() -> str:
    """The newest record of the suite `verdicts`: what should not happen, and the word on each method, by network."""
    record = read_records(sorted(_RECORDS.glob("*-verdicts/record.json"))[-1])[0]
    networks = tuple(record.contests)
    metrics = next(tuple(entry.scores) for entry in record.entries if entry.variant.startswith(SHARES))
    shares: dict[str, dict[str, str]] = {}
    counts: dict[str, dict[str, str]] = {}
    for entry in record.entries:
        if entry.variant.startswith(SHARES):
            retained = ", ".join(_two_decimals(entry.scores.get(metric)) for metric in metrics)
            word = entry.note.partition(":")[0]
            shares.setdefault(entry.variant.removeprefix(SHARES), {})[entry.contest] = f"{word} ({retained})"
        elif "value" in entry.scores:
            variant = entry.variant.partition(" (")[0]
            counts.setdefault(variant, {})[entry.contest] = f"{entry.scores['value']:.3g}".replace("-", "−")
    words = table(("method", *networks), [(f"`{name}`", *(row[n] for n in networks)) for name, row in shares.items()])
    numbers = table(
        ("share or number", *networks), [(name, *(row[n] for n in networks)) for name, row in counts.items()]
    )
    below = f"In brackets: the share retained under {', '.join(metrics)}; – where the metric cannot tell."
    how = f"Measured: {'; '.join(record.lines)}. {protocol(record)}."
    return f"{numbers}\n\n{words}\n\n{below}\n\n{how}"


def _two_decimals(value: float | None) -> str:
    return "–" if value is None else f"{round(value, 2) + 0.0:.2f}".replace("-", "−")  # + 0.0: no −0.00


def _initializers() -> str:
    rows = [(f"`{name}`", (type(each).__doc__ or "").splitlines()[0]) for name, each in INITIALIZERS.items()]
    return table(("initializer", "what it draws"), rows)


def _metrics() -> str:
    rows = [
        (f"`{name}`", each.title, each.kind, f"{each.perfect:g}", f"`{each.reduction}`", linked(each.source))
        for name, each in METRICS.items()
    ]
    return table(("metric", "title", "kind", "identical maps", "of maps reduced by", "source"), rows)


def _reductions() -> str:
    rows = [
        (f"`{name}`", each.title, "unbounded" if each.value_range is None else str(list(each.value_range)), each.source)
        for name, each in REDUCTIONS.items()
    ]
    return table(("reduction", "what it does", "range", "source"), [(a, b, c, linked(d)) for a, b, c, d in rows])


def _quality() -> str:
    rows = [
        (f"`{name}`", each.title, "lower" if each.lower_is_better else "higher", linked(each.source))
        for name, each in QUALITY.items()
    ]
    return table(("metric", "title", "better", "source"), rows)


def _suites() -> str:
    rows = [(f"`{suite.name}`", suite.title, f"{suite.minutes}") for suite in SUITES.values()]
    return table(("suite", "what it measures", "minutes"), rows)


def _columns(columns: tuple[str, ...]) -> Callable[[], str]:
    return lambda: "```text\n" + ",".join(columns) + "\n```"


_TABLES: dict[str, Callable[[], str]] = {
    "presets": _presets,
    "initializers": _initializers,
    "metrics": _metrics,
    "reductions": _reductions,
    "quality": _quality,
    "verdict-rules": _verdict_rules,
    "verdict-study": _verdict_study,
    "conformance": _conformance,
    "conformance-setting": _conformance_setting,
    "suites": _suites,
    "commands": command_page.reference,
    "results-columns": _columns(COLUMNS),
    "ceiling-columns": _columns(CEILING_COLUMNS),
    "failure-columns": _columns(FAILURE_COLUMNS),
}


if __name__ == "__main__":
    for name, kept in KEPT.items():
        page = Path(__file__).parents[1] / name
        page.write_text(with_kept_tables(page.read_text(encoding="utf-8"), kept), encoding="utf-8")
