"""Cells: the parts of a check that are computed one by one and stored as they come, so that a run can stop anywhere."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from probatum.engine import PreparedModel, all_logits
from probatum.errors import InvalidInput, ModelError
from probatum.runs.files import read_arrays, write_arrays
from probatum.runs.fingerprint import fingerprint, tensor_hash
from probatum.runs.identity import identity_of_inputs, identity_of_software

Arrays = dict[str, np.ndarray]
_SEAL = "seal"


@dataclass(frozen=True)
class Cell:
    """A block of images under one trial with all its stages; or, without a trial, under the trained model.

    Args:
        first: number of the block's first image.
        stop: number after its last.
        trial: which randomization, or None; where versions of a model are not grouped by trial, which version.
    """

    first: int
    stop: int
    trial: int | None = None

    @property
    def part(self) -> slice:
        """The block among all images."""
        return slice(self.first, self.stop)

    @property
    def block(self) -> "Cell":
        """The cell of the trained model on the same images."""
        return Cell(self.first, self.stop)


@dataclass(frozen=True)
class CellStore:
    """A folder of computed cells, one `.npz` each, named by a hash of everything that determines it.

    Each file is sealed with a hash of its name and content: one that is torn, damaged or of another run counts as none.

    Args:
        folder: exists.
        identity: a text that determines the run.
    """

    folder: Path
    identity: str

    def path(self, cell: Cell) -> Path:
        """Where a cell is stored."""
        key = json.dumps([self.identity, cell.first, cell.stop, cell.trial])
        return self.folder / f"{hashlib.sha256(key.encode()).hexdigest()[:40]}.npz"

    def save(self, cell: Cell, arrays: Arrays) -> None:
        """Stores a cell whole or not at all."""
        path = self.path(cell)
        write_arrays(path, arrays | {_SEAL: np.frombuffer(_seal(path.stem, arrays), dtype=np.uint8)})

    def load(self, cell: Cell) -> Arrays | None:
        """Reads a cell; None where there is none that is whole."""
        path = self.path(cell)
        try:
            arrays = read_arrays(path)
            sealed = arrays.pop(_SEAL).tobytes()
        except (InvalidInput, OSError, KeyError):
            return None
        return arrays if sealed == _seal(path.stem, arrays) else None

    def require(self, cell: Cell) -> Arrays:
        """Reads a cell that was stored; ModelError where it is damaged or gone."""
        found = self.load(cell)
        if found is None:
            raise ModelError(
                f"the file {self.path(cell)} was damaged or removed meanwhile; give the same command again"
            )
        return found


def cell_store(folder: Path, prepared: PreparedModel, images: Tensor, targets: Tensor, *settings: Any) -> CellStore:
    """The place of a computation's cells in a folder, which is made where there is none.

    Args:
        folder: may hold the cells of other computations.
        prepared: the model as it computes. Its code, attributes, hooks and logits determine the cells, too.
        images: (batch, ...).
        targets: class indices (batch,).
        settings: everything else that determines the numbers, see `fingerprint`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    options = [prepared.compute, prepared.dtype, prepared.folds, prepared.extra]
    function = [fingerprint(prepared.model), tensor_hash(all_logits(prepared, images))]
    identity = [identity_of_inputs(prepared.model, images, targets), identity_of_software(images.device), function]
    return CellStore(folder, json.dumps([*identity, fingerprint(options), fingerprint(settings)]))


def _seal(key: str, arrays: Arrays) -> bytes:
    digest = hashlib.sha256(key.encode())
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        digest.update(json.dumps([name, array.dtype.str, arrays[name].shape]).encode())
        digest.update(array.tobytes())
    return digest.digest()
