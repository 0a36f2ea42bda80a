"""Keeps the scorecards of finished reproductions for the papers' pages.

    probatum reproduce wienecke2021 --out run
    python docs/make_scorecards.py run

One file for each paper: its claims and their verdicts, and by which command they were made.
"""

import argparse
import json
import shlex
from pathlib import Path

import torch
import torchvision

import probatum
from probatum.experiments.build import choose_device
from probatum.reproductions import ReproductionConfig, read_reproduction

FOLDER = Path(__file__).parent / "scorecards"
_PATHS = ("data_dir", "photographs")  # folders of a machine, which no page needs to name


def command(config: ReproductionConfig) -> str:
    """The command that made a run, without what is the default anyway."""
    words = ["probatum", "reproduce", config.paper, *config.figures]
    usual = ReproductionConfig(config.paper).to_json()
    for name, value in config.to_json().items():
        if name not in ("paper", "figures") and value != usual[name]:
            path = name in _PATHS or (name in ("weights", "text_model") and Path(str(value)).exists())
            words += [f"--{name.replace('_', '-')}", "DIR" if name in _PATHS else "FILE" if path else str(value)]
    return shlex.join(words)


def main() -> None:
    """Writes one file for each run folder."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("runs", nargs="+", type=Path, help="folders that `probatum reproduce` made on this machine")
    FOLDER.mkdir(exist_ok=True)
    for run in parser.parse_args().runs:
        config = read_reproduction(run)
        card = {
            "command": command(config),
            "versions": f"probatum {probatum.__version__}, torch {torch.__version__}, "
            f"torchvision {torchvision.__version__}",
            "device": choose_device(config.device).type,
            "findings": json.loads((run / "scorecard.json").read_text(encoding="utf-8")),
        }
        path = FOLDER / f"{config.paper}.json"
        path.write_text(json.dumps(card, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
