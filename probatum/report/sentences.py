"""The files in which explained sentences are shown."""

from collections.abc import Sequence
from pathlib import Path

from probatum.attributions import title_of
from probatum.experiments.text.scores import TextExplanation
from probatum.report.save import save_figure
from probatum.report.style import MOST_ROWS
from probatum.report.tokens import TokenMap, tokens_figure


def sentence_maps(found: Sequence[TextExplanation]) -> dict[str, list[TokenMap]]:
    """A row for each sentence and method, numbered from 1; beside it the class, and what makes the scores doubtful."""
    return {
        f"{number}. {title_of(method)}": [TokenMap(each.tokens, scores, _note(each, method))]
        for number, each in enumerate(found, 1)
        for method, scores in each.scores.items()
    }


def draw_sentences(found: Sequence[TextExplanation], folder: Path, caption: str) -> list[Path]:
    """Writes `tokens.png` into a folder; of many sentences it shows the first."""
    shown = max(1, MOST_ROWS // max(1, len(found[0].scores)))
    if shown < len(found):
        caption = f"{caption}; the first {shown} of {len(found)} sentences, report.html has all"
    return save_figure(tokens_figure(sentence_maps(found[:shown]), caption=caption), folder / "tokens.png")


def doubts(each: TextExplanation, method: str) -> list[str]:
    """Reasons to doubt the scores of a method, one sentence each."""
    words = ["sums are rounding only"] * each.is_rounding(method)
    if abs(each.delta.get(method, 0.0)) > 0.1:
        words.append(f"{each.delta[method]:+.2f} from complete, take more steps")
    return words


def _note(each: TextExplanation, method: str) -> str:
    return f"({'; '.join([f'{each.class_name} {each.confidence:.2f}', *doubts(each, method)])})"
