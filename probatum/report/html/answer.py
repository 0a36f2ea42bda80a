"""The first screen of a check: the question, the answer in words, one line for each method, and what to do next."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from probatum.attributions import METHODS
from probatum.experiments.verdicts import (
    INSENSITIVE,
    LEAST_IMAGES,
    MORE,
    MORE_IMAGES,
    MORE_TRIALS,
    SENSITIVE,
    UNDECIDED,
    Judgement,
    Summary,
    Word,
)
from probatum.report.html.words import count, listed, number

WIDTH = 200.0  # of a bar's axis
MARGIN = 7.0
GROUPS: dict[Word, str] = {
    SENSITIVE: "the maps change with the weights",
    UNDECIDED: "this run does not settle it",
    INSENSITIVE: "the maps survive random weights",
}


@dataclass(frozen=True)
class Bar:
    """Places on the axis of one method, from 0 to `WIDTH`; NaN where a level does not exist.

    Args:
        chance: of maps that have nothing in common.
        score: after the last stage.
        ceiling: of the method against itself.
        low: lower end of the interval of the score.
        high: upper end.
        words: the levels, for readers who do not see the bar.
    """

    chance: float
    score: float
    ceiling: float
    low: float
    high: float
    words: str

    @property
    def track(self) -> tuple[float, float] | None:
        """From chance to the ceiling, the way that the share divides."""
        if math.isnan(self.chance) or math.isnan(self.ceiling):
            return None
        return min(self.chance, self.ceiling), abs(self.ceiling - self.chance)

    @property
    def fill(self) -> tuple[float, float] | None:
        """From chance to the score, which is the share retained."""
        if self.track is None or math.isnan(self.score):
            return None
        return min(self.chance, self.score), abs(self.score - self.chance)


@dataclass(frozen=True)
class Line:
    """One method: its verdict, the bar of the metric that decided, and the number."""

    name: str
    title: str
    control: bool
    word: Word
    metric: str
    number: str
    bar: Bar | None


@dataclass(frozen=True)
class Answer:
    """Content of the first screen.

    Args:
        question: the heading.
        verdict: the answer in one sentence.
        detail: which methods, in sentences.
        broken: whether a control failed; nothing is answered then.
        groups: the lines by verdict, with the meaning of the verdict; empty ones are left out, controls come last.
        steps: what to do next.
    """

    question: str
    verdict: str
    detail: list[str]
    broken: bool
    groups: list[tuple[Word, str, list[Line]]]
    steps: list[tuple[str, str]]


def answer_of(config: dict[str, Any], judgement: Judgement) -> Answer:
    """Answers which methods may be trusted on this model, from its `config.json` and verdicts."""
    lowest = _lowest(judgement)
    lines = [_line(summary, config["methods"][name]["title"], lowest) for name, summary in judgement.summaries.items()]
    tested = [line for line in lines if not line.control] or lines
    titles = {word: [line.title for line in tested if line.word == word] for word in GROUPS}
    to_class = config["randomization"]["order"] == "logit"
    object_ = "the class that is explained" if to_class else "what the model has learned"
    return Answer(
        f"Do these maps depend on {object_}?",
        _verdict(judgement, titles, len(tested)),
        _details(titles),
        bool(judgement.broken),
        [
            (word, meaning, found)
            for word, meaning in GROUPS.items()
            if (found := [line for line in tested if line.word == word])
        ]
        + [(line.word, "control, which never uses the model", [line]) for line in lines if line not in tested],
        _steps(config, judgement, titles),
    )


def _verdict(judgement: Judgement, titles: dict[Word, list[str]], methods: int) -> str:
    if judgement.broken:
        return f"This check is broken and answers nothing: {'; '.join(judgement.broken)}."
    counts = Counter({word: len(found) for word, found in titles.items()})
    if counts[UNDECIDED] == methods:
        return f"Not known yet: all {count(methods, 'method')} are undecided."
    told = [f"{counts[SENSITIVE]} of {count(methods, 'method')} {'does' if counts[SENSITIVE] == 1 else 'do'}"]
    if counts[INSENSITIVE]:
        told.append(f"{counts[INSENSITIVE]} {'does' if counts[INSENSITIVE] == 1 else 'do'} not")
    if counts[UNDECIDED]:
        told.append(f"{counts[UNDECIDED]} {'is' if counts[UNDECIDED] == 1 else 'are'} undecided")
    return f"{listed(told)}."


def _details(titles: dict[Word, list[str]]) -> list[str]:
    found = []
    if titles[SENSITIVE]:
        found.append(f"Yes: {listed(titles[SENSITIVE])}.")
    if titles[INSENSITIVE]:
        found.append(f"No: {listed(titles[INSENSITIVE])}.")
    return found


def _steps(config: dict[str, Any], judgement: Judgement, titles: dict[Word, list[str]]) -> list[tuple[str, str]]:
    """Recommended next steps, as (verdict, what to do)."""
    if judgement.broken:
        return [("Find the fault first", "a control that never uses the model must keep its maps")]
    steps = []
    if titles[SENSITIVE]:
        steps.append(
            (
                "Sensitive",
                "use them further; passing is necessary, it does not show that a map is faithful to the model",
            )
        )
    if titles[INSENSITIVE]:
        steps.append(("Insensitive", "do not explain this model with them: random weights give nearly the same maps"))
    undecided = [each for each in judgement.summaries.values() if each.word == UNDECIDED]
    for remedy in dict.fromkeys(each.remedy for each in undecided if each.remedy):
        who = [config["methods"][each.method]["title"] for each in undecided if each.remedy == remedy]
        which = "Undecided" if len(who) == len(undecided) else f"Undecided, {listed(who)}"
        steps.append((which, remedy + _options(judgement, remedy)))
    return steps


def _options(judgement: Judgement, remedy: str) -> str:
    """The options that follow a remedy, in numbers of this run."""
    trials = f"--trials {max(5, 3 * judgement.trials)}"
    examples = {
        MORE_IMAGES: f"--images {4 * LEAST_IMAGES}",
        MORE: f"--images {4 * judgement.images} or {trials}",
        MORE_TRIALS: trials,
    }
    return f", for example {examples[remedy]}" if remedy in examples else ""


def _line(summary: Summary, title: str, lowest: float) -> Line:
    leading = summary.leading
    disagree = summary.word != leading.word
    told = "metrics differ" if disagree else "–"
    if math.isfinite(leading.value) and not disagree:
        told = f"{number(leading.value)} [{number(leading.low)}, {number(leading.high)}]"
    control = summary.method in METHODS and METHODS[summary.method].control
    return Line(summary.method, title, control, summary.word, leading.metric, told, _bar(summary, lowest))


def _lowest(judgement: Judgement) -> float:
    """The left end of the axis that all similarities share; the right end is 1."""
    levels = [
        level
        for each in judgement.summaries.values()
        if each.leading.kind == "similarity"
        for level in (each.leading.chance, each.leading.score, each.leading.ceiling)
        if math.isfinite(level)
    ]
    return min([-0.1, *levels])


def _bar(summary: Summary, lowest: float) -> Bar | None:
    """The levels of the metric that decided, on the axis of all similarities; distances and rises have their own."""
    verdict = summary.leading
    room = verdict.ceiling - verdict.chance
    if verdict.kind == "rise":
        low, high = verdict.ceiling + verdict.low, verdict.ceiling + verdict.high
        chance = math.nan
    else:
        low, high = verdict.chance + verdict.low * room, verdict.chance + verdict.high * room
        chance = verdict.chance
    levels = {"chance": chance, "score": verdict.score, "ceiling": verdict.ceiling}
    known = [level for level in (*levels.values(), low, high) if math.isfinite(level)]
    if not math.isfinite(verdict.score):
        return None
    ends = (lowest, 1.0) if verdict.kind == "similarity" else (min(0.0, *known), max(0.0, *known) or 1.0)
    words = ", ".join(f"{name} {number(level)}" for name, level in levels.items() if math.isfinite(level))
    chance, score, ceiling, low, high = (_place(level, ends) for level in (*levels.values(), low, high))
    return Bar(chance, score, ceiling, low, high, f"{verdict.metric}: {words}")


def _place(level: float, ends: Sequence[float]) -> float:
    """Where a level stands on the axis."""
    share = (level - ends[0]) / (ends[1] - ends[0])
    return round(MARGIN + min(1.0, max(0.0, share)) * (WIDTH - 2 * MARGIN), 1) if math.isfinite(share) else math.nan
