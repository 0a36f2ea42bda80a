"""Running a reproduction: experiments into a folder, figures and scorecard from it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import torch

from probatum.errors import UnknownName
from probatum.experiments.build import choose_device
from probatum.progress import Progress
from probatum.report.html.reproduction import reproduction_page
from probatum.report.html.write import write_page
from probatum.report.save import figure_place, save_figure
from probatum.report.scorecard import ROLES, tally
from probatum.reproductions.base import Context, Experiment, Finding, Paper, ReproductionConfig, joined
from probatum.reproductions.forecast import WholeClock, reference_seconds
from probatum.reproductions.inputs import DATA, PHOTOGRAPHS, fingerprints, present_data, require_inputs
from probatum.reproductions.papers import PAPERS
from probatum.runs.cells import CellStore
from probatum.runs.files import read_json, reading, write_json
from probatum.runs.identity import identity_of_software, software
from probatum.runs.kinds import Computation, Kind, execute
from probatum.runs.remote import Folder
from probatum.runs.resume import Parts, RunInWork
from probatum.storage import move_folder, remove_folder, write_whole

MADE = "made.json"
"""File of each experiment: when, with which software and in what time it was computed."""


def get_paper(name: str) -> Paper:
    """Look up a paper; UnknownName suggests similar names."""
    if name not in PAPERS:
        raise UnknownName("paper", name, PAPERS)
    return PAPERS[name]


def run_reproduction(
    config: ReproductionConfig,
    folder: Folder,
    progress: Progress | None = None,
    say: Callable[[str], None] | None = None,
) -> list[Finding]:
    """Computes the chosen experiments of a paper, draws their figures and judges their claims.

    The folder receives `config.json`, one sub-folder for each experiment with what it found, `figures/`, and the
    scorecard as `scorecard.json` and `scorecard.md`; `paper.json` says what was reproduced, `report.html` shows all.

    A reproduction that was interrupted continues: finished experiments stay, and of the one in work the parts that it
    stored; trained networks are in the cache.

    Args:
        config: what to do.
        folder: none, an empty one, or that of an unfinished reproduction of the same configuration.
        progress: called with (done, in all, what is being done).
        say: called with sentences about a reproduction that continues.

    Raises:
        InvalidInput, ModelError: data or weights are missing; the message tells what and where to put it.
    """
    device = choose_device(config.device)
    return execute(REPRODUCTION, config, folder, device, progress=progress, draw=redraw_reproduction, say=say)


class ReproductionRun(Computation[list[Finding]]):
    """The chosen experiments of a paper; each enters its sub-folder when it is finished.

    Args:
        config: what to reproduce.
        run: its folder.
    """

    def __init__(self, config: ReproductionConfig, run: RunInWork) -> None:
        self._run = run
        self._experiments = _chosen(config)
        self._asked = config
        known = get_paper(config.paper).variants
        for variant in config.variants:
            if variant not in known:
                raise UnknownName(f"variant of {config.paper}", variant, known)
        require_inputs(config, self._experiments)
        self._data = self._data_at_the_start()
        budget = run.memory_budget
        self._config = config if budget is None else replace(config, memory_budget=str(budget))

    def _data_at_the_start(self) -> list[str]:
        """The data folders that were there when the run began: what is added later is for other runs."""
        path, now = self._run.state / "data.json", present_data(self._asked, self._experiments)
        if not path.is_file():
            write_json(path, now)
        begun = [str(name) for name in read_json(path)]
        added = [name for name in now if name not in begun]
        if added and self._run.say is not None:
            self._run.say(f"this run began without {', '.join(added)} and ends without; a new --out uses it")
        return begun

    @property
    def identity(self) -> dict[str, Any]:
        """Configuration, input files and software."""
        return fingerprints(self._asked, self._data) | identity_of_software(self._run.device, (".",))

    def compute(self, store: CellStore) -> None:
        """Computes the experiments that are not finished."""
        run, config = self._run, self._asked
        there = [each.name for each in self._experiments if (run.folder / each.name / MADE).is_file()]
        if there and run.say is not None:
            run.say(f"continuing: of {len(self._experiments)} experiments {', '.join(there)} are there")
        missing = [experiment.name for experiment in self._experiments if experiment.name not in there]
        clock = WholeClock(reference_seconds(config.paper, config.preset, missing), run.device)
        for experiment in self._experiments:
            if experiment.name in missing:
                self._compute(experiment, store.folder, clock)

    def _compute(self, experiment: Experiment, cells: Path, clock: WholeClock) -> None:
        place = f"{experiment.name} ({self._experiments.index(experiment) + 1} of {len(self._experiments)}"
        clock.begin(experiment.name)

        def report(done: int, total: int, what: str) -> None:
            if self._run.progress is not None:
                self._run.progress(done, total, f"{place}{clock.words()}): {what}")

        scratch = self._run.state / experiment.name
        results = self._run.folder / experiment.name
        for leftover in (scratch, results):  # object storage moves a folder file by file, so a part may be there
            remove_folder(leftover, ignore_errors=True)
        scratch.mkdir()
        absent = frozenset({*DATA, *PHOTOGRAPHS}.difference(self._data))
        experiment.compute(Context(self._config, report, cells, absent), scratch)
        write_json(scratch / MADE, _how_made(clock.end(), self._run.device))
        move_folder(scratch, results)
        remove_folder(cells, ignore_errors=True)

    def result(self, store: CellStore) -> list[Finding]:
        """Judges the claims."""
        return _judged(self._run.folder, self._experiments)

    def write(self, result: list[Finding]) -> dict[str, Any]:
        """Writes the scorecard."""
        _write_scorecard(self._run.folder, self._asked, result)
        return {}


def _how_made(seconds: float, device: torch.device) -> dict[str, Any]:
    """How an experiment was made, for those who read its results; the time is that of the last session alone."""
    return {
        "date": datetime.now(timezone.utc).date().isoformat(),
        "seconds": seconds,
        "device": device.type,
        "threads": torch.get_num_threads(),
        "software": software(),
    }


def read_made(folder: Path) -> dict[str, Any]:
    """Reads when, with which software and in what time an experiment was made.

    Raises:
        InvalidInput: the folder holds no complete experiment.
    """
    with reading(folder, "experiment of probatum"):
        made: dict[str, Any] = read_json(folder / MADE)
    return made


def redraw_reproduction(folder: Path, progress: Callable[[str], None] | None = None) -> list[Path]:
    """Draws the figures and judges the claims of a reproduction again, from its stored results.

    Args:
        folder: of a reproduction whose experiments are all there.
        progress: called with each figure's name before it is drawn.

    Returns:
        the figures, and the page last.

    Raises:
        InvalidInput: the folder holds no complete reproduction.
    """
    config = _config_of(folder)
    written: list[Path] = []
    for experiment in _chosen(config):
        place = folder / experiment.name
        with reading(place, f"complete results of {experiment.name}"):
            figures = experiment.draw(place)
        for name, figure in figures.items():
            whole = "-".join(filter(None, (experiment.name, name)))
            if progress is not None:
                progress(whole)
            written += save_figure(figure, figure_place(folder, whole))
    _write_scorecard(folder, config, _judged(folder, _chosen(config)))
    return [*written, write_page(folder, reproduction_page)]


def read_findings(folder: Path) -> list[Finding]:
    """Judges the claims of a reproduction from its stored results; InvalidInput where it is not complete."""
    return _judged(folder, _chosen(_config_of(folder)))


def read_reproduction(folder: Path) -> ReproductionConfig:
    """Reads the configuration of a reproduction's folder; InvalidInput where there is none or it is unfinished."""
    return REPRODUCTION.request(folder)


