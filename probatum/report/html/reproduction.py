"""The page of a reproduction: its scorecard and its figures."""

import shlex
from dataclasses import asdict
from pathlib import Path
from typing import Any

from probatum.attributions import title_of
from probatum.experiments.levels import read_levels
from probatum.experiments.verdicts import INSENSITIVE_FROM, SENSITIVE_UP_TO
from probatum.report.html.page import render
from probatum.report.html.pictures import stored_figure
from probatum.report.html.words import count, short_name
from probatum.report.scorecard import tally
from probatum.runs.files import read_json

FIGURES_BUDGET = 4_000_000  # letters of all figures of a page
_VERDICTS = {"reproduced": "good", "not reproduced": "bad", "undecided": "open", "not comparable": "open"}


def reproduction_page(folder: Path, config: dict[str, Any]) -> str:
    """The page of a folder of `probatum reproduce`, whose `config.json` was read."""
    settings = config["config"]
    findings = read_json(folder / "scorecard.json")
    paper = _paper(folder, settings["paper"])
    figures, left_out = _figures(folder, paper)
    warnings = []
    if settings["preset"] != "paper":
        warnings.append(
            f"The preset {settings['preset']!r}: the paper's code paths on fewer and smaller things. What replaces the "
            "paper's data or network is named with the verdicts."
        )
    if settings["weights"] == "none":
        warnings.append("The pretrained model was not trained: its weights are random.")
    if left_out:
        warnings.append(
            f"{count(len(left_out), 'figure')} left out of this page to keep it small; in the folder figures: "
            f"{', '.join(left_out)}."
        )
    return render(
        "reproduction.html.j2",
        title=paper["title"],
        paper=paper,
        summary=tally(findings),
        findings=findings,
        kinds=_VERDICTS,
        checks=_checks(folder, paper),
        bounds=(SENSITIVE_UP_TO, INSENSITIVE_FROM),
        figures=figures,
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


def _checks(folder: Path, paper: dict[str, Any]) -> list[tuple[str, list[dict[str, Any]]]]:
    """The sanity checks of the experiments, by title: raw scores with their chance level, ceiling and share."""
    titles = {entry["name"]: entry["title"] for entry in paper["experiments"]}
    place, found = folder.resolve(), list[tuple[str, list[dict[str, Any]]]]()
    for path in sorted([*place.glob("*/levels*.csv"), *place.glob("*/*/levels*.csv")]):
        experiment = path.relative_to(place).parts[0]
        if not path.resolve().is_relative_to(place) or experiment not in titles:
            continue
        levels = read_levels(path)
        if levels:
            rows = [asdict(level) | {"title": title_of(level.method)} for level in levels]
            found.append((f"{experiment}: {levels[0].check}, after {levels[0].stage}", rows))
    return found


def _figures(folder: Path, paper: dict[str, Any]) -> tuple[list[dict[str, Any]], list[str]]:
    """The figures by experiment, and the names of those that did not fit.

    Figures are found in the folder and matched to experiments by the beginning of their names: a name that
    `paper.json` gives opens no file.
    """
    place = (folder / "figures").resolve()
    files = sorted(place.glob("*.png")) if place.is_dir() else []
    experiments = [(entry["name"], entry["title"]) for entry in paper["experiments"]]
    shown: list[dict[str, Any]] = []
    left_out, used = [], 0
    for path in files:
        if path.resolve().parent != place:  # a link to somewhere else
            continue
        found = stored_figure(path)
        if found is None or used + len(found[0]) > FIGURES_BUDGET:
            left_out.append(path.name)
            continue
        used += len(found[0])
        fitting = [one for one in experiments if path.stem == one[0] or path.stem.startswith(f"{one[0]}-")]
        name, title = max(fitting, key=lambda one: len(one[0]), default=("", ""))
        part = path.stem[len(name) :].strip("-").replace("-", " ") if name else ""
        head = {"name": name or path.stem, "part": part, "experiment": title}
        shown.append(head | {"file": path.name, "uri": found[0], "size": found[1:]})
    order = {name: number for number, (name, _) in enumerate(experiments)}
    return sorted(shown, key=lambda one: order.get(one["name"], len(order))), left_out


def _command(settings: dict[str, Any]) -> str:
    """The command line of the reproduction, quoted for a POSIX shell."""
    words = ["probatum", "reproduce", settings["paper"], *settings["figures"]]
    defaults = {"preset": "quick", "weights": "default", "device": "auto", "seed": 0}
    for name, value in settings.items():
        if name not in ("paper", "figures") and value is not None and value != defaults.get(name):
            words += [f"--{name.replace('_', '-')}", str(value)]
    return shlex.join(words)
