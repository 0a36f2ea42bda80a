"""Measured facts about methods and metrics, from the newest records of the suites `verdicts` and `methods`."""

import functools
from pathlib import Path
from statistics import median

from probatum.benchmarks import read_records
from probatum.benchmarks.record import SHARES, Record

ALPHA = "Krippendorff's alpha over images"
_RECORDS = Path(__file__).parents[2] / "benchmarks" / "records"


def verdicts(name: str) -> list[dict[str, str]]:
    """Network, word and share under each metric of a method of the table; empty where the study does not hold it."""
    return [
        {"name": f"`{name}`", "network": entry.contest, "verdict": entry.note.partition(":")[0]} | _shares(entry.scores)
        for entry in _newest("verdicts").entries
        if entry.variant == f"{SHARES}{name}"
    ]


def costs(title: str) -> list[tuple[str, str, str]]:
    """Contest, our time and Captum's in units of the bare model's, by the title of a method."""
    seconds: dict[str, dict[str, float]] = {}
    for entry in _newest("methods").entries:
        if entry.contest.startswith(f"{title}, ") and entry.seconds:
            best = seconds.setdefault(entry.contest, {})
            best[entry.who] = min(best.get(entry.who, float("inf")), median(entry.seconds))
    return [
        (contest.removeprefix(f"{title}, "), _ratio(best, "probatum"), _ratio(best, "Captum"))
        for contest, best in seconds.items()
        if "bare" in best
    ]


def alphas(metric: str) -> list[tuple[str, str, str]]:
    """Network, Krippendorff's alpha of raw and of calibrated shares of a metric in the study of verdicts."""
    found: dict[str, dict[str, str]] = {}
    for entry in _newest("verdicts").entries:
        title, _, kind = entry.variant.rpartition(", ")
        if title == ALPHA and metric in entry.scores:
            found.setdefault(entry.contest, {})[kind] = f"{entry.scores[metric]:.2f}"
    return [(network, each["raw shares"], each["calibrated shares"]) for network, each in found.items()]


def methods_record() -> str:
    """The folder of the record that `costs` reads."""
    return _path("methods").parent.name


def _ratio(seconds: dict[str, float], who: str) -> str:
    return f"{seconds[who] / seconds['bare']:.2f}" if who in seconds else "–"


def _shares(scores: dict[str, float]) -> dict[str, str]:
    return {metric: f"{round(value, 2) + 0.0:.2f}".replace("-", "−") for metric, value in scores.items()}  # no −0.00


@functools.cache
def _newest(suite: str) -> Record:
    return read_records(_path(suite))[0]


def _path(suite: str) -> Path:
    return sorted(_RECORDS.glob(f"*-{suite}/record.json"))[-1]
