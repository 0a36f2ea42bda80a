"""Run folders: `config.json`, `results.csv`, `maps/`, written whole or not at all, read with numpy and pandas alone."""

import csv
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from probatum.errors import InvalidInput
from probatum.experiments.config import CheckConfig
from probatum.experiments.sanity import SanityResult

COLUMNS = ("image", "target", "method", "stage", "step", "trial", "metric", "score", "constant")
CEILING_COLUMNS = ("image", "method", "metric", "score")
_CONSTANT = ("", "reference", "randomized", "both")


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """Gives a scratch folder beside `path`; it takes that name when the block ends well, and vanishes otherwise.

    Raises:
        InvalidInput: there is something at `path` already, or its parent cannot be written.
    """
    if path.exists():
        raise InvalidInput(f"{path} exists already; choose another --out, or remove it yourself")
    made = [folder for folder in path.parents if not folder.exists()]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    except OSError as error:
        raise InvalidInput(f"the results cannot be written to {path}: {error.strerror}") from error
    try:
        yield scratch
        os.chmod(scratch, 0o755)
        os.rename(scratch, path)
    except BaseException:
        shutil.rmtree(scratch, ignore_errors=True)
        with suppress(OSError):  # somebody else may have put something there
            for folder in made:
                folder.rmdir()
        raise


def write_json(path: Path, values: Any) -> None:
    """Writes readable JSON."""
    path.write_text(json.dumps(values, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def write_results(folder: Path, result: SanityResult) -> None:
    """Writes `results.csv`, one row per image × method × stage × trial × metric, `ceiling.csv` and `maps/`.

    One file of maps for each kept image holds, for each method, (1 + stages, channel, height, width) float32:
    the trained model's map and then that of each stage in trial 0.
    """
    with open(folder / "results.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for i, image in enumerate(result.image_names):
            for m, method in enumerate(result.methods):
                for s, stage in enumerate(result.stages):
                    for t in range(result.scores.shape[4]):
                        constant = _CONSTANT[result.constant[m, s, i, t]]
                        for k, metric in enumerate(result.metrics):
                            score = repr(float(result.scores[m, k, s, i, t]))
                            target = result.targets[i]
                            writer.writerow((image, target, method, stage, s + 1, t, metric, score, constant))
    with open(folder / "ceiling.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(CEILING_COLUMNS)
        for m, k, i in np.argwhere(np.isfinite(result.ceiling)).tolist():
            score = repr(float(result.ceiling[m, k, i]))
            writer.writerow((result.image_names[i], result.methods[m], result.metrics[k], score))
    if result.maps:
        (folder / "maps").mkdir()
    for number, maps in enumerate(result.maps.values()):
        np.savez(folder / "maps" / map_file(number), allow_pickle=False, **maps)


def map_file(number: int) -> str:
    """The file name of the maps of image `number`; names of images are anybody's and make no file names."""
    return f"{number:03d}.npz"


def read_config(folder: Path) -> CheckConfig:
    """Reads the configuration of a run folder; InvalidInput where there is none."""
    try:
        values = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        return CheckConfig.from_json(values["config"])
    except (OSError, KeyError, TypeError, json.JSONDecodeError) as error:
        raise InvalidInput(f"{folder} holds no run of probatum: {error}") from error


@dataclass(frozen=True, eq=False)
class Run:
    """A run folder that was read back.

    Args:
        folder: where it lies.
        config: what `config.json` holds.
        result: the scores and kept maps.
    """

    folder: Path
    config: dict[str, Any]
    result: SanityResult


def read_run(folder: Path) -> Run:
    """Reads a run folder.

    Raises:
        InvalidInput: the folder holds no complete run.
    """
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        with open(folder / "results.csv", newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        names = ("method", "metric", "stage", "image", "trial")
        axes = [list(dict.fromkeys(row[name] for row in rows)) for name in names]
        scores = np.full([len(axis) for axis in axes], np.nan)
        constant = np.zeros([len(axis) for axis in axes], dtype=np.int8)
        places = [{name: index for index, name in enumerate(axis)} for axis in axes]
        for row in rows:
            place = tuple(where[row[name]] for where, name in zip(places, names, strict=True))
            scores[place] = float(row["score"])
            constant[place] = _CONSTANT.index(row["constant"])
        ceiling = np.full([len(places[0]), len(places[1]), len(places[3])], np.nan)
        with open(folder / "ceiling.csv", newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                ceiling[places[0][row["method"]], places[1][row["metric"]], places[3][row["image"]]] = row["score"]
        targets = {row["image"]: int(row["target"]) for row in rows}
        maps = {}
        for number, image in enumerate(config["kept_images"]):
            with np.load(folder / "maps" / map_file(number), allow_pickle=False) as stored:
                maps[image] = {name: stored[name] for name in stored.files}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InvalidInput(f"{folder} holds no complete run of probatum: {error}") from error
    methods, metrics, stages, images, _ = (tuple(axis) for axis in axes)
    result = SanityResult(
        methods,
        metrics,
        stages,
        images,
        tuple(targets[image] for image in images),
        scores,
        constant[:, 0],
        ceiling,
        maps,
    )
    return Run(folder, config, result)
