"""The localization check."""

from dataclasses import replace
from pathlib import Path

from probatum.experiments.localization.run import LOCALIZATION as COMPUTED
from probatum.experiments.localization.run import read_localization
from probatum.report.html.localization import localization_page
from probatum.report.localization import draw_localization
from probatum.runs.files import read_json
from probatum.runs.kinds import drawn_by_main
from probatum.terminal.documents import localization_document
from probatum.terminal.localization_lines import show_localization, verify_localization


def _show(folder: Path) -> None:
    show_localization(read_localization(folder), read_json(folder / "config.json"), folder)


LOCALIZATION = replace(
    COMPUTED,
    draw=drawn_by_main(draw_localization),
    page=localization_page,
    show=_show,
    document=lambda folder: localization_document(read_localization(folder), folder),
    verify=lambda folder: verify_localization(read_localization(folder)),
)
