"""The page of explained images, what `probatum attribute` leaves."""

from pathlib import Path
from typing import Any

import numpy as np

from probatum.attributions import METHODS, is_control
from probatum.experiments.run_folder import map_file
from probatum.experiments.tables import count
from probatum.report.html.explorer import explorer, pictures_of
from probatum.report.html.page import render
from probatum.report.html.words import command, refusals_in_words, settings, short_name
from probatum.runs.files import read_arrays
from probatum.runs.kinds import GIVEN


def explanation_page(folder: Path, run: dict[str, Any]) -> str:
    """The page of a folder of `probatum attribute`, whose `config.json` was read."""
    names, title = list(run["methods"]), str(run["model"]["title"])
    pictures = None
    if (folder / "images.npz").is_file():
        pictures = read_arrays(folder / "images.npz")["pictures"]
    shown = pictures_of(pictures, len(run["images"]))
    images = [
        facts
        | {
            "name": facts["image"],
            "title": f"{facts['class']} ({facts['image']})",
            "picture": shown[index] if index < len(shown) else None,
        }
        for index, facts in enumerate(run["images"])
    ]

    def read(image: int) -> list[np.ndarray]:
        # The name of the file is ours, not the one that config.json may give.
        stored = read_arrays(folder / "maps" / map_file(image))
        return [stored[name][None] for name in names]

    methods = [
        {
            "title": run["methods"][name]["title"],
            "settings": settings(run["methods"][name]),
            "source": METHODS[name].source if name in METHODS else "",
        }
        for name in names
    ]
    controls = [is_control(name) for name in names]
    browser = explorer(
        methods=[method["title"] for method in methods],
        controls=controls,
        stages=["maps"],
        images=images,
        metrics=[],
        read=read,
    )
    warnings = refusals_in_words(run["refused"])
    if run["failures"]:
        warnings.append(f"{count(len(run['failures']), 'map')} with NaN or infinite values cannot be shown.")
    if run["config"]["weights"] == "none":
        warnings.append("The model was not trained: its weights are random, so there was nothing to explain.")
    if browser is not None and browser.left_out:
        warnings.append(
            f"The maps of {count(browser.left_out, 'image')} are left out of this page to keep it small; they are in "
            "the folder maps."
        )
    return render(
        "explanation.html.j2",
        title=f"Maps of {title}",
        story=(
            f"{title[:1].upper()}{title[1:]} was explained on {count(len(images), 'image')} by "
            f"{count(len(names) - sum(controls), 'method')}. A map shows which pixels speak for the class, if the "
            "method can be trusted; probatum check tests that."
        ),
        warnings=warnings,
        images=images,
        methods=methods,
        browser=browser,
        facts=_facts(run),
        commands=_commands(run),
        data=browser.data if browser else None,
    )


def _facts(run: dict[str, Any]) -> list[tuple[str, str]]:
    config = run["config"]
    kept = {
        "train": "trained for these maps",
        "default": "published weights",
        "none": "random, untrained",
        "given": "of the model that was given",
    }
    return [
        ("Model", run["model"]["title"]),
        ("Weights", kept.get(config["weights"]) or f"checkpoint {short_name(config['weights'])}"),
        ("Hash of the weights", f"SHA-256 {run['model']['weights_sha256']}"),
        ("Seed", str(config["seed"])),
        ("Precision", config["precision"]),
        *([("Software", ", ".join(f"{n} {v}" for n, v in run["software"].items()))] if "software" in run else []),
    ]


def _commands(run: dict[str, Any]) -> list[tuple[str, str]]:
    """How to compute the maps again, where the folder says from what: `sources` and `target` of `config.json`."""
    if GIVEN in run:
        call = f"probatum.{run[GIVEN]['call']}(model, images, folder, ...)"
        return [("In Python, with the settings in config.json:", call)]
    if "sources" not in run:
        return []
    line = command("attribute", run["config"], run["sources"], skip=("data", "metrics", "keep_maps", "preset"))
    target = "" if run.get("target") is None else f" --target {int(run['target'])}"
    kinds = ",".join(map(str, run.get("formats", ())))
    formats = f" --format {kinds}" if kinds not in ("", "npz") else ""
    return [("From anywhere:", f"{line}{target}{formats} --out again")]
