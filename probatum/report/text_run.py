"""The figure and the page of a folder of explained sentences."""

from collections.abc import Callable
from pathlib import Path

from probatum.experiments.text.run import TEXT_ATTRIBUTION, read_sentence_scores
from probatum.report.html import write_page
from probatum.report.html.sentences import sentences_page
from probatum.report.sentences import draw_sentences


def draw_text(folder: Path, progress: Callable[[str], None] | None = None) -> list[Path]:
    """Draws the scores that `explain_sentences` stored in a folder: `tokens.png`, and `report.html` last."""
    found, config = read_sentence_scores(folder), TEXT_ATTRIBUTION.request(folder)
    if progress is not None:
        progress("tokens")
    caption = f"{config.model}, baseline {config.baseline}, seed {config.seed}"
    return [*draw_sentences(found, folder, caption), write_page(folder, sentences_page)]
