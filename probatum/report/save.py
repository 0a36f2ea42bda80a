"""Writing a figure: whole or not at all, and the same bytes for the same figure."""

import io
from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure

from probatum.errors import InvalidInput, UnknownName
from probatum.report.style import RESOLUTION, house_style
from probatum.storage import write_whole

# Dates and versions are left out of the files.
_METADATA: dict[str, dict[str, None]] = {
    "png": {"Software": None},
    "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
    "svg": {"Date": None, "Creator": None},
}


def save_figure(
    figure: Figure, path: str | Path, formats: Sequence[str] | None = None, *, dpi: int = RESOLUTION
) -> list[Path]:
    """Write a figure as PNG, PDF or SVG files, with the fonts embedded.

    Args:
        figure: what to write.
        path: the file, without its suffix or with one of the three; the folder is made. Any other suffix is part of the
            name: "layer4.1" becomes "layer4.1.png".
        formats: of "png", "pdf", "svg", one file each; by default the suffix of the path, or PNG.
        dpi: dots per inch of a PNG, and of the maps inside the others.

    Returns:
        The files, in the order of the formats. Each is written beside its place and then renamed: an interrupted run
        leaves no half file.

    Raises:
        UnknownName: a format that is none of the three.
    """
    path = Path(path)
    suffix = path.suffix[1:].lower()
    base = path.with_suffix("") if suffix in _METADATA else path
    chosen = list(formats) if formats is not None else [suffix if suffix in _METADATA else "png"]
    for name in chosen:
        if name not in _METADATA:
            raise UnknownName("figure format", name, _METADATA)
    base.parent.mkdir(parents=True, exist_ok=True)
    written = [base.with_name(f"{base.name}.{name}") for name in chosen]
    for name, file in zip(chosen, written, strict=True):
        write_whole(file, _rendered(figure, name, dpi))
    return written


def figure_place(folder: Path, name: str) -> Path:
    """Where a figure of a run folder belongs; InvalidInput where a stranger's name or link leads elsewhere."""
    place = folder / "figures"
    if place.is_symlink() or Path(name).name != name or name in ("", ".."):
        raise InvalidInput(f"the figure {name!r} would be written outside of {place}")
    return place / name


def _rendered(figure: Figure, name: str, dpi: int) -> bytes:
    """The figure as the bytes of a file."""
    buffer = io.BytesIO()
    with house_style():
        figure.savefig(buffer, format=name, dpi=dpi, metadata=_METADATA[name])
    return buffer.getvalue()
