"""The files in which explained sentences are shown."""

from collections.abc import Callable, Sequence
from pathlib import Path

from probatum.attributions import title_of
from probatum.experiments.text.run import TEXT_ATTRIBUTION, read_sentence_scores
from probatum.experiments.text.scores import TextExplanation
from probatum.report.save import save_figure
from probatum.report.style import MOST_ROWS
from probatum.report.tokens import TokenMap, tokens_figure, tokens_html, tokens_page
from probatum.storage import write_whole


def sentence_maps(found: Sequence[TextExplanation]) -> dict[str, list[TokenMap]]:
    """A row for each sentence and method, numbered from 1; beside it the class, and what makes the scores doubtful."""
    return {
        f"{number}. {title_of(method)}": [TokenMap(each.tokens, scores, _note(each, method))]
        for number, each in enumerate(found, 1)
        for method, scores in each.scores.items()
    }


def draw_sentences(found: Sequence[TextExplanation], folder: Path, caption: str) -> list[Path]:
    """Writes `tokens.html` and `tokens.png` into a folder; of many sentences the picture shows the first."""
    page = folder / "tokens.html"
    whole = tokens_html(sentence_maps(found), caption=caption)
    write_whole(page, tokens_page("Explained sentences", whole).encode())
    shown = max(1, MOST_ROWS // max(1, len(found[0].scores)))
    if shown < len(found):
        caption = f"{caption}; the first {shown} of {len(found)} sentences, tokens.html has all"
    return [page, *save_figure(tokens_figure(sentence_maps(found[:shown]), caption=caption), folder / "tokens.png")]


def draw_text(folder: Path, progress: Callable[[str], None] | None = None) -> list[Path]:
    """Draws the scores that `explain_sentences` stored in a folder: see `draw_sentences`."""
    found, config = read_sentence_scores(folder), TEXT_ATTRIBUTION.request(folder)
    if progress is not None:
        progress("tokens")
    return draw_sentences(found, folder, f"{config.model}, baseline {config.baseline}, seed {config.seed}")


def _note(each: TextExplanation, method: str) -> str:
    words = [f"{each.class_name} {each.confidence:.2f}"]
    if each.is_rounding(method):
        words.append("sums are rounding only")
    if abs(each.delta.get(method, 0.0)) > 0.1:
        words.append(f"{each.delta[method]:+.2f} from complete, take more steps")
    return f"({'; '.join(words)})"
