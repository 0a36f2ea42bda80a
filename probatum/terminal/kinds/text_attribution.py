"""Scores of the tokens of sentences."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from probatum.experiments.text.run import TEXT_ATTRIBUTION as COMPUTED
from probatum.experiments.text.run import read_sentence_scores
from probatum.experiments.text.scores import TextExplanation
from probatum.report.html.sentences import sentences_page
from probatum.report.sentences import sentence_maps
from probatum.report.text_run import draw_text
from probatum.report.tokens import tokens_text
from probatum.runs.kinds import drawn_by_main
from probatum.terminal.documents import text_document
from probatum.terminal.output import is_terminal, show


def _show(folder: Path) -> None:
    found = read_sentence_scores(folder)
    if not is_terminal():
        _show_scores(found)
        return
    for title, (tokens,) in sentence_maps(found).items():
        show(title)
        show(tokens_text(tokens))
    show(f"report.html, tokens.png and tokens.csv are in {folder}")


def _show_scores(found: Sequence[TextExplanation]) -> None:
    """One line a token, token TAB score, for other programs; above each sentence a line that begins with #."""
    for title, (tokens,) in sentence_maps(found).items():
        show(f"# {title} {tokens.note}")
        for token, score in zip(tokens.tokens, tokens.scores.tolist(), strict=True):
            show(f"{token}\t{score:.6g}")


TEXT_ATTRIBUTION = replace(
    COMPUTED,
    draw=drawn_by_main(draw_text),
    page=sentences_page,
    show=_show,
    document=lambda folder: text_document(read_sentence_scores(folder)),
)
