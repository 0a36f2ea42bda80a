"""Run folders: `config.json`, `results.csv`, `maps/`, written whole or not at all, read with numpy and pandas alone."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from probatum.errors import InvalidInput
from probatum.experiments.result import LEVEL, Failure, SanityResult, Spent
from probatum.runs.files import read_arrays, read_json, read_table, write_arrays, write_table
from probatum.runs.remote import Folder, opened

COLUMNS = ("image", "target", "method", "stage", "step", "trial", "metric", "score", "constant")
CEILING_COLUMNS = ("image", "method", "metric", "score")
CHANCE_COLUMNS = ("image", "method", "stage", "trial", "metric", "score")
SPENT_COLUMNS = ("image", "method", "stage", "trial", "points", "figure", "enough")
FAILURE_COLUMNS = ("image", "method", "stage", "trial", "model")
MOST_LEFT_OUT = 1000  # times the comparisons that were made: a bound on arrays, far above what rounds leave out
_MAP_TYPES = (np.float32, np.float16, np.float64)
_CONSTANT = ("", "reference", "randomized", "both")


def write_results(folder: Path, result: SanityResult) -> None:
    """Writes `results.csv`, one row per image × method × stage × trial × metric, and what stands beside the scores.

    There are rows of the comparisons that the check made. `chance.csv` has a row for each of them, too, and
    `ceiling.csv` one per image × method × metric.

    One file of maps for each kept image holds, for each method, (1 + stages, channel, height, width) float32:
    the trained model's map and then that of each stage in trial 0. `failures.csv` is there if there were any, and
    `spent.csv` if a method adds points until its maps are good enough.
    """
    write_table(folder / "results.csv", COLUMNS, _score_rows(result))
    write_table(
        folder / "ceiling.csv",
        CEILING_COLUMNS,
        (
            (result.image_names[i], result.methods[m], result.metrics[k], repr(float(result.ceiling[m, k, i])))
            for m, k, i in np.argwhere(np.isfinite(result.ceiling)).tolist()
        ),
    )
    axes = (result.methods, result.metrics, result.stages, result.image_names, range(result.scores.shape[-1]))
    write_table(
        folder / "chance.csv",
        CHANCE_COLUMNS,
        (
            (image, method, stage, trial, metric, repr(float(result.chance[place])))
            for place in map(tuple, np.argwhere(np.isfinite(result.chance)).tolist())
            for method, metric, stage, image, trial in [[axis[at] for axis, at in zip(axes, place, strict=True)]]
        ),
    )
    if result.failures:
        rows = [[getattr(failure, name) for name in FAILURE_COLUMNS] for failure in result.failures]
        write_table(folder / "failures.csv", FAILURE_COLUMNS, rows)
    if result.spent:
        rows = [[getattr(each, name) for name in SPENT_COLUMNS] for each in result.spent]
        write_table(folder / "spent.csv", SPENT_COLUMNS, rows)
    if result.maps:
        (folder / "maps").mkdir(exist_ok=True)
    for number, maps in enumerate(result.maps.values()):
        write_arrays(folder / "maps" / map_file(number), maps)


def _score_rows(result: SanityResult) -> Iterator[tuple[object, ...]]:
    for i, image in enumerate(result.image_names):
        for m, method in enumerate(result.methods):
            for s, stage in enumerate(result.stages):
                for t in np.flatnonzero(result.made[m, s, i]).tolist():
                    constant = _CONSTANT[result.constant[m, s, i, t]]
                    for k, metric in enumerate(result.metrics):
                        score = repr(float(result.scores[m, k, s, i, t]))
                        yield image, result.targets[i], method, stage, s + 1, t, metric, score, constant


def map_file(number: int) -> str:
    """The file name of the maps of image `number`; names of images are anybody's and make no file names."""
    return f"{number:03d}.npz"


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


def read_run(folder: Folder) -> Run:
    """Reads a run folder.

    Args:
        folder: of a check, or of one preset of a comparison; also an address in object storage, of which `Run.folder`
            is a copy that stays until the process ends.

    Returns:
        its configuration, its scores and the kept maps, float32, of the first trial.

    Raises:
        InvalidInput: the folder holds no complete run.
    """
    with opened(folder) as path:
        try:
            return _read_run(path)
        except (OSError, ValueError, KeyError, TypeError) as error:
            if (path / "unfinished" / "run.json").is_file():
                raise InvalidInput(
                    f"the run in {path} is not finished; give its command again to continue it"
                ) from error
            raise InvalidInput(f"{path} holds no complete run of probatum: {error}") from error


