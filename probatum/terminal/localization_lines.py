"""The verdicts of a localization check as lines of a terminal, as much of each as fits the width."""

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from probatum.attributions import title_of
from probatum.errors import ModelError
from probatum.experiments.localization import LocalizationResult, LocalizationVerdict
from probatum.experiments.localization.result import CHANCE, DOES_NOT, LOCALIZES, UNDECIDED
from probatum.terminal.output import columns, show
from probatum.terminal.summaries import show_skipped
from probatum.terminal.verdict_lines import aligned, counted, wrapped

ORDER = (LOCALIZES, UNDECIDED, DOES_NOT)
_LEFT_OUT_SHOWN = 3


def show_localization(result: LocalizationResult, config: dict[str, Any], folder: Path) -> None:
    """Shows one line for each method, what was left out, and where the report is."""
    width, grids = columns(), sum(map(len, result.grids))
    question = (
        f"Does a map point at the right one of four images? {counted(grids, 'grid')} of "
        f"{counted(len(result.image_names), 'image')}, chance {CHANCE:g}. The share is that of the positive "
        "attribution in the cell of the explained class, with its 95 % interval. "
        "In DiFull nothing outside of the cell can matter."
    )
    show(wrapped(question, width))
    for line in lines(result, width):
        show(line)
    if result.left_out:
        named = "; ".join(f"{name}: {why}" for name, why in result.left_out[:_LEFT_OUT_SHOWN])
        more = "; ..." * (len(result.left_out) > _LEFT_OUT_SHOWN)
        show(wrapped(f"{counted(len(result.left_out), 'image')} left out: {named}{more}", width))
    show_skipped([(each["name"], each["fault"]) for each in config["data"]["skipped"]])
    tested = [method for method in result.methods if method != result.edges] or list(result.methods)
    counts = Counter(result.verdict(method, "GridPG").word for method in tested)
    show(
        wrapped(
            f"Of {counted(len(tested), 'method')}, {counts[LOCALIZES]} localize on grids, {counts[DOES_NOT]} do not, "
            f"{counts[UNDECIDED]} are undecided. Report: {folder / 'report.html'}",
            width,
        )
    )


def verify_localization(result: LocalizationResult) -> None:
    """Raises ModelError where a control failed."""
    if result.broken:
        raise ModelError(f"{'; '.join(result.broken)}; these results cannot be trusted")


def lines(result: LocalizationResult, width: int) -> list[str]:
    """One line for each method, by its verdict on GridPG and its share; the control comes last."""

    def rank(method: str) -> tuple[bool, int, float]:
        found = result.verdict(method, "GridPG")
        return method == result.edges, ORDER.index(found.word), -np.nan_to_num(found.share)

    methods = sorted(result.methods, key=rank)
    forms: Sequence[Callable[[LocalizationVerdict], str]] = (_interval, _share)
    found: list[str] = []
    for form in forms:
        found = aligned([_cells(result, method, form) for method in methods])
        if max(map(len, found)) <= width:
            return found
    return aligned([_cells(result, method, _share)[:3] for method in methods])


def _cells(result: LocalizationResult, method: str, form: Callable[[LocalizationVerdict], str]) -> list[str]:
    whole, apart = result.verdict(method, "GridPG"), result.verdict(method, "DiFull")
    title = title_of(method) + " (control)" * (method == result.edges)
    outside = "" if np.isnan(apart.outside) else f", outside {apart.outside:.2g}"
    return [whole.word, title, form(whole), f"DiFull {form(apart)}{outside}"]


def _interval(verdict: LocalizationVerdict) -> str:
    if np.isnan(verdict.share):
        return _share(verdict)
    return f"{verdict.share:.2f} [{verdict.low:.2f}, {verdict.high:.2f}]"


def _share(verdict: LocalizationVerdict) -> str:
    return "no share" if np.isnan(verdict.share) else f"{verdict.share:.2f}"
