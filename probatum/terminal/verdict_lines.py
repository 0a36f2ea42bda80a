"""The verdicts of a check as lines of a terminal, as much of each as fits the width."""

import textwrap
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from probatum.attributions import is_control, title_of
from probatum.experiments import Judgement, Summary
from probatum.experiments.verdicts import INSENSITIVE, SENSITIVE, UNDECIDED, Word
from probatum.report.next_steps import next_steps
from probatum.report.question import Question

ORDER: tuple[Word, ...] = (SENSITIVE, UNDECIDED, INSENSITIVE)
_GAP = "  "
_SHORTEST = 12  # letters of a method's title that are always shown


def ordered(judgement: Judgement) -> list[Summary]:
    """The methods by their verdict, sensitive ones first and controls last."""
    return sorted(judgement.summaries.values(), key=lambda each: (is_control(each.method), ORDER.index(each.word)))


def verdict_lines(judgement: Judgement, width: int) -> list[str]:
    """One line for each method: the verdict, the method and the numbers that decided.

    Args:
        judgement: the verdicts.
        width: columns of the terminal. Where they are few, the score with its levels is left out first, then the
            interval; at last long titles are shortened.

    Returns:
        the lines, in the order of `ordered`.
    """
    summaries = ordered(judgement)
    for cells in (_all, _interval, _number):
        lines = aligned([cells(each) for each in summaries])
        if max(map(len, lines)) <= width:
            return lines
    excess = max(map(len, lines)) - width
    longest = max(_SHORTEST, max(len(_titled(each)) for each in summaries) - excess)
    return aligned([_number(each, longest) for each in summaries])


def remedies(judgement: Judgement) -> Iterator[str]:
    """Says what would decide the undecided verdicts, one sentence for each remedy."""
    undecided = [each for each in ordered(judgement) if each.word == UNDECIDED]
    for step in next_steps(judgement):
        titles = [title_of(each.method) for each in undecided if each.method in step.methods]
        which = "all undecided" if len(titles) == len(undecided) > 1 else ", ".join(titles)
        such = f", such as {' '.join(step.options)}" if step.options else ""
        yield f"To decide {which}: {step.remedy}{such}."


def closing(judgement: Judgement, question: Question, folder: Path) -> str:
    """The last sentence of a check: how many methods have which verdict, how to read it, and where the report is."""
    tested = [each for each in judgement.summaries.values() if not is_control(each.method)] or [
        *judgement.summaries.values()
    ]
    counts = Counter(each.word for each in tested)
    found = ", ".join(f"{counts[word]} {word}" for word in (SENSITIVE, INSENSITIVE, UNDECIDED))
    return (
        f"Of {counted(len(tested), 'method')}, {found} to {question.cause}. Low similarity is good: a map that "
        f"survives {question.change} does not explain {question.explained}. Report: {folder / 'report.html'}"
    )


def wrapped(sentence: str, width: int) -> str:
    """A sentence broken at spaces, its later lines indented; names and paths stay whole."""
    return textwrap.fill(sentence, width, subsequent_indent=_GAP, break_long_words=False, break_on_hyphens=False)


def counted(number: int, what: str) -> str:
    """A number of things, such as "1 image" or "12 images"."""
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _all(summary: Summary) -> list[str]:
    verdict = summary.leading
    if _disagree(summary):
        return [*_number(summary)[:2], _shares(summary), _number(summary)[2]]
    levels = {"chance": verdict.chance, "score": verdict.score, "ceiling": verdict.ceiling}
    told = ", ".join(f"{name} {_round(level)}" for name, level in levels.items() if np.isfinite(level))
    return [*_interval(summary), f"{verdict.metric}: {told}" if told else ""]


def _interval(summary: Summary) -> list[str]:
    *cells, number = _number(summary)
    if _disagree(summary):
        return [*cells, f"{_shares(summary)}, {number}"]
    verdict = summary.leading
    between = f" [{_round(verdict.low)}, {_round(verdict.high)}]" if np.isfinite(verdict.value) else ""
    return [*cells, number + between]


def _shares(summary: Summary) -> str:
    """The lowest and the highest share that the metrics find, as a text."""
    shares = [verdict.value for verdict in summary.verdicts if verdict.kind != "rise"]
    return f"share {_round(np.nanmin(shares)):>5} to {_round(np.nanmax(shares))}"


def _number(summary: Summary, longest: int | None = None) -> list[str]:
    verdict = summary.leading
    number = "no share"
    if _disagree(summary):
        number = "metrics differ"
    elif np.isfinite(verdict.value):
        number = f"{'rise' if verdict.kind == 'rise' else 'share'} {_round(verdict.value):>5}"
    title = _titled(summary)
    if longest is not None and len(title) > longest:
        title = f"{title[: longest - 3]}..."
    return [summary.word, title, number]


def _disagree(summary: Summary) -> bool:
    """Tells whether a method is undecided although one of its metrics has a firm verdict."""
    return summary.word != summary.leading.word


def _titled(summary: Summary) -> str:
    return title_of(summary.method) + " (control)" * is_control(summary.method)


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows of cells as lines, every column as wide as its longest cell."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [(_GAP + _GAP.join(map(str.ljust, row, widths))).rstrip() for row in rows]


def _round(value: float) -> str:
    """Two digits; adding zero turns a rounded −0 into 0."""
    return f"{round(value, 2) + 0.0:.2f}"
