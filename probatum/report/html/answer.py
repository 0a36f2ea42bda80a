"""The first screen of a check: the question, the answer in words, one line for each method, and what to do next."""

import math
from collections import Counter
from dataclasses import dataclass
from typing import Any

from probatum.attributions import is_control
from probatum.experiments.tables import count
from probatum.experiments.verdicts import (
    INSENSITIVE,
    LEAST_IMAGES,
    SENSITIVE,
    UNDECIDED,
    Judgement,
    Summary,
    Word,
)
from probatum.report.html.level_bars import Bar, bar_of, lowest_level
from probatum.report.html.words import listed, number
from probatum.report.next_steps import next_steps
from probatum.report.question import Question, question_of

_ORDER: tuple[Word, ...] = (SENSITIVE, UNDECIDED, INSENSITIVE)
PASSING = "use them further; passing is necessary, it does not show that a map is faithful to the model"
UNTRAINED = "The weights are random, nothing was learned. "
CONTROLS = "control, which never uses the model: as it must be"


@dataclass(frozen=True)
class Step:
    """What to do next.

    Args:
        who: the methods that it is for, by their verdict.
        advice: what to do.
        options: of the command, for example.
    """

    who: str
    advice: str
    options: tuple[str, ...] = ()


FAULT = Step("Find the fault first", "a control that never uses the model must keep its maps")


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
        question: of the check.
        verdict: the answer in one sentence.
        detail: which methods, in sentences.
        broken: whether a control failed; nothing is answered then.
        groups: the lines by verdict, with the meaning of the verdict; empty ones are left out, controls come last.
        steps: what to do next.
    """

    question: Question
    verdict: str
    detail: list[str]
    broken: bool
    groups: list[tuple[Word, str, list[Line]]]
    steps: list[Step]


def answer_of(config: dict[str, Any], judgement: Judgement) -> Answer:
    """Answers which methods may be trusted on this model, from its `config.json` and verdicts."""
    lowest = lowest_level(judgement)
    lines = [_line(summary, config["methods"][name]["title"], lowest) for name, summary in judgement.summaries.items()]
    tested = [line for line in lines if not line.control] or lines
    titles = {word: [line.title for line in tested if line.word == word] for word in _ORDER}
    question = question_of(config, judgement.stages[-1])
    meanings = (
        f"the maps change with {question.cause}",
        "this run does not settle it",
        f"the maps survive {question.change}",
    )
    groups = [
        (word, meaning, [line for line in tested if line.word == word])
        for word, meaning in zip(_ORDER, meanings, strict=True)
    ]
    return Answer(
        question,
        UNTRAINED * (config["config"]["weights"] == "none") + _verdict(judgement, titles, len(tested)),
        _details(titles),
        bool(judgement.broken),
        [group for group in groups if group[2]]
        + [
            (line.word, CONTROLS if line.word == INSENSITIVE else "control, which never uses the model", [line])
            for line in lines
            if line not in tested
        ],
        _steps(config, judgement, titles, question),
    )


def _verdict(judgement: Judgement, titles: dict[Word, list[str]], methods: int) -> str:
    if judgement.broken:
        return f"This check is broken and answers nothing: {'; '.join(judgement.broken)}."
    counts = Counter({word: len(found) for word, found in titles.items()})
    if counts[UNDECIDED] == methods:
        which = "the method is" if methods == 1 else f"all {methods} methods are"
        return f"Not known yet: {which} undecided{why_undecided(judgement)}."
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


def _steps(
    config: dict[str, Any], judgement: Judgement, titles: dict[Word, list[str]], question: Question
) -> list[Step]:
    """Recommended next steps, by verdict."""
    if judgement.broken:
        return [FAULT]
    steps = []
    if titles[SENSITIVE]:
        steps.append(Step("Sensitive", PASSING))
    if titles[INSENSITIVE]:
        advice = f"do not explain {question.explained} with them: nearly the same maps come with {question.change}"
        steps.append(Step("Insensitive", advice))
    for each in next_steps(judgement):
        who = [config["methods"][name]["title"] for name in each.methods]
        which = "Undecided" if len(who) == len(titles[UNDECIDED]) else f"Undecided, {listed(who)}"
        steps.append(Step(which, each.remedy, each.options))
    return steps


def why_undecided(judgement: Judgement) -> str:
    """The end of a sentence on methods that are all undecided, where there is one reason for all; "" elsewhere."""
    if judgement.images < LEAST_IMAGES:
        return f", for {count(judgement.images, 'image')} cannot decide; it takes {LEAST_IMAGES}"
    if not any(each.live for each in judgement.verdicts if not is_control(each.method)):
        return ", for their maps are constant or not finite"
    return ""


def _line(summary: Summary, title: str, lowest: float) -> Line:
    leading = summary.leading
    disagree = summary.word != leading.word
    told = "metrics differ" if disagree else "no share"
    if math.isfinite(leading.value) and not disagree:
        told = f"{number(leading.value)} [{number(leading.low)}, {number(leading.high)}]"
    return Line(
        summary.method, title, is_control(summary.method), summary.word, leading.metric, told, bar_of(summary, lowest)
    )
