"""The raw scores of a sanity check between their levels, as a table: chance, score, ceiling and the share retained."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path

from probatum.experiments.result import SanityResult
from probatum.experiments.verdicts import judge
from probatum.metrics import METRICS, Metric
from probatum.runs.files import read_table, write_table


@dataclass(frozen=True)
class Level:
    """Mean scores of one method under one metric after the last stage; NaN where there is none.

    Args:
        check: title of the check.
        stage: name of the last stage.
        method: name.
        metric: name.
        kind: of the metric.
        score: raw, as a paper gives it, like the next two a mean over the live comparisons.
        chance: of maps that share neither image nor weights.
        ceiling: of the trained model's maps against themselves.
        share: (score − chance) / (ceiling − chance).
        low: lower end of its 95 % interval.
        high: upper end.
        live: comparisons of two finite maps that are not constant.
        comparisons: images times trials.
    """

    check: str
    stage: str
    method: str
    metric: str
    kind: str
    score: float
    chance: float
    ceiling: float
    share: float
    low: float
    high: float
    live: int
    comparisons: int


_COLUMNS = tuple(field.name for field in fields(Level))


def levels_of(check: str, result: SanityResult, metrics: Mapping[str, Metric] = METRICS) -> Iterator[Level]:
    """The levels of every method and metric of a sanity check, see `judge`."""
    judgement = judge(result, metrics)
    for each in judgement.verdicts:
        names = (check, judgement.stages[-1], each.method, each.metric, each.kind)
        share = (each.value, each.low, each.high)
        yield Level(*names, each.score, each.chance, each.ceiling, *share, each.live, each.comparisons)


def store_levels(path: Path, check: str, result: SanityResult, metrics: Mapping[str, Metric] = METRICS) -> None:
    """Writes the levels of a sanity check as a CSV file.

    Args:
        path: of the file, whose name begins with "levels", so that the page of a reproduction finds it.
        check: title of the check.
        result: the scores.
        metrics: the metrics by the names in the result.
    """
    write_table(
        path, _COLUMNS, ([getattr(each, name) for name in _COLUMNS] for each in levels_of(check, result, metrics))
    )


def read_levels(path: Path) -> list[Level]:
    """Reads what `store_levels` wrote; OSError or ValueError where it is none."""
    return [_level(row) for row in read_table(path, _COLUMNS)]


def _level(row: Mapping[str, str]) -> Level:
    check, stage, method, metric, kind = (row[name] for name in _COLUMNS[:5])
    score, chance, ceiling, share, low, high = (float(row[name]) for name in _COLUMNS[5:11])
    live, comparisons = int(row["live"]), int(row["comparisons"])
    return Level(check, stage, method, metric, kind, score, chance, ceiling, share, low, high, live, comparisons)