def _read_run(folder: Path) -> Run:
    config = read_json(folder / "config.json")
    kept = config["kept_images"]
    rows = read_table(folder / "results.csv", COLUMNS)
    names = ("method", "metric", "stage", "image", "trial")
    axes = [tuple(dict.fromkeys(row[name] for row in rows)) for name in names]
    places = [{name: index for index, name in enumerate(axis)} for axis in axes]
    found = [tuple(where[row[name]] for where, name in zip(places, names, strict=True)) for row in rows]
    # First, for a few rows with names of their own would else claim an array of any size.
    largest = math.prod(map(len, axes))
    if not rows or len(set(found)) != len(rows) or largest > (MOST_LEFT_OUT if "rounds" in config else 1) * len(rows):
        raise InvalidInput("results.csv does not hold one row for each image, method, stage, trial and metric")
    scores = np.full([len(axis) for axis in axes], np.nan)
    asked = np.zeros_like(scores, dtype=bool)
    constant = np.zeros([len(axis) for axis in axes], dtype=np.int8)
    for row, place in zip(rows, found, strict=True):
        scores[place], asked[place] = float(row["score"]), True
        constant[place] = _CONSTANT.index(row["constant"])
    methods, metrics, stages, images, _ = axes
    ceiling = np.full([len(methods), len(metrics), len(images)], np.nan)
    for row in read_table(folder / "ceiling.csv", CEILING_COLUMNS):
        ceiling[places[0][row["method"]], places[1][row["metric"]], places[3][row["image"]]] = float(row["score"])
    chance = np.full(scores.shape, np.nan)
    for row in read_table(folder / "chance.csv", CHANCE_COLUMNS):
        chance[tuple(where[row[name]] for where, name in zip(places, names, strict=True))] = float(row["score"])
    targets = {row["image"]: int(row["target"]) for row in rows}
    if not isinstance(kept, list) or not set(kept) <= set(images) or len(set(kept)) < len(kept):
        raise InvalidInput("config.json says of other images than results.csv that their maps were kept")
    maps = {image: read_arrays(folder / "maps" / map_file(number)) for number, image in enumerate(kept)}
    for image, arrays in maps.items():
        _require_maps(image, arrays, methods, len(stages))
    result = SanityResult(
        methods,
        metrics,
        stages,
        images,
        tuple(targets[image] for image in images),
        scores,
        constant[:, 0],
        ceiling,
        chance,
        maps,
        tuple(_failures(folder / "failures.csv")),
        tuple(_spent(folder / "spent.csv")),
        float(config["rounds"]["level"]) if "rounds" in config else LEVEL,
        asked=asked[:, 0] if "rounds" in config else None,
    )
    return Run(folder, config, result)


def _require_maps(image: str, arrays: Mapping[str, np.ndarray], methods: tuple[str, ...], stages: int) -> None:
    """Raises InvalidInput unless there is a map of each method for the trained model and each stage."""
    for method in methods:
        maps = arrays[method]
        if maps.ndim != 4 or len(maps) != 1 + stages or maps.size == 0 or maps.dtype not in _MAP_TYPES:
            raise InvalidInput(f"the maps of {method} for {image} have shape {maps.shape} and type {maps.dtype}")


def _spent(path: Path) -> Iterator[Spent]:
    if path.is_file():
        for row in read_table(path, SPENT_COLUMNS):
            trial = int(row["trial"]) if row["trial"] else None
            place = row["image"], row["method"], row["stage"], trial
            yield Spent(*place, int(row["points"]), float(row["figure"]), row["enough"] == "True")


def _failures(path: Path) -> Iterator[Failure]:
    if path.is_file():
        for row in read_table(path, FAILURE_COLUMNS):
            trial = int(row["trial"]) if row["trial"] else None
            yield Failure(row["image"], row["method"], row["stage"], trial, row["model"])
