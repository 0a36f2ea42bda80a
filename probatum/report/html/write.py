"""Which page a folder gets, and writing it."""

from pathlib import Path

from probatum.errors import InvalidInput
from probatum.report.html.check import check_page
from probatum.report.html.comparison import comparison_page
from probatum.report.html.explanation import explanation_page
from probatum.report.html.reproduction import reproduction_page
from probatum.runs.files import read_json, reading
from probatum.storage import write_whole

NAME = "report.html"


def write_report(folder: Path) -> Path:
    """Writes `report.html` into a folder that `check`, `attribute` or `reproduce` made, from what is stored there.

    The page loads nothing, neither from the network nor from the folder; the same folder gives the same bytes. Names
    and labels may hold anything: they are cleaned, escaped and shown as text.

    Args:
        folder: a complete run.

    Returns:
        the file.

    Raises:
        InvalidInput: the folder holds no complete run, or the page cannot be written.
    """
    with reading(folder):
        config = read_json(folder / "config.json")
        if "reproduction" in config:
            page = reproduction_page(folder, config)
        elif "presets" in config:
            page = comparison_page(folder, config)
        elif "randomization" in config:
            page = check_page(folder)
        else:
            page = explanation_page(folder, config)
    try:
        write_whole(folder / NAME, page.encode())
    except OSError as error:
        raise InvalidInput(f"the report cannot be written to {folder}: {error.strerror}") from error
    return folder / NAME
