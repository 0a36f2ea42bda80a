"""Files that are written whole or not at all, and archives that take no more memory than their size."""

import os
import uuid
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from probatum.errors import InvalidInput


@contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """Opens a file beside `path` for writing; it is brought to the disk and renamed to `path` when the block ends well.

    A reader meets the old file or the new one. Where the block or the disk fails, the scratch file is removed.
    """
    scratch = path.with_name(f".{uuid.uuid4().hex}.part")  # whose name is short enough wherever that of `path` is
    try:
        with open(scratch, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(scratch, path)
    finally:
        scratch.unlink(missing_ok=True)
    sync(path.parent)


def write_whole(path: Path, content: bytes) -> None:
    """Writes a file whole or not at all: see `whole_file`."""
    with whole_file(path) as file:
        file.write(content)


def sync(path: Path) -> None:
    """Brings a file, or what was renamed or removed in a folder, down to the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sync_all(folder: Path) -> None:
    """Brings a folder and everything in it down to the disk."""
    for path in [folder, *folder.rglob("*")]:
        sync(path)


def remove_scratch(folder: Path) -> None:
    """Removes what killed processes left of files that they had begun."""
    for path in folder.rglob(".*.part"):
        path.unlink(missing_ok=True)


def require_stored(archive: zipfile.ZipFile, size: int) -> None:
    """Makes sure that reading an archive takes no more memory than its file has bytes.

    Args:
        archive: of any kind; torch and numpy write theirs uncompressed.
        size: bytes of its file.

    Raises:
        InvalidInput: an entry is compressed, or entries share bytes: either may stand for any amount of data.
    """
    entries = archive.infolist()
    if any(entry.compress_type != zipfile.ZIP_STORED or entry.file_size != entry.compress_size for entry in entries):
        raise InvalidInput("the archive is compressed, as those of torch.save and numpy.savez are not")
    if sum(entry.file_size for entry in entries) > size:
        raise InvalidInput("the archive claims to hold more than its own size")
