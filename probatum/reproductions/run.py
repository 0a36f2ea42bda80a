"""Running a reproduction: experiments into a folder, figures and scorecard from it."""

from collections import Counter
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from probatum.errors import InvalidInput, UnknownName
from probatum.experiments.atomic import write_whole
from probatum.experiments.files import read_json, understood, write_json
from probatum.report.html import write_report
from probatum.report.save import figure_place, save_figure
from probatum.reproductions.base import Context, Finding, Paper, ReproductionConfig
from probatum.reproductions.papers import PAPERS


def get_paper(name: str) -> Paper:
    """Looks a paper up; UnknownName suggests the nearest."""
    if name not in PAPERS:
        raise UnknownName("paper", name, PAPERS)
    return PAPERS[name]


def run_reproduction(
    config: ReproductionConfig, folder: Path, progress: Callable[[int, int, str], None] | None = None
) -> list[Finding]:
    """Computes the chosen experiments of a paper, draws their figures and judges their claims.

    The folder receives `config.json`, one sub-folder for each experiment with what it found, `figures/`, and the
    scorecard as `scorecard.json` and `scorecard.md`; `paper.json` says what was reproduced, `report.html` shows all.

    Args:
        config: what to do.
        folder: an existing, empty folder.
        progress: called with (done, in all, what is being done).

    Raises:
        InvalidInput, ModelError: data or weights are missing; the message tells what and where to put it.
    """
    paper = get_paper(config.paper)
    experiments = paper.chosen(config.figures)
    write_json(folder / "config.json", {"reproduction": config.to_json()})
    for experiment in experiments:

        def report(done: int, total: int, what: str, name: str = experiment.name) -> None:
            if progress is not None:
                progress(done, total, f"{name}: {what}")

        (folder / experiment.name).mkdir()
        experiment.compute(Context(config, report), folder / experiment.name)
    return redraw_reproduction(folder)


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
        with understood(place, f"complete results of {experiment.name}"):
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
    """Reads the configuration of a reproduction's folder; InvalidInput where there is none."""
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
