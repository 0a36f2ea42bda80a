"""The page of a reproduction: its scorecard and its figures."""

import math
import shlex
from dataclasses import asdict
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any
from urllib.parse import quote

from probatum.attributions import title_of
from probatum.experiments.levels import read_levels
from probatum.experiments.tables import count
from probatum.experiments.verdicts import INSENSITIVE_FROM, SENSITIVE_UP_TO
from probatum.report.html.page import render
from probatum.report.html.pictures import DataURI, stored_figure
from probatum.report.html.words import short_name
from probatum.report.scorecard import VERDICTS, by_role, tally
from probatum.runs.files import read_json

FIGURES_BUDGET = 6_000_000  # letters of all figures of a page; they shrink until they fit, down to the least width
_LARGEST_TABLE = 100_000  # bytes
WIDTHS = (1500, 640)  # pixels, the most and the least that a figure has on the page
_VERDICTS = dict(zip(VERDICTS, ("good", "bad", "open", "open"), strict=True))
_PRESETS = {
    "quick": "The preset 'quick': the paper's code paths on fewer and smaller things. What replaces the paper's data "
    "or network is named with the verdicts.",
    "cpu": "The preset 'cpu': real data and networks in sizes for two cores, which are smaller than the paper's.",
}


def reproduction_page(folder: Path, config: dict[str, Any]) -> str:
    """The page of a folder of `probatum reproduce`, whose `config.json` was read."""
    settings = config["config"]
    findings = by_role(read_json(folder / "scorecard.json"))
    paper = _paper(folder, settings["paper"])
    numbered = [dict(finding, id=f"claim-{number}") for number, finding in enumerate(findings)]
    warnings = [_PRESETS[settings["preset"]]] if settings["preset"] in _PRESETS else []
    if settings["weights"] == "none":
        warnings.append("The pretrained model was not trained: its weights are random.")
    experiments, unreadable = _experiments(folder, paper["experiments"], numbered)
    if unreadable:
        warnings.append(f"{count(len(unreadable), 'figure')} cannot be read: {', '.join(unreadable)}.")
    return render(
        "reproduction.html.j2",
        title=paper["title"],
        paper=paper,
        summary=tally(findings),
        findings=numbered,
        kinds=_VERDICTS,
        experiments=experiments,
        bounds=(SENSITIVE_UP_TO, INSENSITIVE_FROM),
        warnings=warnings,
        facts=[
            ("Paper", paper["citation"] or settings["paper"]),
            ("Experiments", ", ".join(settings["figures"]) or "all"),
            ("Preset", settings["preset"]),
            ("Seed", str(settings["seed"])),
            ("Device", settings["device"]),
            ("Data folder", short_name(settings["data_dir"]) if settings["data_dir"] else "what the package carries"),
            *([("Model", settings["model"])] if settings["model"] else []),
            *([("Photographs", short_name(settings["photographs"]))] if settings["photographs"] else []),
        ],
        commands=[
            ("In the folder of this page:", "probatum rerun . --out ../again"),
            ("Or from anywhere:", _command(settings)),
        ],
        data=None,
    )


def _paper(folder: Path, name: str) -> dict[str, Any]:
    """Title, citation and experiments, from `paper.json`; where a folder has none, its name alone."""
    paper: dict[str, Any] = {"title": f"Reproduction of {name}", "citation": "", "experiments": []}
    if (folder / "paper.json").is_file():
        paper |= read_json(folder / "paper.json")
    return paper