def _config_of(folder: Path) -> ReproductionConfig:
    """As `read_reproduction`, also of a run whose figures are being drawn for the first time."""
    with reading(folder, "reproduction of probatum"):
        return _from_values(read_json(folder / "config.json"))


def _from_values(values: Mapping[str, Any]) -> ReproductionConfig:
    return ReproductionConfig.from_json(values["config"])


def _chosen(config: ReproductionConfig) -> tuple[Experiment, ...]:
    return get_paper(config.paper).chosen(config.figures)


def _judged(folder: Path, experiments: Sequence[Experiment]) -> list[Finding]:
    findings: list[Finding] = []
    for experiment in experiments:
        with reading(folder / experiment.name, f"complete results of {experiment.name}"):
            found = experiment.judge(folder / experiment.name)
        findings += [replace(finding, experiment=experiment.name) for finding in found]
    return findings


def _write_scorecard(folder: Path, config: ReproductionConfig, findings: list[Finding]) -> None:
    paper = get_paper(config.paper)
    write_json(folder / "scorecard.json", [asdict(finding) for finding in findings])
    write_whole(folder / "scorecard.md", scorecard(paper, config, findings).encode("utf-8", "backslashreplace"))
    facts = {"name": paper.name, "title": paper.title, "citation": paper.citation}
    chosen = [
        {
            "name": one.name,
            "title": one.title,
            "covers": dict(one.covers),
            "numbers": one.numbers,
            "used": _used(folder / one.name),
        }
        for one in paper.chosen(config.figures)
    ]
    write_json(folder / "paper.json", facts | {"experiments": chosen})


def _used(folder: Path) -> str:
    """Networks and data that an experiment used, in words, where its facts tell."""
    files = [folder / name for name in ("facts.json", "config.json")]
    return next((str(read_json(file).get("used", "")) for file in files if file.is_file()), "")


def _variants(config: ReproductionConfig) -> str:
    return f", variants {', '.join(f'`{name}`' for name in config.variants)}" if config.variants else ""


def scorecard(paper: Paper, config: ReproductionConfig, findings: list[Finding]) -> str:
    """The scorecard as a Markdown table: the paper's claim, its number, ours, a verdict."""
    lines = [
        f"# {paper.title}",
        "",
        f"{paper.citation}. Preset `{config.preset}`, seed {config.seed}{_variants(config)}.",
        "",
        f"{tally([asdict(finding) for finding in findings])}.",
        "",
        "| where | claim | paper | ours | verdict | why |",
        "|---|---|---|---|---|---|",
    ]
    for finding in sorted(findings, key=lambda finding: ROLES.index(finding.claim.role)):
        claim = finding.claim
        cells = (
            claim.where,
            claim.statement,
            claim.paper,
            finding.ours,
            finding.verdict,
            joined(finding.why, finding.notes),
        )
        lines.append("| " + " | ".join(" ".join(cell.replace("|", "\\|").split()) for cell in cells) + " |")
    return "\n".join(lines) + "\n"


REPRODUCTION = Kind(
    "reproduction",
    read=_from_values,
    values=lambda config: {"config": config.to_json()},
    prepare=ReproductionRun,
    load=read_findings,
    parts=lambda config: Parts("experiments", tuple(experiment.name for experiment in _chosen(config))),
)
"""A paper's experiments, as runs know them."""
