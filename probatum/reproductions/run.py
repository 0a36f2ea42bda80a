"""Running a reproduction: experiments into a folder, figures and scorecard from it."""

import hashlib
import shutil
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from probatum.errors import InvalidInput, UnknownName
from probatum.experiments.build import choose_device
from probatum.progress import Progress
from probatum.report.html import write_report
from probatum.report.save import figure_place, save_figure
from probatum.reproductions.base import Context, Finding, Paper, ReproductionConfig
from probatum.reproductions.papers import PAPERS
from probatum.runs.files import read_json, reading, write_json
from probatum.runs.identity import identity_of_software
from probatum.runs.ranks import ALONE
from probatum.runs.resume import requested, run_in_work
from probatum.storage import sync, sync_all, write_whole


def get_paper(name: str) -> Paper:
    """Looks a paper up; UnknownName suggests the nearest."""
    if name not in PAPERS:
        raise UnknownName("paper", name, PAPERS)
    return PAPERS[name]


def run_reproduction(
    config: ReproductionConfig,
    folder: Path,
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
    asked = asked_of(config)
    experiments = get_paper(config.paper).chosen(config.figures)
    device = choose_device(config.device)
    with run_in_work(folder, config, device, ALONE, experiments=asked["experiments"]) as work:
        work.identify(_inputs_of(config) | identity_of_software(device, (".",)))
        budget = work.rounding_settings["memory_budget"]
        settled = config if budget is None else replace(config, memory_budget=str(budget))
        there = [experiment.name for experiment in experiments if (folder / experiment.name).is_dir()]
        if there and say is not None:
            say(f"continuing: of {len(experiments)} experiments {', '.join(there)} are there")
        for experiment in experiments:

            def report(done: int, total: int, what: str, name: str = experiment.name) -> None:
                if progress is not None:
                    progress(done, total, f"{name}: {what}")

            if experiment.name in there:
                continue
            cells, scratch = work.state / "cells", work.state / experiment.name
            shutil.rmtree(scratch, ignore_errors=True)
            scratch.mkdir()
            experiment.compute(Context(settled, report, cells), scratch)
            sync_all(scratch)
            scratch.rename(folder / experiment.name)
            sync(folder)
            shutil.rmtree(cells, ignore_errors=True)
        write_json(folder / "config.json", {"reproduction": config.to_json()})
        findings = redraw_reproduction(folder)
        work.finish()
    return findings


def _inputs_of(config: ReproductionConfig) -> dict[str, str]:
    """What is read: a hash of each file that is named, and of the names and sizes of what lies in each folder."""
    found = {}
    for name in ("data_dir", "photographs", "weights", "text_model"):
        path = Path(getattr(config, name) or "")
        if not getattr(config, name) or not path.exists():
            continue
        if path.is_file():
            content = path.read_bytes()
        else:  # three levels; the data sets that are deeper have many files, and their lists lie above them
            parts = (part for depth in ("*", "*/*", "*/*/*") for part in path.glob(depth) if part.is_file())
            content = repr(sorted((str(part.relative_to(path)), part.stat().st_size) for part in parts)).encode()
        found[name] = hashlib.sha256(content).hexdigest()
    return found


def asked_of(config: ReproductionConfig) -> dict[str, Any]:
    """What an unfinished reproduction says it was asked to do."""
    names = [experiment.name for experiment in get_paper(config.paper).chosen(config.figures)]
    return {"config": config.to_json(), "experiments": names}


def redraw_reproduction(folder: Path) -> list[Finding]:
    """Draws the figures and judges the claims of a finished reproduction again, from its stored results.

    Raises:
        InvalidInput: the folder holds no complete reproduction.
    """
    config = read_reproduction(folder)
    paper = get_paper(config.paper)
    findings: list[Finding] = []
    for experiment in paper.chosen(config.figures):
        place = folder / experiment.name
        with reading(place, f"complete results of {experiment.name}"):
            figures = experiment.draw(place)
            findings += experiment.judge(place)
        for name, figure in figures.items():
            save_figure(figure, figure_place(folder, "-".join(filter(None, (experiment.name, name)))))
    write_json(folder / "scorecard.json", [asdict(finding) for finding in findings])
    write_whole(folder / "scorecard.md", scorecard(paper, config, findings).encode("utf-8", "backslashreplace"))
    facts = {"name": paper.name, "title": paper.title, "citation": paper.citation}
    chosen = [{"name": one.name, "title": one.title} for one in paper.chosen(config.figures)]
    write_json(folder / "paper.json", facts | {"experiments": chosen})
    write_report(folder)
    return findings


def is_reproduction(folder: Path) -> bool:
    """Tells a reproduction's folder from another run's, by its configuration."""
    try:
        return "reproduction" in read_json(folder / "config.json")
    except (OSError, ValueError, TypeError):
        return False


def read_reproduction(folder: Path) -> ReproductionConfig:
    """Reads the configuration of a reproduction's folder; InvalidInput where there is none or it is unfinished."""
    if "experiments" in (requested(folder) or {}) and not (folder / "config.json").is_file():
        raise InvalidInput(f"the reproduction in {folder} is not finished; give its command again to continue it")
    try:
        values = read_json(folder / "config.json")
        return ReproductionConfig.from_json(values["reproduction"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InvalidInput(f"{folder} holds no reproduction of probatum: {error}") from error


def scorecard(paper: Paper, config: ReproductionConfig, findings: list[Finding]) -> str:
    """The scorecard as a Markdown table: the paper's claim, its number, ours, a verdict."""
    counts = Counter(finding.verdict for finding in findings)
    lines = [
        f"# {paper.title}",
        "",
        f"{paper.citation}. Preset `{config.preset}`, seed {config.seed}.",
        "",
        ", ".join(f"{count} {verdict}" for verdict, count in counts.items()) or "No claim was tested.",
        "",
        "| where | claim | paper | ours | verdict | why |",
        "|---|---|---|---|---|---|",
    ]
    for finding in findings:
        claim = finding.claim
        cells = (claim.where, claim.statement, claim.paper, finding.ours, finding.verdict, finding.why)
        lines.append("| " + " | ".join(" ".join(cell.replace("|", "\\|").split()) for cell in cells) + " |")
    return "\n".join(lines) + "\n"
