"""Run folders: `config.json`, `results.csv`, `maps/`, written whole or not at all, read with numpy and pandas alone."""

import csv
import io
import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from probatum.errors import InvalidInput
from probatum.experiments.atomic import write_whole
from probatum.experiments.config import CheckConfig
from probatum.experiments.result import Failure, SanityResult

COLUMNS = ("image", "target", "method", "stage", "step", "trial", "metric", "score", "constant")
CEILING_COLUMNS = ("image", "method", "metric", "score")
FAILURE_COLUMNS = ("image", "method", "stage", "trial", "model")
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
    write_whole(path, (json.dumps(values, indent=2, ensure_ascii=False) + "\n").encode())


def write_arrays(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Writes an `.npz`."""
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **arrays)
    write_whole(path, buffer.getvalue())


def write_table(path: Path, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Writes a CSV file."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    write_whole(path, text.getvalue().encode())


def write_results(folder: Path, result: SanityResult) -> None:
    """Writes `results.csv`, one row per image × method × stage × trial × metric, `ceiling.csv` and `maps/`.

    One file of maps for each kept image holds, for each method, (1 + stages, channel, height, width) float32:
    the trained model's map and then that of each stage in trial 0. `failures.csv` is there if there were any.
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
    if result.failures:
        rows = [[getattr(failure, name) for name in FAILURE_COLUMNS] for failure in result.failures]
        write_table(folder / "failures.csv", FAILURE_COLUMNS, rows)
    if result.maps:
        (folder / "maps").mkdir(exist_ok=True)
    for number, maps in enumerate(result.maps.values()):
        write_arrays(folder / "maps" / map_file(number), maps)


def _score_rows(result: SanityResult) -> Iterator[tuple[object, ...]]:
    for i, image in enumerate(result.image_names):
        for m, method in enumerate(result.methods):
            for s, stage in enumerate(result.stages):
                for t in range(result.scores.shape[4]):
                    constant = _CONSTANT[result.constant[m, s, i, t]]
                    for k, metric in enumerate(result.metrics):
                        score = repr(float(result.scores[m, k, s, i, t]))
                        yield image, result.targets[i], method, stage, s + 1, t, metric, score, constant


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
        failures = tuple(_failures(folder / "failures.csv"))
    except (OSError, ValueError, KeyError, TypeError) as error:
        if (folder / "unfinished" / "run.json").is_file():
            raise InvalidInput(f"the run in {folder} is not finished; give its command again to continue it") from error
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
        failures,
    )
    return Run(folder, config, result)


def _failures(path: Path) -> Iterator[Failure]:
    if path.is_file():
        with open(path, newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                trial = int(row["trial"]) if row["trial"] else None
                yield Failure(row["image"], row["method"], row["stage"], trial, row["model"])
