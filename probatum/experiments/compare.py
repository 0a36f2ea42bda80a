"""One model, its images and methods under several presets: how the verdict on each method moves from check to check."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from probatum.errors import InvalidInput, UnknownName
from probatum.experiments.build import Setup, choose_device, set_up, set_up_again
from probatum.experiments.check import identity_of, run_check, sanity_work, set_up_together
from probatum.experiments.config import CheckConfig
from probatum.experiments.result import SanityResult
from probatum.experiments.run_folder import read_run
from probatum.experiments.verdicts import Judgement, Summary, Verdict, judge
from probatum.progress import Progress, shows_progress
from probatum.randomization import PRESETS
from probatum.runs.cells import CellStore
from probatum.runs.files import reading, write_table
from probatum.runs.kinds import Computation, Kind, execute
from probatum.runs.ranks import ALONE, Ranks
from probatum.runs.remote import Folder, opened
from probatum.runs.resume import STATE, Parts, RunInWork, Say, is_finished
from probatum.storage import remove_folder

if TYPE_CHECKING:
    from matplotlib.figure import Figure

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

    def plot(self) -> "Figure":
        """Draws the table of verdicts, methods × presets, as a matplotlib figure."""
        from probatum.report.verdict_table import verdict_figure

        return verdict_figure(self)


@shows_progress
def compare_presets(
    config: CheckConfig,
    presets: Sequence[str],
    folder: Folder | None = None,
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
    request = ComparisonRequest(config, tuple(presets))
    if folder is not None:
        device = ranks.device(choose_device(config.device))
        return execute(COMPARISON, request, folder, device, progress=progress, ranks=ranks, draw=draw, say=say)
    configs = request.configurations
    setups = _setups(set_up(next(iter(configs.values())), progress), configs)
    found = {name: sanity_work(each, setups[name]).result(_named(name, progress)) for name, each in configs.items()}
    return _compared(configs, found, setups)


@dataclass(frozen=True)
class ComparisonRequest:
    """The checks that are compared.

    Args:
        config: of every check, save its preset.
        presets: names.
    """

    config: CheckConfig
    presets: tuple[str, ...]

    def __post_init__(self) -> None:
        if not self.presets:
            raise InvalidInput("there is no preset to compare")
        for name in self.presets:
            if name not in PRESETS:
                raise UnknownName("randomization preset", name, PRESETS)
        if len(set(self.presets)) < len(self.presets):
            raise InvalidInput("a preset is given twice; name each once")
        if self.config.until_decided:
            raise InvalidInput("--until-decided would end each check after other images; leave it out, or check one")
        if self.config.order or self.config.initializer:
            raise InvalidInput(
                "an order or initializer would replace those of all presets; leave it to them, or check one"
            )

    @property
    def device(self) -> str:
        """A torch device, or "auto"."""
        return self.config.device

    @property
    def memory_budget(self) -> str | None:
        """For activations; None is the device's default."""
        return self.config.memory_budget

    @property
    def configurations(self) -> dict[str, CheckConfig]:
        """The check of each preset."""
        return {name: replace(self.config, preset=name) for name in self.presets}

    def to_json(self) -> dict[str, Any]:
        """The request as the JSON values of `config.json`."""
        return {"config": self.config.to_json(), "presets": list(self.presets)}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "ComparisonRequest":
        """Reads what `to_json` wrote; InvalidInput where it is not that."""
        presets = values["presets"]
        if not isinstance(presets, list) or not all(isinstance(name, str) for name in presets):
            raise InvalidInput("its presets are no names")
        return cls(CheckConfig.from_json(values["config"]), tuple(presets))


class ComparisonRun(Computation[PresetComparison]):
    """A comparison whose network and images are loaded; each preset's check is a run in a sub-folder.

    Args:
        request: the checks.
        run: the folder of the comparison and its processes.
    """

    def __init__(self, request: ComparisonRequest, run: RunInWork) -> None:
        self._run, self._configs = run, request.configurations
        self._setups = _setups(set_up_together(next(iter(self._configs.values())), run), self._configs)
        self._config = request.config
        self._found: dict[str, SanityResult] = {}

    @property
    def identity(self) -> dict[str, Any]:
        """Configuration, weights, images and software."""
        return identity_of(self._config, next(iter(self._setups.values())))

    def compute(self, store: CellStore) -> None:
        """Runs the checks that are not finished."""
        run = self._run
        for name, config in self._configs.items():
            folder = run.folder / name
            if is_finished(folder):
                if run.ranks.is_main:  # the run may have been killed when it was finished
                    remove_folder(folder / STATE, ignore_errors=True)
                self._found[name] = read_run(folder).result
            else:
                report, said = _named(name, run.progress), _said(name, run.say)
                self._found[name] = run_check(config, folder, report, self._setups[name], ranks=run.ranks, say=said)

    def result(self, store: CellStore) -> PresetComparison:
        """The verdicts of all checks."""
        return _compared(self._configs, self._found, self._setups)

    def write(self, result: PresetComparison) -> dict[str, Any]:
        """Writes the table of verdicts."""
        write_verdicts(self._run.folder / "verdicts.csv", result)
        return {}


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


def read_comparison(folder: Folder) -> PresetComparison:
    """Judges the stored scores of a comparison again; InvalidInput where the folder or one of its runs is not whole."""
    with opened(folder) as path:
        request = COMPARISON.request(path)
        results = {preset: read_run(path / preset).result for preset in request.presets}
    with reading(path, "comparison of presets"):
        judgements = {preset: judge(result) for preset, result in results.items()}
    return PresetComparison(next(iter(results.values())).methods, judgements)


def _setups(setup: Setup, configs: Mapping[str, CheckConfig]) -> dict[str, Setup]:
    """All before any is used: what does not fit together is refused before the work begins."""
    return {name: set_up_again(setup, each) for name, each in configs.items()}


def _compared(
    configs: Mapping[str, CheckConfig], found: Mapping[str, SanityResult], setups: Mapping[str, Setup]
) -> PresetComparison:
    return PresetComparison(
        next(iter(found.values())).methods,
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


COMPARISON = Kind(
    "comparison",
    read=ComparisonRequest.from_json,
    values=ComparisonRequest.to_json,
    prepare=ComparisonRun,
    load=read_comparison,
    parts=lambda request: Parts("checks", request.presets),
)
"""A check under several presets, as runs know it; rooms above draw and show it."""
