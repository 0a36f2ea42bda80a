"""Writing the page of a run folder."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from probatum.errors import InvalidInput
from probatum.runs.files import read_json, reading
from probatum.storage import write_whole

NAME = "report.html"


def write_page(folder: Path, page: Callable[[Path, dict[str, Any]], str]) -> Path:
    """Writes `report.html` into a run folder, from what is stored there.

    The page loads nothing, neither from the network nor from the folder; the same folder gives the same bytes. Names
    and labels may hold anything: they are cleaned, escaped and shown as text.

    Args:
        folder: a complete run.
        page: makes the page of the folder and the values of its `config.json`.

    Returns:
        the file.

    Raises:
        InvalidInput: the folder holds no complete run, or the page cannot be written.
    """
    with reading(folder):
        content = page(folder, read_json(folder / "config.json")).encode()
    try:
        write_whole(folder / NAME, content)
    except OSError as error:
        raise InvalidInput(f"the report cannot be written to {folder}: {error.strerror}") from error
    return folder / NAME
