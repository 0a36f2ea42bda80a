"""Run folders in object storage: worked on in a local copy that its address follows, change by change.

A folder is a path or an address, such as `s3://bucket/run`. The address goes through the states of the local copy in
their order, so an interruption at any time leaves there what it leaves on a disk, and the run can be resumed from it.
"""

import atexit
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from probatum.errors import InvalidInput, ProbatumError
from probatum.storage import mirrored

Folder = str | os.PathLike[str]
"""A run folder: a path, or the address of one in object storage as fsspec knows it."""

_ADDRESS = re.compile(r"[A-Za-z][\w+.:-]*://")
_MANGLED = re.compile(r"[A-Za-z][\w+.-]+:/")  # an address that was a Path: two slashes have become one
_LOCAL = "file://"


def is_address(folder: Folder) -> bool:
    """True if a folder lies in object storage."""
    return isinstance(folder, str) and _ADDRESS.match(folder) is not None and not folder.startswith(_LOCAL)


@contextmanager
def opened(folder: Folder, processes: int = 1) -> Iterator[Path]:
    """Gives the local path of a run folder, for reading, writing and resuming.

    Of an address that is a fresh copy, which stays until the process ends. What `probatum.storage` changes in it while
    the block lasts happens at the address, too.

    Args:
        folder: a path, or an address; "file://" is a path.
        processes: how many work on the run.

    Raises:
        InvalidInput: fsspec or its file system for the address is not installed, the address cannot be read or written,
            several processes would share it, or it went through `Path`, which takes a slash away.
    """
    if not is_address(folder):
        yield _path(folder)
        return
    if processes > 1:
        raise InvalidInput(
            f"{processes} processes share a run through files, which {folder} is too slow for; give a folder on a file "
            "system that all machines share, and copy it there afterwards"
        )
    copy = _copy(str(folder).rstrip("/"))
    copy.pull()
    try:
        with mirrored(copy):
            yield copy.local
    except ProbatumError as error:
        error.args = tuple(addressed(each) if isinstance(each, str) else each for each in error.args)
        raise


def addressed(text: str) -> str:
    """A text that names the addresses in place of their local copies."""
    for copy in _copies.values():
        text = text.replace(str(copy.local), copy.address)
    return text


def _path(folder: Folder) -> Path:
    path = Path(folder.removeprefix(_LOCAL) if isinstance(folder, str) else folder)
    if _MANGLED.match(str(path)) and not Path(path.parts[0]).exists():
        raise InvalidInput(f"{path} was an address before it became a Path; give it as a text")
    return path


@dataclass(frozen=True)
class RemoteCopy:
    """A local copy of a run folder in object storage, and its mirror: see `probatum.storage.Mirror`.

    Args:
        address: of the folder.
        local: the copy; exists where the folder holds a file.
        files: a file system of fsspec.
        root: the folder there.
    """

    address: str
    local: Path
    files: Any
    root: str
    _known: dict[Path, tuple[int, int]] = field(default_factory=dict, repr=False)  # in the order written
    _made: set[str] = field(default_factory=set, repr=False)

    def pull(self) -> None:
        """Makes the copy equal to what is at the address."""
        shutil.rmtree(self.local, ignore_errors=True)
        self._known.clear()
        with self._working("read"):
            self.files.invalidate_cache()
            found = self._found()
            places = [self._local_place(name) for name in found]
            for place in places:
                place.parent.mkdir(parents=True, exist_ok=True)
            self.files.get(found, [str(place) for place in places])
        self._known.update({place: _stamp(place) for place in places})

    def put(self, path: Path) -> None:
        """Uploads a file, unless it is there as it is; whole or not at all where the file system can do that."""
        if self._known.get(path) == (stamp := _stamp(path)):
            return
        with self._working("written"), self.files.transaction, open(path, "rb") as source:
            place = self._place(path)
            self._make_folder(place.rpartition("/")[0])
            with self.files.open(place, "wb") as file:
                shutil.copyfileobj(source, file)
        self._known.pop(path, None)
        self._known[path] = stamp

    def move(self, old: Path, new: Path) -> None:
        """Moves the files of a folder in the order in which they were written."""
        for path in [path for path in self._known if path.is_relative_to(old)]:
            place = new / path.relative_to(old)
            with self._working("written"):
                self._make_folder(self._place(place.parent))
                self.files.mv(self._place(path), self._place(place))
            self._known[place] = self._known.pop(path)

    def remove(self, path: Path) -> None:
        """Removes a file, or a folder with everything in it."""
        gone = [each for each in self._known if each.is_relative_to(path)]
        if gone:
            with self._working("written"):
                self.files.rm(self._place(path), recursive=path not in gone)
        for each in gone:
            del self._known[each]
        self._made.clear()

    def _make_folder(self, folder: str) -> None:
        """Makes a folder where the file system has such; never a bucket, whose name may be mistyped."""
        if folder in self._made or "/" not in folder.strip("/"):
            return
        try:
            self.files.mkdir(folder, create_parents=False)
        except FileExistsError:
            pass
        except FileNotFoundError:
            self._make_folder(folder.rpartition("/")[0])
            self.files.mkdir(folder, create_parents=False)
        self._made.add(folder)

    def _found(self) -> list[str]:
        """The files at the address."""
        try:
            return [name for name in self.files.find(self.root) if not name.endswith("/")]
        except FileNotFoundError:  # of some file systems, where there is no folder yet
            return []

    def _place(self, path: Path) -> str:
        """The place of a local file or folder in the file system."""
        return f"{self.root}/{path.relative_to(self.local).as_posix()}"

    def _local_place(self, name: str) -> Path:
        """The local place of a file; its name is anybody's and must not lead out of the copy."""
        inner = PurePosixPath(name.removeprefix(self.root).lstrip("/"))
        if not name.startswith(self.root) or ".." in inner.parts:
            raise InvalidInput(f"{self.address} holds a file with the name {name!r}, which lies outside of it")
        return self.local / inner

    @contextmanager
    def _working(self, what: str) -> Iterator[None]:
        try:
            yield
        except InvalidInput:
            raise
        except Exception as error:  # each file system has errors of its own, such as those of a login
            reason = f"{type(error).__name__}: {error}".rstrip(": ")
            raise InvalidInput(f"{self.address} cannot be {what}: {reason}") from error


_copies: dict[str, RemoteCopy] = {}


def _copy(address: str) -> RemoteCopy:
    """The local copy of an address, whose place stays the same within a process."""
    if address not in _copies:
        files, root = _file_system(address)
        scratch = Path(tempfile.mkdtemp(prefix="probatum-"))
        atexit.register(shutil.rmtree, scratch, ignore_errors=True)
        _copies[address] = RemoteCopy(address, scratch / (PurePosixPath(root).name or "run"), files, root)
    return _copies[address]


def _file_system(address: str) -> tuple[Any, str]:
    """The file system of an address and the place in it."""
    try:
        from fsspec.core import url_to_fs
    except ImportError as error:
        raise InvalidInput(f"{address} needs fsspec: pip install 'probatum[storage]'") from error
    try:
        files, root = url_to_fs(address)
    except Exception as error:  # an unknown protocol, a package that is not installed, a login that fails
        raise InvalidInput(f"{address} cannot be opened: {error}") from error
    return files, str(root).rstrip("/")


def _stamp(path: Path) -> tuple[int, int]:
    """Tells a file from a later one at its place, which was renamed to it."""
    facts = path.stat()
    return facts.st_ino, facts.st_mtime_ns
