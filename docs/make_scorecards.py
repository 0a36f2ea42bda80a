"""Keeps the scorecards and main figures of finished reproductions for the papers' pages.

    probatum reproduce wienecke2021 --preset cpu --data-dir DIR --out run
    python docs/make_scorecards.py run

One file and one folder of figures for each paper. Experiments of a paper may come from several runs, such as runs with
different networks. Claims are judged from the stored results by the rules of today.
"""

import argparse
import json
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from PIL import Image

from probatum.reproductions import Experiment, Paper, ReproductionConfig, get_paper, read_findings, read_reproduction
from probatum.reproductions.run import read_made

FOLDER = Path(__file__).parent / "scorecards"
FIGURES = Path(__file__).parent / "figures" / "papers"
_PATHS = ("data_dir", "photographs")  # folders of a machine, which no page needs to name
_WIDTH = 1100  # pixels, at most
_MEASURES = ("-effect", "-methods", "-similarity", "-spearman-abs", "-ssim")  # ends of the names of figures
_PHOTOGRAPHS = (
    *("adebayo2018/edge-detector-methods", "adebayo2018/imagenet-*-grid-*", "adebayo2018/imagenet-*-guided-backprop"),
    *("adebayo2018/simple-models-sum-pooling", "kokhlikyan2021/figure1", "kokhlikyan2021/figure1-diverging"),
    *("kokhlikyan2021/figure6", "kokhlikyan2021/figure6-diverging", "shin2021/figure1", "shin2021/figure2"),
    *("shin2021/figures5-6-figure5*", "wienecke2021/figure4", "wienecke2021/figure6", "wienecke2021/failures-*"),
    *("yona2021/figure3", "yona2021/figure6", "yona2021/figure7", "transformers/photographs-maps"),
)
"""Figures that show photographs of ImageNet, which are not ours to publish."""
_QUALITY = 75  # of WebP, at which figures of maps have about 100 kB


def command(config: ReproductionConfig) -> str:
    """The command that made a run, without what is the default anyway."""
    words = ["probatum", "reproduce", config.paper, *config.figures]
    usual = ReproductionConfig(config.paper).to_json()
    for name, value in config.to_json().items():
        if name not in ("paper", "figures", "device") and value != usual[name]:
            path = name in _PATHS or (name in ("weights", "text_model") and Path(str(value)).exists())
            words += [f"--{name.replace('_', '-')}", "DIR" if name in _PATHS else "FILE" if path else str(value)]
    return shlex.join(words)


def card(paper: Paper, runs: Sequence[Path]) -> dict[str, Any]:
    """The claims of a paper with their verdicts, and how each run was made; an experiment is that of the last run."""
    source = {name: run for run in runs for name in _experiments(run)}
    findings = {run: [asdict(finding) for finding in read_findings(run)] for run in runs}
    computed = [experiment for experiment in paper.experiments if experiment.name in source]
    return {
        "runs": [_how_made(run, [one.name for one in computed if source[one.name] == run]) for run in runs],
        "not_computed": [experiment.name for experiment in paper.experiments if experiment not in computed],
        "findings": [
            finding for one in computed for finding in findings[source[one.name]] if finding["experiment"] == one.name
        ],
        "figures": [figure for one in computed for figure in _kept(one, source[one.name])],
    }


def _experiments(run: Path) -> list[str]:
    config = read_reproduction(run)
    return [experiment.name for experiment in get_paper(config.paper).chosen(config.figures)]


def _how_made(run: Path, experiments: Sequence[str]) -> dict[str, Any]:
    config = read_reproduction(run)
    parts = [read_made(run / name) for name in experiments]
    names = ("probatum", "torch", "torchvision")
    return {
        "command": command(config),
        "date": max(part["date"] for part in parts),
        "versions": ", ".join(f"{name} {parts[0]['software'][name]}" for name in names),
        "device": parts[0]["device"],
        "hours": round(sum(part["seconds"] for part in parts) / 3600, 2),
        "experiments": list(experiments),
    }


def _kept(experiment: Experiment, run: Path) -> Iterator[dict[str, str]]:
    """Stores, for each figure of the paper, the first of ours that shows it and one that measures it, made small."""
    for number in experiment.numbers:
        found = list(_figures(run, experiment, number))
        measured = [path for path in found if path.stem.endswith(_MEASURES)]
        for source in dict.fromkeys([*found[:1], *measured[:1]]):
            target = FIGURES / read_reproduction(run).paper / f"{source.stem.replace(':', '-')}.webp"
            target.parent.mkdir(parents=True, exist_ok=True)
            _shrink(source, target)
            yield {"experiment": experiment.name, "number": number, "file": target.name}


def _figures(run: Path, experiment: Experiment, number: str) -> Iterator[Path]:
    """The figures of a run that show one of the paper's."""
    folder, name, paper = run / "figures", experiment.name, read_reproduction(run).paper
    for path in [*folder.glob(f"{name}.png"), *sorted(folder.glob(f"{name}-*.png"))]:
        part = path.stem[len(name) :].removeprefix("-")
        shown = next((one for one, pattern in experiment.covers.items() if fnmatchcase(part, pattern)), None)
        public = not any(fnmatchcase(f"{paper}/{path.stem}", pattern) for pattern in _PHOTOGRAPHS)
        if shown == number and public:
            yield path


def _shrink(source: Path, target: Path) -> None:
    with Image.open(source) as figure:
        width = min(figure.width, _WIDTH)
        small = figure.convert("RGB").resize((width, round(figure.height * width / figure.width)))
    small.save(target, quality=_QUALITY, method=6)


def main() -> None:
    """Writes the file and the figures of each paper of the runs."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("runs", nargs="+", type=Path, help="folders that `probatum reproduce` made")
    FOLDER.mkdir(exist_ok=True)
    by_paper: dict[str, list[Path]] = {}
    for run in parser.parse_args().runs:
        by_paper.setdefault(read_reproduction(run).paper, []).append(run)
    for name, runs in by_paper.items():
        text = json.dumps(card(get_paper(name), runs), indent=1, ensure_ascii=False)
        (FOLDER / f"{name}.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
