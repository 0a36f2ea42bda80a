"""Files that are written whole or not at all, and archives that take no more memory than their size."""

import os
import shutil
import uuid
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import BinaryIO, Protocol, runtime_checkable

from probatum.errors import InvalidInput


@runtime_checkable
class Mirror(Protocol):
    """Another place that goes through the same states as a local folder, one change after another.

    Paths are local and lie in the folder.
    """

    @property
    def local(self) -> Path:
        """The folder."""

    def put(self, path: Path) -> None:
        """Takes over a file that was written, unless that was done before."""

    def move(self, old: Path, new: Path) -> None:
        """Renames a folder; its files arrive in the order in which they were written."""

    def remove(self, path: Path) -> None:
        """Removes a file, or a folder with everything in it."""


_mirrors: "ContextVar[tuple[Mirror, ...]]" = ContextVar("mirrors", default=())


@contextmanager
def mirrored(mirror: Mirror) -> Iterator[None]:
    """Lets a mirror follow what the functions below change in its folder, until the block ends."""
    token = _mirrors.set((*_mirrors.get(), mirror))
    try:
        yield
    finally:
        _mirrors.reset(token)


def _mirrors_of(path: Path) -> list[Mirror]:
    return [mirror for mirror in _mirrors.get() if path.is_relative_to(mirror.local)]


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
    for mirror in _mirrors_of(path):
        mirror.put(path)


def write_whole(path: Path, content: bytes) -> None:
    """Writes a file whole or not at all: see `whole_file`."""
    with whole_file(path) as file:
        file.write(content)


def copy_whole(source: Path, path: Path) -> None:
    """Copies a file whole or not at all: see `whole_file`."""
    with open(source, "rb") as original, whole_file(path) as file:
        shutil.copyfileobj(original, file)


def move_folder(old: Path, new: Path) -> None:
    """Renames a folder when everything in it is on the disk."""
    sync_all(old)
    old.rename(new)
    sync(new.parent)
    for mirror in _mirrors_of(new):
        mirror.move(old, new)


def remove_file(path: Path) -> None:
    """Removes a file for good."""
    path.unlink()
    sync(path.parent)
    for mirror in _mirrors_of(path):
        mirror.remove(path)


def remove_folder(folder: Path, *, ignore_errors: bool = False) -> None:
    """Removes a folder with everything in it; where errors are ignored, as far as that is possible."""
    shutil.rmtree(folder, ignore_errors=ignore_errors)
    for mirror in _mirrors_of(folder):
        mirror.remove(folder)


def sync(path: Path) -> None:
    """Brings a file, or what was renamed or removed in a folder, down to the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sync_all(folder: Path) -> None:
    """Brings a folder and everything in it down to the disk, and to its mirror."""
    for path in [folder, *folder.rglob("*")]:
        sync(path)
        if path.is_file():
            for mirror in _mirrors_of(path):
                mirror.put(path)


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
