"""Cells of a sanity check put together to its result, and the progress of the passes that compute them."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from probatum.engine import Tick
from probatum.experiments.chance import chance_by_image
from probatum.experiments.result import AGAIN, TRAINED, Failure, SanityResult, Spent
from probatum.progress import Progress
from probatum.runs.cells import Arrays, Cell

if TYPE_CHECKING:
    from probatum.experiments.sanity import SanityWork


class ResultBuilder:
    """Puts cells together, in whatever order they come."""

    def __init__(self, work: "SanityWork") -> None:
        self._work = work
        methods, metrics, stages, images = map(len, (work.methods, work.metrics, work.stages, work.images))
        self._scores = np.full((methods, metrics, stages, images, work.trials), np.nan)
        self._constant = np.zeros((methods, stages, images, work.trials), dtype=np.int8)
        self._ceiling = np.full((methods, metrics, images), np.nan)
        others = max(map(len, work.partners))
        self._pairs = np.full((methods, metrics, stages, images, others, work.trials), np.nan)
        self._maps: dict[int, dict[str, dict[int, np.ndarray]]] = {}
        self._failures: dict[Cell, list[Failure]] = {}
        self._spent: dict[Cell, list[Spent]] = {}

    def add(self, cell: Cell, found: Arrays) -> None:
        """Takes what was computed for a cell."""
        if cell.trial is None:
            self._ceiling[..., cell.part] = found["ceiling"]
        else:
            self._scores[..., cell.part, cell.trial] = found["scores"]
            self._pairs[..., cell.part, : found["chance"].shape[-1], cell.trial] = found["chance"]
            self._constant[..., cell.part, cell.trial] = found["constant"]
        self._failures[cell] = list(self._failed(cell, found["failed"]))
        self._spent[cell] = list(self._spendings(cell, found["spent"])) if "spent" in found else []
        if cell.trial:
            return
        for row, name in enumerate(self._work.methods):
            for position, image in enumerate(self._work.kept(cell)):
                maps = found[f"maps/{row}"][position].astype(np.float32)
                parts = self._maps.setdefault(image, {}).setdefault(name, {})
                parts[0 if cell.trial is None else 1] = maps if cell.trial is not None else maps[None]

    def result(self) -> SanityResult:
        """The result, once all cells were added."""
        work = self._work
        return SanityResult(
            tuple(work.methods),
            tuple(work.metrics),
            work.stages,
            work.image_names,
            tuple(int(target) for target in work.targets),
            self._scores,
            self._constant,
            self._ceiling,
            chance_by_image(self._pairs, work.partners),
            {
                work.image_names[image]: {name: concatenated([parts[0], parts[1]]) for name, parts in maps.items()}
                for image, maps in sorted(self._maps.items())
            },
            tuple(failure for cell in work.cells for failure in self._failures[cell]),
            tuple(spent for cell in work.cells for spent in self._spent[cell]),
            work.level,
            work.draws,
            work.asked if work.rounds else None,
        )

    def _failed(self, cell: Cell, failed: np.ndarray) -> Iterator[Failure]:
        """The failures of a cell; `failed` is (seed, method, image) or (method, stage, image)."""
        work = self._work
        for first, second, position in np.argwhere(failed).tolist():
            method, stage = (second, (TRAINED, AGAIN)[first]) if cell.trial is None else (first, work.stages[second])
            image = work.image_names[cell.first + position]
            yield Failure(image, tuple(work.methods)[method], stage, cell.trial, work.trained.name)

    def _spendings(self, cell: Cell, spent: np.ndarray) -> Iterator[Spent]:
        """What the maps of a cell took; `spent` is (version, method, image, 3), NaN for methods of fixed points."""
        work = self._work
        stages = (TRAINED, AGAIN) if cell.trial is None else work.stages
        for version, method, position in np.argwhere(np.isfinite(spent[..., 0])).tolist():
            points, figure, enough = spent[version, method, position].tolist()
            image, name = work.image_names[cell.first + position], tuple(work.methods)[method]
            yield Spent(image, name, stages[version], cell.trial, int(points), figure, bool(enough))


def concatenated(parts: Sequence[np.ndarray]) -> np.ndarray:
    """Maps one after another; those of NaN that stand for maps of unknown channels get the channels of the others."""
    shape = np.broadcast_shapes(*(part.shape[1:] for part in parts))
    return np.concatenate([np.broadcast_to(part, (len(part), *shape)) for part in parts])


class PassedCells:
    """Stands in for a folder of cells: passes them on, and keeps the trained model's of the group in work."""

    def __init__(self, builder: ResultBuilder) -> None:
        self._builder = builder
        self._trained: dict[Cell, Arrays] = {}
        self._group_ended = False

    def load(self, cell: Cell) -> Arrays | None:
        """Nothing is stored beforehand."""
        return None

    def save(self, cell: Cell, arrays: Arrays) -> None:
        """Takes a cell into the result."""
        self._builder.add(cell, arrays)
        if cell.trial is not None:
            self._group_ended = True
            return
        if self._group_ended:
            self._trained.clear()
            self._group_ended = False
        self._trained[cell] = arrays

    def require(self, cell: Cell) -> Arrays:
        """The trained model's maps of the group in work."""
        return self._trained[cell]


class Ticker:
    """Adds up passes over the images; assumes that every pass costs as much as the first.

    Args:
        progress: called with the points done, all points, and the words of the pass.
        passes: of all methods over one image each, in all.
    """

    def __init__(self, progress: Progress | None, passes: int) -> None:
        self._progress = progress
        self._rounds = passes
        self._per_image = 0.0
        self._before = 0.0

    def move_to(self, passes: int) -> None:
        """Counts so many passes as done, as where other processes share the work."""
        self._before = self._per_image * passes

    def started(self, what: str, images: int) -> Tick | None:
        """Returns the callback of one pass over some of the images."""
        if self._progress is None:
            return None
        report = self._progress

        def tick(done: int, total: int) -> None:
            self._per_image = self._per_image or total / images
            whole = self._per_image * images
            report(round(self._before + whole * done / total), round(self._per_image * self._rounds), what)
            if done == total:
                self._before += whole

        return tick
