"""One model, its images and methods under several presets: how the verdict on each method moves from check to check."""

import csv
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from probatum.errors import InvalidInput, UnknownName
from probatum.experiments.check import check, run_check
from probatum.experiments.config import CheckConfig
from probatum.experiments.sanity import Progress
from probatum.experiments.setup import Setup, set_up, set_up_again
from probatum.experiments.store import read_run, write_json
from probatum.experiments.verdicts import Judgement, Verdict, judge
from probatum.randomization import PRESETS

COLUMNS = (
    "preset",
    "stage",
    "method",
    "metric",
    "kind",
    "verdict",
    "value",
    "low",
    "high",
    "over_stages",
    "score",
    "ceiling",
    "constant",
    "images",
    "trials",
    "decides",
    "reason",
)


@dataclass(frozen=True)
class PresetComparison:
    """The verdicts of several presets on the same methods.

    Args:
        methods: names.
        judgements: by preset.
        metrics: by preset, the metric whose verdict stands in the table: the first of that check.
    """

    methods: tuple[str, ...]
    judgements: dict[str, Judgement]
    metrics: dict[str, str]

    @property
    def presets(self) -> tuple[str, ...]:
        """Names, in the order asked for."""
        return tuple(self.judgements)

    def cell(self, method: str, preset: str) -> Verdict:
        """The verdict that stands in the table."""
        return self.judgements[preset].of(method, self.metrics[preset])


def compare_presets(
    config: CheckConfig, presets: Sequence[str], folder: Path | None = None, progress: Progress | None = None
) -> PresetComparison:
    """Runs the same check under several presets; the model is trained or loaded once.

    Args:
        config: of every check, save its preset; methods and metrics given there hold for all presets, and metrics that
            are not given are each preset's own.
        presets: names.
        folder: an existing, empty folder, which receives a run folder for each preset, `config.json` and
            `verdicts.csv`; None writes nothing.
        progress: as in `run_check`, the preset's name before what is done.

    Raises:
        InvalidInput: no preset, one given twice, or an order or initialiser that would replace those of all presets.
        UnknownName: there is no such preset.
    """
    configs = _configurations(config, presets)
    first = next(iter(configs.values()))
    setup = set_up(first, progress)
    # All before any: what does not fit together is refused before the work begins.
    setups = {name: set_up_again(setup, each) for name, each in configs.items()}
    judgements = {}
    for name, each in configs.items():
        judgements[name] = _judged(name, each, setups[name], folder, progress)
    comparison = PresetComparison(
        config.methods, judgements, {name: each.chosen_metrics[0] for name, each in configs.items()}
    )
    if folder is not None:
        write_json(folder / "config.json", {"config": config.to_json(), "presets": list(presets)})
        write_verdicts(folder / "verdicts.csv", comparison)
    return comparison


def write_verdicts(path: Path, comparison: PresetComparison) -> None:
    """Writes one row for each preset × method × metric; "decides" marks those that stand in the table."""
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for preset, judgement in comparison.judgements.items():
            for verdict in judgement.verdicts:
                interval = (verdict.value, verdict.low, verdict.high, verdict.over_stages)
                numbers = (*interval, verdict.score, verdict.ceiling, verdict.constant)
                writer.writerow(
                    (
                        preset,
                        judgement.stages[-1],
                        verdict.method,
                        verdict.metric,
                        verdict.kind,
                        verdict.word,
                        *(repr(number) for number in numbers),
                        judgement.images,
                        judgement.trials,
                        "yes" if verdict.metric == comparison.metrics[preset] else "",
                        verdict.reason,
                    )
                )


def is_comparison(folder: Path) -> bool:
    """Whether a folder was made by `compare_presets`."""
    try:
        return "presets" in json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, TypeError):
        return False


def read_comparison_config(folder: Path) -> tuple[CheckConfig, tuple[str, ...]]:
    """Reads what a comparison was asked to do; InvalidInput where the folder holds none."""
    try:
        values = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        return CheckConfig.from_json(values["config"]), tuple(values["presets"])
    except (OSError, KeyError, TypeError, json.JSONDecodeError) as error:
        raise InvalidInput(f"{folder} holds no comparison of presets: {error}") from error


def read_comparison(folder: Path) -> PresetComparison:
    """Judges the stored scores of a comparison again; InvalidInput where the folder or one of its runs is not whole."""
    config, presets = read_comparison_config(folder)
    results = {preset: read_run(folder / preset).result for preset in presets}
    judgements = {preset: judge(result) for preset, result in results.items()}
    return PresetComparison(config.methods, judgements, {preset: each.metrics[0] for preset, each in results.items()})


def _configurations(config: CheckConfig, presets: Sequence[str]) -> dict[str, CheckConfig]:
    if not presets:
        raise InvalidInput("there is no preset to compare")
    for name in presets:
        if name not in PRESETS:
            raise UnknownName("randomization preset", name, PRESETS)
    if len(set(presets)) < len(presets):
        raise InvalidInput("a preset is given twice; name each once")
    if config.order or config.initialiser:
        raise InvalidInput("an order or initialiser would replace those of all presets; leave it to them, or check one")
    return {name: replace(config, preset=name) for name in presets}


def _judged(name: str, config: CheckConfig, setup: Setup, folder: Path | None, progress: Progress | None) -> Judgement:
    """Runs one check and judges it."""

    def report(done: int, total: int, what: str) -> None:
        if progress is not None:
            progress(done, total, f"{name}: {what}")

    if folder is None:
        return judge(check(config, setup, report), setup.metrics)
    (folder / name).mkdir()
    return judge(run_check(config, folder / name, report, setup)[1], setup.metrics)