def _experiments(
    folder: Path, experiments: list[dict[str, Any]], findings: list[dict[str, Any]]
) -> tuple[list[dict[str, Any]], list[str]]:
    """Each experiment with its claims, figures and tables, and the names of figures that cannot be read.

    Figures are found in the folder and matched to experiments by the beginning of their names: a name that
    `paper.json` gives opens no file. What belongs to no experiment comes last.
    """
    titles = {str(one["name"]): one for one in experiments}
    shown = {name: one | {"claims": [], "figures": [], "tables": [], "checks": []} for name, one in titles.items()}
    rest = {
        "name": "",
        "title": "More",
        "used": "",
        "covers": {},
        "numbers": [],
        "claims": [],
        "figures": [],
        "tables": [],
        "checks": [],
    }
    for finding in findings:
        shown.get(finding["experiment"], rest)["claims"].append(finding)
    figures, unreadable = _figures(folder)
    for path, picture in figures:
        fitting = [name for name in titles if path.stem == name or path.stem.startswith(f"{name}-")]
        name = max(fitting, key=len, default="")
        one = shown.get(name, rest)
        part = path.stem[len(name) :].removeprefix("-")
        head = {"number": _number(one["covers"], part), "part": part.replace("-", " "), "file": path.name}
        one["figures"].append(head | {"link": f"figures/{quote(path.name)}", "uri": picture[0], "size": picture[1:]})
    for name, one in shown.items():
        one["tables"] = _tables(folder / Path(name).name)
        one["checks"] = _checks(folder / Path(name).name)
    every = [*shown.values(), rest]
    kept = [one for one in every if one["claims"] or one["figures"] or one["tables"] or one["checks"]]
    return [one | {"id": f"experiment-{number}"} for number, one in enumerate(kept)], unreadable


def _checks(place: Path) -> list[tuple[str, list[dict[str, Any]]]]:
    """The sanity checks of an experiment, by title: raw scores with their chance level, ceiling and share."""
    found = []
    for path in sorted([*place.glob("levels*.csv"), *place.glob("*/levels*.csv")]):
        levels = read_levels(path) if path.resolve().is_relative_to(place.resolve()) else []  # no link to elsewhere
        if levels:
            rows = [asdict(level) | {"title": title_of(level.method)} for level in levels]
            found.append((f"{levels[0].check}, after {levels[0].stage}", rows))
    return found


def _number(covers: dict[str, str], part: str) -> str:
    """The paper's figure that a part shows: the first whose pattern fits; "" if none."""
    return next((number for number, pattern in covers.items() if fnmatchcase(part, pattern)), "")


def _figures(
    folder: Path, budget: int = FIGURES_BUDGET, widths: tuple[int, int] = WIDTHS
) -> tuple[list[tuple[Path, tuple[DataURI, int, int]]], list[str]]:
    """All figures of a folder, small enough that the page stays small, and the names of those that cannot be read."""
    place = (folder / "figures").resolve()
    files = sorted(place.glob("*.png")) if place.is_dir() else []
    files = [path for path in files if path.resolve().parent == place]  # no link to somewhere else
    found = {path: stored_figure(path, widths[0]) for path in files}
    size = sum(len(picture[0]) for picture in found.values() if picture is not None)
    if size > budget:
        width = max(widths[1], int(widths[0] * math.sqrt(budget / size)))
        found = {path: picture and stored_figure(path, width) for path, picture in found.items()}
    readable = [(path, picture) for path, picture in found.items() if picture is not None]
    return readable, [path.name for path, picture in found.items() if picture is None]


def _tables(folder: Path) -> list[list[list[str]]]:
    """The tables that an experiment wrote as Markdown, `table*.md`: rows of cells, the heads first."""
    tables = []
    for path in sorted(folder.glob("table*.md")) if folder.is_dir() else ():
        if path.is_symlink() or path.stat().st_size > _LARGEST_TABLE:
            continue
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
        rows = [[cell.strip() for cell in line.strip("| ").split("|")] for line in lines if line.startswith("|")]
        rows = [row for row in rows if not all(set(cell) <= set("-: ") for cell in row)]
        if len(rows) > 1:
            tables.append([row[: len(rows[0])] for row in rows])
    return tables


def _command(settings: dict[str, Any]) -> str:
    """The command line of the reproduction, quoted for a POSIX shell."""
    words = ["probatum", "reproduce", settings["paper"], *settings["figures"]]
    defaults = {"preset": "quick", "weights": "default", "device": "auto", "seed": 0}
    for name, value in settings.items():
        if name not in ("paper", "figures") and value is not None and value != defaults.get(name):
            words += [f"--{name.replace('_', '-')}", str(value)]
    return shlex.join(words)
