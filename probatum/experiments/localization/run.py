"""A localization check as a run: configuration in, run folder out."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from probatum.attributions import title_of
from probatum.data import DATASETS
from probatum.engine import prepare
from probatum.errors import InvalidInput
from probatum.experiments.build import choose_device, configured_spec, untrained, will_train
from probatum.experiments.check import explained, identity_of, set_up_together
from probatum.experiments.config import CheckConfig
from probatum.experiments.localization.result import CHANCE, COLUMNS, SETTINGS, LocalizationResult
from probatum.experiments.localization.work import (
    LEAST_CONFIDENCE,
    ROUNDS,
    localization_work,
    pooled_features,
    require_confidence,
)
from probatum.experiments.options import set_fields
from probatum.models import save_checkpoint
from probatum.models.disconnected import join_cells
from probatum.progress import Progress
from probatum.runs.cells import CellStore
from probatum.runs.files import read_arrays, read_json, read_table, reading, write_arrays, write_table
from probatum.runs.fingerprint import weights_hash
from probatum.runs.identity import software
from probatum.runs.kinds import Computation, Kind, execute
from probatum.runs.plain_values import describe
from probatum.runs.ranks import ALONE, Ranks
from probatum.runs.remote import Folder
from probatum.runs.resume import RunInWork, Say

PRESET = "localization"
_MEANINGLESS = ("metrics", "stages", "order", "initializer", "batch_norm")
_LARGEST = 1 << 20  # images and rounds of a folder that is read


@dataclass(frozen=True)
class LocalizationRequest:
    """Request of `probatum check --preset localization`.

    Args:
        config: model, weights, images, methods and their settings; `trials` is the number of rounds. Settings of the
            randomization are refused where they are given.
        least_confidence: as in `localization_check`.
    """

    config: CheckConfig
    least_confidence: float = LEAST_CONFIDENCE

    def __post_init__(self) -> None:
        require_confidence(self.least_confidence)
        if self.config.output is not None:
            raise InvalidInput("localization takes a model that returns the logits alone; leave out --output")
        given = [name for name in _MEANINGLESS if getattr(self.config, name) is not None]
        given += [name for name in ("fold_batch_norm", "until_decided") if getattr(self.config, name)]
        if given:
            options = ", ".join(f"--{name.replace('_', '-')}" for name in given)
            raise InvalidInput(f"localization randomizes nothing and compares no maps; leave out {options}")

    @property
    def device(self) -> str:
        """A torch device, or "auto"."""
        return self.config.device

    @property
    def memory_budget(self) -> str | None:
        """For activations; None is the device's default."""
        return self.config.memory_budget

    def to_json(self) -> dict[str, Any]:
        """The request as the JSON values of `config.json`."""
        return {"config": self.config.to_json(), "least_confidence": self.least_confidence}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "LocalizationRequest":
        """Reads what `to_json` wrote; InvalidInput where it is not that."""
        return cls(CheckConfig.from_json(values["config"]), float(values["least_confidence"]))


def run_localization(
    config: CheckConfig,
    folder: Folder,
    progress: Progress | None = None,
    *,
    least_confidence: float = LEAST_CONFIDENCE,
    ranks: Ranks = ALONE,
    draw: Callable[[Path], object] | None = None,
    say: Say | None = None,
) -> LocalizationResult:
    """Runs a localization check, or what is left of it, and writes its record into a folder.

    The folder receives `config.json`, `results.csv` with one row per image × method × setting × round, and `maps.npz`
    with the first grid and its maps.

    Args:
        config: what to do; see `LocalizationRequest`.
        folder: none, an empty one, or that of an unfinished run of the same configuration.
        progress: as in `run_check`, like the rest.
        least_confidence: as in `localization_check`.
        ranks: the processes that share the work.
        draw: called with the folder when all results are there.
        say: called with sentences about a run that continues.

    Raises:
        InvalidInput, ModelError: as `localization_check`; the folder holds something else.
    """
    device = ranks.device(choose_device(config.device))
    request = LocalizationRequest(config, least_confidence)
    return execute(LOCALIZATION, request, folder, device, progress=progress, ranks=ranks, draw=draw, say=say)


