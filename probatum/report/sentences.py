"""The files in which explained sentences are shown."""

from collections.abc import Sequence
from pathlib import Path

from probatum.attributions import METHODS
from probatum.experiments.text import TextExplanation
from probatum.report.save import save_figure
from probatum.report.tokens import TokenMap, tokens_figure, tokens_html, tokens_page


def sentence_maps(found: Sequence[TextExplanation]) -> dict[str, list[TokenMap]]:
    """A row for each sentence and method, numbered from 1; beside it the class, and what makes the scores doubtful."""
    return {
        f"{number}. {_title(method)}": [TokenMap(each.tokens, scores, _note(each, method))]
        for number, each in enumerate(found, 1)
        for method, scores in each.scores.items()
    }


def draw_sentences(found: Sequence[TextExplanation], folder: Path, caption: str) -> list[Path]:
    """Writes `tokens.html` and `tokens.png` into a folder."""
    rows = sentence_maps(found)
    page = folder / "tokens.html"
    page.write_text(tokens_page("Explained sentences", tokens_html(rows, caption=caption)), encoding="utf-8")
    return [page, *save_figure(tokens_figure(rows, caption=caption), folder / "tokens.png")]


def _title(method: str) -> str:
    return METHODS[method].title if method in METHODS else method


def _note(each: TextExplanation, method: str) -> str:
    words = [f"{each.class_name} {each.confidence:.2f}"]
    if each.is_rounding(method):
        words.append("sums are rounding only")
    if abs(each.delta.get(method, 0.0)) > 0.1:
        words.append(f"{each.delta[method]:+.2f} from complete, take more steps")
    return f"({'; '.join(words)})"
