"""Stored cells: what is whole is read back as it was, what is not counts as none."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from probatum.runs.cells import Cell, CellStore

CELL = Cell(4, 8, 1)
ARRAYS = {
    "scores": np.array([[0.1, np.nan], [-0.0, np.inf]]),
    "failed": np.array([True, False]),
    "maps/0": np.zeros((0, 2, 3), dtype=np.float32),
    "number": np.array(3),
}


@pytest.fixture
def store(tmp_path) -> CellStore:
    store = CellStore(tmp_path, "a run")
    store.save(CELL, ARRAYS)
    return store


def test_a_cell_is_read_back_bit_for_bit(store):
    found = store.load(CELL)
    assert list(found) == list(ARRAYS)
    for name, array in ARRAYS.items():
        assert (found[name].dtype, found[name].shape) == (array.dtype, array.shape)
        assert found[name].tobytes() == array.tobytes()
    assert [path.name for path in store.folder.iterdir()] == [store.path(CELL).name]


def test_equal_cells_are_equal_files(store, tmp_path):
    (tmp_path / "other").mkdir()
    other = CellStore(tmp_path / "other", "a run")
    other.save(CELL, ARRAYS)
    assert other.path(CELL).read_bytes() == store.path(CELL).read_bytes()


def test_cells_of_another_block_trial_or_run_are_not_taken_for_it(store):
    others = [
        CellStore(store.folder, "another run").path(CELL),
        *(store.path(cell) for cell in (Cell(4, 8), Cell(4, 8, 0), Cell(4, 7, 1), Cell(0, 8, 1))),
    ]
    assert len({store.path(CELL), *others}) == 6
    content = store.path(CELL).read_bytes()
    for path in others:
        path.write_bytes(content)  # whole, but under a name that is not its own
    assert CellStore(store.folder, "another run").load(CELL) is None
    assert store.load(Cell(4, 8)) is None
    assert store.load(CELL) is not None


def test_a_torn_cell_is_none(store):
    path = store.path(CELL)
    content = path.read_bytes()
    for length in range(0, len(content), 7):
        path.write_bytes(content[:length])
        assert store.load(CELL) is None
    path.unlink()
    assert store.load(CELL) is None


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_a_damaged_cell_is_none_or_as_it_was(data, tmp_path_factory):
    store = CellStore(tmp_path_factory.mktemp("cells"), "a run")
    store.save(CELL, ARRAYS)
    path = store.path(CELL)
    content = bytearray(path.read_bytes())
    place = data.draw(st.integers(0, len(content) - 1))
    content[place] ^= data.draw(st.integers(1, 255))
    path.write_bytes(bytes(content))
    found = store.load(CELL)
    # Some bytes of an archive, such as the dates in it, say nothing of the arrays.
    assert found is None or all(found[name].tobytes() == array.tobytes() for name, array in ARRAYS.items())


@settings(max_examples=200, deadline=None)
@given(content=st.binary(max_size=400))
def test_any_other_file_is_none(content, tmp_path_factory):
    store = CellStore(tmp_path_factory.mktemp("cells"), "a run")
    store.path(CELL).write_bytes(content)
    assert store.load(CELL) is None


def test_objects_are_neither_stored_nor_read(store):
    objects = np.array([{}], dtype=object)
    with pytest.raises(ValueError, match="Python objects"):
        store.save(CELL, {"scores": objects})
    np.savez(store.path(CELL), scores=objects, seal=np.zeros(32, dtype=np.uint8))
    assert store.load(CELL) is None