class LocalizationRun(Computation[LocalizationResult]):
    """A localization check whose network and images are loaded.

    Args:
        request: of the check.
        run: its folder and processes.
    """

    def __init__(self, request: LocalizationRequest, run: RunInWork) -> None:
        config = request.config
        self._config, self._least_confidence, self._run = config, request.least_confidence, run
        if will_train(config, run.weights):
            _require_pooling(config)
        self._setup = setup = set_up_together(config, run)
        methods = setup.methods
        if config.layer is None:  # the papers' layers of a network are not its last feature map
            methods = {name: set_fields(each, {"layer": None, "layout": "auto"})[0] for name, each in methods.items()}
        self._work = localization_work(
            setup.model,
            setup.data.images,
            methods,
            labels=setup.data.labels if config.data in DATASETS else None,  # those of photographs number folders
            probabilities=setup.probabilities,
            least_confidence=request.least_confidence,
            rounds=config.trials or ROUNDS,
            seed=config.seed,
            image_names=setup.data.image_names,
            compute=config.compute.limited(run.memory_budget),
        )
        self.cells = len(self._work.cells)

    @property
    def identity(self) -> dict[str, Any]:
        """Configuration, weights, images and software."""
        least = self._least_confidence
        return {"check": PRESET, "least_confidence": least, **identity_of(self._config, self._setup)}

    def compute(self, store: CellStore) -> None:
        """Computes this process's share of the missing cells."""
        self._work.compute(store, self._run.progress, self._run.ranks, self._run.say)

    def result(self, store: CellStore) -> LocalizationResult:
        """Puts the cells together."""
        return self._work.gathered(store.require)

    def write(self, result: LocalizationResult) -> dict[str, Any]:
        """Writes shares, the maps of the first grid and the weights of a network that was trained."""
        folder, setup = self._run.folder, self._setup
        write_table(folder / "results.csv", COLUMNS, ((*row[:-2], *map(repr, row[-2:])) for row in result.rows()))
        rows = [setup.data.image_names.index(result.image_names[image]) for image in result.grids[0][0]]
        picture = join_cells(setup.data.pictures()[rows][None])[0]
        write_arrays(folder / "maps.npz", {"maps": result.maps, "picture": picture.cpu().numpy()})
        if setup.training is not None:
            save_checkpoint(setup.model, folder / "weights.pt")
        return self._record(result)

    def _record(self, result: LocalizationResult) -> dict[str, Any]:
        """Everything besides the request that determines the shares or is needed to read them, as JSON values."""
        setup = self._setup
        places = [setup.data.image_names.index(name) for name in result.image_names]
        return {
            "software": software(),
            "device": setup.data.images.device.type,
            "model": {
                "name": setup.spec.name,
                "title": setup.spec.title,
                "weights_sha256": weights_hash(setup.model),
                "explained": explained(setup),
                "layer": self._work.layer,
            },
            "data": {
                "name": setup.data.name,
                "images": [
                    {
                        "name": name,
                        "target": target,
                        "class": setup.class_name(target),
                        "confidence": float(setup.confidences[place]),
                    }
                    for name, target, place in zip(result.image_names, result.targets, places, strict=True)
                ],
                "left_out": [{"name": name, "why": why} for name, why in result.left_out],
                "preprocessing": describe(setup.data.preprocessing),
                "skipped": [{"name": name, "fault": fault} for name, fault in setup.skipped],
            },
            "methods": {
                name: {"title": title_of(name)} | describe(method) for name, method in self._work.methods.items()
            },
            "refused": [{"method": name, "reason": reason} for name, reason in setup.refused],
            "localization": {
                "chance": CHANCE,
                "grids": [list(map(list, grids)) for grids in result.grids],
                "edges": result.edges,
                "gradient": result.gradient,
            },
        }


def _require_pooling(config: CheckConfig) -> None:
    """Raises ModelError before a network is trained that localization refuses afterwards."""
    spec = configured_spec(config)
    side = spec.input_size or 224  # of a network that takes any size
    image = torch.rand((1, spec.channels or 3, side, side), generator=torch.Generator().manual_seed(0))
    pooled_features(prepare(untrained(config, spec)), image)


def read_localization(folder: Path) -> LocalizationResult:
    """Reads what `run_localization` wrote; InvalidInput where the folder holds no complete check."""
    LOCALIZATION.request(folder)
    with reading(folder, "localization check"):
        values = read_json(folder / "config.json")
        facts, images = values["localization"], values["data"]["images"]
        grids = tuple(tuple(tuple(map(int, grid)) for grid in grids) for grids in facts["grids"])
        methods, names = tuple(map(str, values["methods"])), tuple(str(image["name"]) for image in images)
        rows = read_table(folder / "results.csv", COLUMNS)
        shape = (len(SETTINGS), len(methods), len(names), len(grids))
        if len(rows) != sum(map(len, grids)) * 4 * len(methods) * len(SETTINGS) or max(shape) > _LARGEST:
            raise InvalidInput("results.csv does not hold one row for each image in a grid, method and setting")
        shares, outside = np.full(shape, np.nan), np.full(shape, np.nan)
        for row in rows:
            at = (
                SETTINGS.index(row["setting"]),
                methods.index(row["method"]),
                names.index(row["image"]),
                int(row["round"]),
            )
            shares[at], outside[at] = float(row["share"]), float(row["outside"])
        return LocalizationResult(
            methods,
            names,
            tuple(int(image["target"]) for image in images),
            grids,
            shares,
            outside,
            tuple((str(each["name"]), str(each["why"])) for each in values["data"]["left_out"]),
            str(facts["edges"]),
            str(facts["gradient"]),
            read_arrays(folder / "maps.npz")["maps"],
        )


LOCALIZATION = Kind(
    PRESET,
    read=LocalizationRequest.from_json,
    values=LocalizationRequest.to_json,
    prepare=LocalizationRun,
    load=read_localization,
)
"""The localization check, as runs know it; rooms above draw and show it."""
