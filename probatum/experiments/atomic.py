"""Files that are there whole or not at all, whatever happens while they are written."""

import os
import uuid
from pathlib import Path


def write_whole(path: Path, content: bytes) -> None:
    """Writes beside the place, down to the disk, and then renames: a reader meets the old file or the new one."""
    scratch = path.with_name(f".{path.name}.{uuid.uuid4().hex}.part")
    try:
        with open(scratch, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(scratch, path)
    finally:
        scratch.unlink(missing_ok=True)
    sync(path.parent)


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
