"""The page of a localization check: the answer method by method, the figures and the images."""

from pathlib import Path
from typing import Any

from probatum.attributions import title_of
from probatum.data.datasets import data_title
from probatum.experiments.localization.result import (
    CHANCE,
    DOES_NOT,
    LOCALIZES,
    LOCALIZES_FROM,
    NOT_UP_TO,
    SETTINGS,
    UNDECIDED,
    LocalizationResult,
)
from probatum.experiments.localization.run import PRESET, read_localization
from probatum.experiments.localization.work import LEAST_CONFIDENCE
from probatum.experiments.tables import count
from probatum.report.html.page import render
from probatum.report.html.pictures import stored_figure
from probatum.report.html.words import command, listed, refusals_in_words, settings, short_name

BADGES = {LOCALIZES: "good", DOES_NOT: "bad", UNDECIDED: "open"}
FIGURES = {
    "shares": "The share of each method with its interval, in both settings.",
    "maps": "The first grid: where each method points, for the class of each cell.",
}


def localization_page(folder: Path, config: dict[str, Any]) -> str:
    """The page of a folder of `probatum check --preset localization`, whose `config.json` was read."""
    result = read_localization(folder)
    figures = [
        {"name": name, "words": words, "uri": found[0], "size": found[1:]}
        for name, words in FIGURES.items()
        if (found := stored_figure(folder / "figures" / f"{name}.png")) is not None
    ]
    grids = sum(map(len, result.grids))
    return render(
        "localization.html.j2",
        title=f"Localization of {config['model']['title']} on {short_name(data_title(config['data']['name']))}",
        verdict=_verdict(result),
        story=(
            f"{count(grids, 'grid')} of {count(len(result.image_names), 'image')} were explained, the class of each "
            f"cell in turn. A map that points nowhere has a share of {CHANCE:g}."
        ),
        warnings=[*result.broken, *_warnings(result, config)],
        settings=SETTINGS,
        rows=[
            {
                "title": title_of(method),
                "control": method == result.edges,
                "verdicts": [result.verdict(method, setting) for setting in SETTINGS],
            }
            for method in result.methods
        ],
        badges=BADGES,
        bounds=(NOT_UP_TO, LOCALIZES_FROM),
        chance=CHANCE,
        figures=figures,
        images=config["data"]["images"],
        methods=[(facts["title"], settings(facts)) for facts in config["methods"].values()],
        facts=_facts(config, result),
        commands=[
            ("In the folder of this page:", "probatum rerun . --out ../again"),
            ("Or from anywhere:", _command(config)),
        ],
        data=None,
    )


def _command(config: dict[str, Any]) -> str:
    least = float(config["least_confidence"])
    option = f" --least-confidence {least:g}" if least != LEAST_CONFIDENCE else ""
    return command("check", config["config"] | {"preset": PRESET}) + option


def _verdict(result: LocalizationResult) -> str:
    """The answer in one sentence."""
    if result.broken:
        return "A control failed, so this check says nothing."
    tested = [method for method in result.methods if method != result.edges]
    named = {
        word: [title_of(method) for method in tested if result.verdict(method, "GridPG").word == word]
        for word in BADGES
    }
    found, rest = named[LOCALIZES], f"{len(named[DOES_NOT])} do not, {len(named[UNDECIDED])} are undecided"
    if not found:
        return f"None of {count(len(tested), 'method')} was found to point at the right image of a grid: {rest}."
    return f"{listed(found)} point{'s' * (len(found) == 1)} at the right image of a grid; {rest}."


def _warnings(result: LocalizationResult, config: dict[str, Any]) -> list[str]:
    warnings = refusals_in_words(config["refused"])
    if config["config"]["weights"] == "none":
        warnings.append("The model was not trained: its weights are random, so no cell is the right one.")
    if result.left_out:
        first, why = result.left_out[0]
        number = count(len(result.left_out), "image")
        warnings.append(f"{number} left out: a grid needs images that the model is sure of. The first: {first}, {why}.")
    return warnings


def _facts(config: dict[str, Any], result: LocalizationResult) -> list[tuple[str, str]]:
    model, asked = config["model"], config["config"]
    return [
        ("Model", model["title"]),
        ("Explained", model["explained"]),
        ("Last feature map", model["layer"]),
        ("Hash of the weights", f"SHA-256 {model['weights_sha256']}"),
        ("Images", f"{len(result.image_names)} of {data_title(config['data']['name'])}"),
        ("Rounds", str(len(result.grids))),
        ("Least confidence", str(config["least_confidence"])),
        ("Seed", str(asked["seed"])),
        ("Precision", f"{asked['precision']} on {config['device']}"),
        ("Software", ", ".join(f"{name} {version}" for name, version in config["software"].items())),
    ]
