"""Reading and writing of stored values; files are never executed, and invalid ones raise InvalidInput."""

import csv
import io
import json
import math
import os
import re
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from probatum.errors import InvalidInput, MissingFile
from probatum.storage import require_stored, write_whole

_LARGEST_JSON = 1 << 28  # bytes
_DIRECTIONS = "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"
_SPELLED = re.compile(rf"[{_DIRECTIONS}]|\\u")  # a backslash that would be taken for a spelling is spelled out, too
_SPELLING = re.compile(r"\\u(061c|200[ef]|202[a-e]|206[6-9]|005c)")
_FORMULA = ("'", "=", "+", "-", "@", "\t", "\r")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?|[+-]?inf|nan", re.ASCII | re.IGNORECASE)
_HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}


def write_json(path: Path, values: Any) -> None:
    """Writes readable JSON. The bytes of a path that are no UTF-8 become escapes, and come back as they were."""
    text = json.dumps(values, indent=2, ensure_ascii=False) + "\n"
    write_whole(path, text.encode("utf-8", "backslashreplace"))


def read_json(path: Path) -> Any:
    """Reads JSON; OSError or ValueError where there is none."""
    if path.stat().st_size > _LARGEST_JSON:
        raise InvalidInput(f"{path.name} has more than {_LARGEST_JSON >> 20} MiB")
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except RecursionError as error:
        raise InvalidInput(f"{path.name} is nested too deeply") from error


@contextmanager
def reading(folder: Path, what: str = "complete run of probatum") -> Iterator[None]:
    """Turns whatever values of a wrong kind in a folder make its reader stumble over into InvalidInput."""
    try:
        yield
    except InvalidInput:
        raise
    except (OSError, ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError) as error:
        if not os.path.exists(folder):
            raise MissingFile("folder", folder) from error
        fault = f"{error.filename} is missing" if isinstance(error, FileNotFoundError) else error
        raise InvalidInput(f"{folder} holds no {what}: {fault}") from error


def write_arrays(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Writes an `.npz`; ValueError where an array holds Python objects, which reading would have to unpickle."""
    for name, array in arrays.items():
        if array.dtype.hasobject:
            raise ValueError(f"the array {name} holds Python objects")
    buffer = io.BytesIO()
    named: dict[str, Any] = dict(arrays)
    np.savez(buffer, **named)  # before numpy 2, `allow_pickle` would become the name of an array
    write_whole(path, buffer.getvalue())


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """Reads an `.npz` of `numpy.savez`; nothing in it is executed, and it takes no more memory than its file has bytes.

    Raises:
        InvalidInput: the file is damaged, compressed, or holds Python objects.
        OSError: there is none.
    """
    with open(path, "rb") as file:
        try:
            with zipfile.ZipFile(file) as archive:
                require_stored(archive, path.stat().st_size)
                return {entry.filename.removesuffix(".npy"): _array(archive, entry) for entry in archive.infolist()}
        except Exception as error:  # zipfile, zlib and numpy raise a dozen kinds of error for damaged bytes
            raise InvalidInput(f"{path.name} is no whole archive of arrays: {error}") from error


def _array(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> np.ndarray:
    with archive.open(entry) as file:
        _require_size(file, entry.file_size)
    with archive.open(entry) as file:
        array: np.ndarray = np.lib.format.read_array(file, allow_pickle=False)
        return array


def _require_size(file: Any, size: int) -> None:
    """Raises ValueError unless the array that a header announces is what follows it: numpy allocates it first."""
    read = _HEADERS.get(np.lib.format.read_magic(file))
    if read is None:
        raise ValueError("an array of an unknown version")
    shape, _, dtype = read(file)
    if math.prod(shape) * dtype.itemsize != size - file.tell():
        raise ValueError("an array that is not as large as it says")


def write_table(path: Path, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Writes a CSV file; InvalidInput where a name holds NUL or is no Unicode, which not every reader of CSV takes.

    A text that a spreadsheet would take for a formula begins with an apostrophe, and marks that turn the direction of
    writing are spelled out; `read_table` gives the text back as it was.
    """
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    try:
        writer.writerow(columns)
        writer.writerows([_shielded(cell) for cell in row] for row in rows)
        content = text.getvalue().encode()
    except (csv.Error, UnicodeEncodeError) as error:  # Python 3.10 writes no NUL
        raise InvalidInput(f"{path.name} cannot hold a name of its rows ({error}); see data.storable") from error
    if b"\0" in content:
        raise InvalidInput(f"{path.name} cannot hold a name with NUL; see data.storable")
    write_whole(path, content)


def read_table(path: Path, columns: Sequence[str]) -> list[dict[str, str]]:
    """Reads a CSV file of `write_table` with these columns, each row whole; OSError or ValueError where it is none."""
    text = path.read_bytes().decode()
    try:
        head, *rows = [row for row in csv.reader(io.StringIO(text, newline=""), strict=True) if row] or [[]]
    except csv.Error as error:
        raise InvalidInput(f"{path.name} is no table: {error}") from error
    if not set(columns) <= set(head):
        raise InvalidInput(f"{path.name} lacks one of the columns {', '.join(columns)}")
    for number, row in enumerate(rows, 1):
        if len(row) != len(head):
            raise InvalidInput(f"{path.name}: row {number} has another number of fields than the head")
    if "'" in text or "\\" in text:  # few tables have a shielded cell, and most have many cells
        rows = [list(map(_unshielded, row)) for row in rows]
    return [dict(zip(head, row, strict=True)) for row in rows]


def _shielded(cell: object) -> object:
    """A cell as it is written: neither a formula nor a mark of direction."""
    if not isinstance(cell, str):
        return cell
    spelled = _SPELLED.sub(lambda found: f"\\u{ord(found[0][0]):04x}{found[0][1:]}", cell)
    return f"'{spelled}" if spelled.startswith(_FORMULA) and not _NUMBER.fullmatch(spelled) else spelled


def _unshielded(cell: str) -> str:
    """A cell as it was before `_shielded`."""
    cell = cell.removeprefix("'")
    return _SPELLING.sub(lambda found: chr(int(found[1], 16)), cell) if "\\" in cell else cell
