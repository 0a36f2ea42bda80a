"""Scores of the tokens of sentences."""

from dataclasses import replace
from pathlib import Path

from probatum.experiments.text.run import TEXT_ATTRIBUTION as COMPUTED
from probatum.experiments.text.run import read_sentence_scores
from probatum.report.sentences import draw_text, sentence_maps
from probatum.report.tokens import tokens_text
from probatum.terminal.output import show


def _show(folder: Path) -> None:
    for title, (tokens,) in sentence_maps(read_sentence_scores(folder)).items():
        show(title)
        show(tokens_text(tokens))
    show(f"tokens.html, tokens.png and tokens.csv are in {folder}")


TEXT_ATTRIBUTION = replace(COMPUTED, draw=draw_text, show=_show)
