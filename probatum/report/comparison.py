"""The figures and the page of a comparison of presets, drawn from what is stored there and nothing else."""

from collections.abc import Callable
from pathlib import Path

from probatum.data.datasets import data_title
from probatum.experiments.compare import PresetComparison, read_comparison
from probatum.experiments.run_folder import read_run
from probatum.report.html import write_page
from probatum.report.html.comparison import comparison_page
from probatum.report.run import draw_run
from probatum.report.save import save_figure
from probatum.report.verdict_table import verdict_figure
from probatum.runs.files import reading
from probatum.runs.ranks import ALONE, Ranks


def draw_comparison(folder: Path, progress: Callable[[str], None] | None = None, ranks: Ranks = ALONE) -> list[Path]:
    """Draws the table of verdicts, `verdicts.png`, the figures of each preset's run, and `report.html`.

    Args:
        folder: what `compare_presets` made.
        progress: called with each figure's name, the preset's before it, before it is drawn.
        ranks: the processes that share the figures of each preset; all of them call this function.

    Returns:
        the files of this process.

    Raises:
        InvalidInput: the folder holds no complete comparison.
    """
    comparison = read_comparison(folder)
    written = _verdicts(folder, comparison) if ranks.is_main else []
    for preset in comparison.presets:

        def report(name: str, preset: str = preset) -> None:
            if progress is not None:
                progress(f"{preset}: {name}")

        written += draw_run(folder / preset, report, ranks)
    return [*written, write_page(folder, comparison_page)] if ranks.is_main else written


def _verdicts(folder: Path, comparison: PresetComparison) -> list[Path]:
    """Draws the table of verdicts."""
    facts = read_run(folder / comparison.presets[0]).config
    with reading(folder, "comparison of presets"):
        caption = f"{facts['model']['title']} on {data_title(facts['data']['name'])}; seed {facts['config']['seed']}"
        drawn = verdict_figure(comparison, caption)
    return save_figure(drawn, folder / "verdicts")
