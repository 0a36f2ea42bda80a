"""The smallest kind of run: the squares of some numbers, one a cell."""

from dataclasses import asdict, dataclass

import numpy as np

from probatum.runs.cells import Cell
from probatum.runs.files import read_arrays, write_arrays
from probatum.runs.kinds import Computation, Kind


@dataclass(frozen=True)
class Squares:
    """Asks for the squares of some numbers."""

    count: int
    device: str = "cpu"
    memory_budget: None = None


class SquaresRun(Computation[np.ndarray]):
    """Computes a square in each cell; stops where it is told to."""

    stop_at = -1

    def __init__(self, request, run):
        self.request, self.run, self.cells = request, run, request.count

    @property
    def identity(self):
        return {"count": self.request.count}

    def compute(self, store):
        for number in range(self.cells):
            if store.load(Cell(number, number + 1)) is None:
                if number == self.stop_at:
                    raise KeyboardInterrupt
                store.save(Cell(number, number + 1), {"square": np.array([number**2])})

    def result(self, store):
        return np.concatenate([store.require(Cell(number, number + 1))["square"] for number in range(self.cells)])

    def write(self, result):
        write_arrays(self.run.folder / "squares.npz", {"squares": result})
        return {"sum": int(result.sum())}


SQUARES = Kind(
    "squares",
    read=lambda values: Squares(**values["config"]),
    values=lambda request: {"config": asdict(request)},
    prepare=SquaresRun,
    load=lambda folder: read_arrays(folder / "squares.npz")["squares"],
)
