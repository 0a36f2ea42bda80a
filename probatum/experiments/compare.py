"""One model, its images and methods under several presets: how the verdict on each method moves from check to check."""

import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from probatum.errors import InvalidInput, UnknownName
from probatum.experiments.build import Setup, choose_device, set_up, set_up_again
from probatum.experiments.check import Say, check, identity_of, run_check, set_up_together
from probatum.experiments.config import CheckConfig
from probatum.experiments.result import SanityResult
from probatum.experiments.run_folder import read_run
from probatum.experiments.verdicts import Judgement, Summary, Verdict, judge
from probatum.progress import Progress
from probatum.randomization import PRESETS
from probatum.runs.files import read_json, reading, write_json, write_table
from probatum.runs.ranks import ALONE, Ranks
from probatum.runs.resume import STATE, is_finished, run_in_work

COLUMNS = (
    "preset",
    "stage",
    "method",
    "metric",
    "verdict",
    "value",
    "low",
    "high",
    "over_stages",
    "score",
    "chance",
    "ceiling",
    "live",
    "comparisons",
    "images",
    "trials",
    "reason",
    "remedy",
)


@dataclass(frozen=True)
class PresetComparison:
    """The verdicts of several presets on the same methods.

    Args:
        methods: names.
        judgements: by preset.
    """

    methods: tuple[str, ...]
    judgements: dict[str, Judgement]

    @property
    def presets(self) -> tuple[str, ...]:
        """Names, in the order asked for."""
        return tuple(self.judgements)

    def cell(self, method: str, preset: str) -> Summary:
        """The word that stands in the table."""
        return self.judgements[preset].summary(method)


def compare_presets(
    config: CheckConfig,
    presets: Sequence[str],
    folder: Path | None = None,
    progress: Progress | None = None,
    *,
    ranks: Ranks = ALONE,
    draw: Callable[[Path], object] | None = None,
    say: Say | None = None,
) -> PresetComparison:
    """Runs the same check under several presets; the model is trained or loaded once.

    Args:
        config: of every check, save its preset; methods and metrics given there hold for all presets, and metrics that
            are not given are each preset's own.
        presets: names.
        folder: as in `run_check`; it receives a run folder for each preset, `config.json` and `verdicts.csv`. None
            writes nothing.
        progress: as in `run_check`, the preset's name before what is done.
        ranks: as in `run_check`, like the next two.
        draw: called before the comparison counts as finished.
        say: called with sentences about a comparison that continues.

    Raises:
        InvalidInput: no preset, one given twice, or an order or initializer that would replace those of all presets.
        UnknownName: there is no such preset.
    """
    configs = _configurations(config, presets)
    first = next(iter(configs.values()))
    if folder is None:
        setups = _setups(set_up(first, progress), configs)
        found = {name: check(each, setups[name], _named(name, progress)) for name, each in configs.items()}
        return _compared(configs, found, setups)
    device = ranks.device(choose_device(config.device))
    with run_in_work(folder, config, device, ranks, presets=list(presets)) as work:
        setups = _setups(set_up_together(first, device, work, progress), configs)
        work.identify(identity_of(config, next(iter(setups.values()))))
        found = {}
        for name, each in configs.items():
            if is_finished(folder / name):
                if ranks.is_main:  # the run may have been killed when it was finished
                    shutil.rmtree(folder / name / STATE, ignore_errors=True)
                found[name] = read_run(folder / name).result
            else:
                report, told = _named(name, progress), _said(name, say)
                _, found[name] = run_check(each, folder / name, report, setups[name], ranks=ranks, say=told)
        comparison = _compared(configs, found, setups)
        ranks.barrier()
        if ranks.is_main:
            write_verdicts(folder / "verdicts.csv", comparison)
            write_json(folder / "config.json", {"config": config.to_json(), "presets": list(presets)})
            if draw is not None:
                draw(folder)
            work.finish()
        ranks.barrier()
    return comparison


def write_verdicts(path: Path, comparison: PresetComparison) -> None:
    """Writes one row for each preset × method × metric, and before them one of all metrics, which has no metric."""
    write_table(path, COLUMNS, _verdict_rows(comparison))


def _verdict_rows(comparison: PresetComparison) -> Iterator[tuple[object, ...]]:
    for preset, judgement in comparison.judgements.items():
        where, counts = (preset, judgement.stages[-1]), (judgement.images, judgement.trials)
        for summary in judgement.summaries.values():
            words = (summary.reason, summary.remedy)
            yield *where, summary.method, "", summary.word, *_numbers(summary.leading), *counts, *words
            for verdict in summary.verdicts:
                words = (verdict.reason, verdict.remedy)
                yield *where, verdict.method, verdict.metric, verdict.word, *_numbers(verdict), *counts, *words


def _numbers(verdict: Verdict) -> tuple[object, ...]:
    """The columns from "value" to "comparisons"."""
    interval = (verdict.value, verdict.low, verdict.high, verdict.over_stages)
    numbers = (*interval, verdict.score, verdict.chance, verdict.ceiling)
    return (*map(repr, numbers), verdict.live, verdict.comparisons)


def is_comparison(folder: Path) -> bool:
    """Whether a folder was made by `compare_presets`."""
    try:
        return "presets" in read_json(folder / "config.json")
    except (OSError, ValueError, TypeError):
        return False


def read_comparison_config(folder: Path) -> tuple[CheckConfig, tuple[str, ...]]:
    """Reads what a comparison was asked to do; InvalidInput where the folder holds none."""
    try:
        values = read_json(folder / "config.json")
        config, presets = CheckConfig.from_json(values["config"]), values["presets"]
        if not isinstance(presets, list) or not all(isinstance(name, str) for name in presets):
            raise InvalidInput("its presets are no names")
        _configurations(config, presets)  # their names are those of folders
        return config, tuple(presets)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InvalidInput(f"{folder} holds no comparison of presets: {error}") from error


def read_comparison(folder: Path) -> PresetComparison:
    """Judges the stored scores of a comparison again; InvalidInput where the folder or one of its runs is not whole."""
    config, presets = read_comparison_config(folder)
    results = {preset: read_run(folder / preset).result for preset in presets}
    with reading(folder, "comparison of presets"):
        judgements = {preset: judge(result) for preset, result in results.items()}
    return PresetComparison(config.methods, judgements)


def _configurations(config: CheckConfig, presets: Sequence[str]) -> dict[str, CheckConfig]:
    if not presets:
        raise InvalidInput("there is no preset to compare")
    for name in presets:
        if name not in PRESETS:
            raise UnknownName("randomization preset", name, PRESETS)
    if len(set(presets)) < len(presets):
        raise InvalidInput("a preset is given twice; name each once")
    if config.order or config.initializer:
        raise InvalidInput("an order or initializer would replace those of all presets; leave it to them, or check one")
    return {name: replace(config, preset=name) for name in presets}


def _setups(setup: Setup, configs: Mapping[str, CheckConfig]) -> dict[str, Setup]:
    """All before any is used: what does not fit together is refused before the work begins."""
    return {name: set_up_again(setup, each) for name, each in configs.items()}


def _compared(
    configs: Mapping[str, CheckConfig], found: Mapping[str, SanityResult], setups: Mapping[str, Setup]
) -> PresetComparison:
    return PresetComparison(
        next(iter(configs.values())).methods,
        {name: judge(result, setups[name].metrics) for name, result in found.items()},
    )


def _named(name: str, progress: Progress | None) -> Progress:
    def report(done: int, total: int, what: str) -> None:
        if progress is not None:
            progress(done, total, f"{name}: {what}")

    return report


def _said(name: str, say: Say | None) -> Say:
    def told(sentence: str) -> None:
        if say is not None:
            say(f"{name}: {sentence}")

    return told
