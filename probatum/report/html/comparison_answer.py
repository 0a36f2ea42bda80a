"""The first screen of a comparison: the answer over all checks, one line for each method, and where checks disagree."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from probatum.attributions import is_control, title_of
from probatum.experiments.compare import PresetComparison
from probatum.experiments.tables import count
from probatum.experiments.verdicts import INSENSITIVE, SENSITIVE, Judgement, Word
from probatum.report.html.answer import FAULT, PASSING, UNTRAINED, Step, why_undecided
from probatum.report.html.level_bars import Bar, bar_of, lowest_level
from probatum.report.html.words import listed, settings
from probatum.report.next_steps import next_steps
from probatum.report.question import CLASS, WEIGHTS, explains_class

Config = dict[str, Any]  # of a check, from its `config.json`
Outcome = Literal["sensitive", "partly", "divided", "undecided", "insensitive"]
_MOST_NAMED = 4  # methods that a step names; of more it says the number


@dataclass(frozen=True)
class Group:
    """The methods with one outcome over all checks.

    Args:
        badge: class of the color.
        title: the outcome.
        meaning: in a few words.
        sentence: how the answer counts them, after "1 method is" or "2 methods are".
    """

    badge: str
    title: str
    meaning: str
    sentence: str


OUTCOMES: dict[Outcome, Group] = {
    "sensitive": Group("good", "sensitive", "under every check", "sensitive under every check"),
    "partly": Group(
        "open",
        "sensitive where decided",
        "other checks are open",
        "sensitive under the checks that decide",
    ),
    "divided": Group("bad", "divided", "the checks contradict each other", "judged in opposite ways"),
    "undecided": Group("open", "undecided", "no check settles it", "undecided under every check"),
    "insensitive": Group("bad", "insensitive", "under at least one check, sensitive under none", "insensitive"),
}


@dataclass(frozen=True)
class Cell:
    """One method under one check."""

    word: Word
    bar: Bar | None


@dataclass(frozen=True)
class Line:
    """One method under all checks; the cells are in the order of the presets."""

    title: str
    control: bool
    cells: list[Cell]


@dataclass(frozen=True)
class ComparisonAnswer:
    """Content of the first screen.

    Args:
        question: the heading.
        verdict: the answer in one sentence.
        detail: which methods, in sentences.
        broken: whether no check can be trusted.
        groups: the lines by outcome; controls come last.
        disagreements: the methods with opposite verdicts, (title, why).
        steps: what to do next.
    """

    question: str
    verdict: str
    detail: list[str]
    broken: bool
    groups: list[tuple[Group, list[Line]]]
    disagreements: list[tuple[str, str]]
    steps: list[Step]


def comparison_answer(comparison: PresetComparison, configs: Mapping[str, Config]) -> ComparisonAnswer:
    """Answers which methods may be trusted on this model under all checks; broken checks have no say.

    Args:
        comparison: the verdicts.
        configs: of each check, by preset.
    """
    judgements = comparison.judgements
    trusted = [preset for preset in comparison.presets if not judgements[preset].broken]
    lowest = {preset: lowest_level(judgement) for preset, judgement in judgements.items()}
    lines, outcomes = dict[str, Line](), dict[str, Outcome]()
    for name in comparison.methods:
        summaries = {preset: comparison.cell(name, preset) for preset in comparison.presets}
        cells = [Cell(summary.word, bar_of(summary, lowest[preset])) for preset, summary in summaries.items()]
        lines[name] = Line(title_of(name), is_control(name), cells)
        outcomes[name] = outcome_of([summaries[preset].word for preset in trusted])
    tested = [name for name in comparison.methods if not is_control(name)] or list(comparison.methods)
    found = {outcome: [name for name in tested if outcomes[name] == outcome] for outcome in OUTCOMES}
    groups = [(OUTCOMES[outcome], [lines[name] for name in names]) for outcome, names in found.items() if names]
    controls = [lines[name] for name in comparison.methods if name not in tested]
    if controls:
        groups.append(
            (Group("bad", "insensitive", "controls, which never use the model: as they must be", ""), controls)
        )
    return ComparisonAnswer(
        _question(configs),
        UNTRAINED * (next(iter(configs.values()))["config"]["weights"] == "none")
        + _verdict(found, judgements, trusted),
        _details(found),
        not trusted,
        groups,
        [(title_of(name), _disagreement(name, comparison, configs, trusted)) for name in found["divided"]],
        _steps(comparison, trusted, found),
    )


def outcome_of(words: Sequence[Word]) -> Outcome:
    """The verdicts of several checks on one method in one word."""
    given = set(words)
    if {SENSITIVE, INSENSITIVE} <= given:
        return "divided"
    if INSENSITIVE in given:
        return "insensitive"
    if given == {SENSITIVE}:
        return "sensitive"
    return "partly" if SENSITIVE in given else "undecided"


def _question(configs: Mapping[str, Config]) -> str:
    classes = {explains_class(config) for config in configs.values()}
    if len(classes) == 2:
        return f"Do these maps depend on {WEIGHTS.explained} and on {CLASS.explained}?"
    return (CLASS if classes == {True} else WEIGHTS).words


def _verdict(found: Mapping[Outcome, list[str]], judgements: Mapping[str, Judgement], trusted: Sequence[str]) -> str:
    broken = [
        f"{preset} ({'; '.join(judgement.broken)})" for preset, judgement in judgements.items() if judgement.broken
    ]
    if not trusted:
        return f"No check can be trusted: {listed(broken)}."
    methods = sum(map(len, found.values()))
    told = [
        f"{len(names)} {'is' if len(names) == 1 else 'are'} {OUTCOMES[outcome].sentence}"
        for outcome, names in found.items()
        if names
    ]
    why = why_undecided(judgements[trusted[0]]) if len(found["undecided"]) == methods else ""
    left_out = f" Broken and left out: {listed(broken)}." if broken else ""
    return f"Of {count(methods, 'method')}, {listed(told)}{why}.{left_out}"


def _details(found: Mapping[Outcome, list[str]]) -> list[str]:
    heads: dict[Outcome, str] = {
        "sensitive": "Yes",
        "partly": "Yes where decided",
        "divided": "It depends on the check",
        "insensitive": "No",
    }
    return [f"{head}: {listed(map(title_of, found[outcome]))}." for outcome, head in heads.items() if found[outcome]]


def _disagreement(
    name: str, comparison: PresetComparison, configs: Mapping[str, Config], trusted: Sequence[str]
) -> str:
    """Which checks contradict each other about a method, and how these checks differ."""
    words: dict[Word, list[str]] = {
        word: [preset for preset in trusted if comparison.cell(name, preset).word == word]
        for word in (SENSITIVE, INSENSITIVE)
    }
    for_it, against = words[SENSITIVE], words[INSENSITIVE]
    told = f"sensitive under {listed(for_it)}, insensitive under {listed(against)}"
    pairs = [(one, other) for one in for_it for other in against]
    # The pair that differs least explains most.
    reasons = [differences(name, (one, configs[one]), (other, configs[other]), comparison) for one, other in pairs]
    fewest = min(reasons, key=len)
    return f"{told}; {'; '.join(fewest)}"


def differences(
    method: str, sensitive: tuple[str, Config], insensitive: tuple[str, Config], comparison: PresetComparison
) -> list[str]:
    """Says what may make two checks judge a method in opposite ways: what they do differently, in phrases."""
    (first, one), (second, other) = sensitive, insensitive
    if explains_class(one) != explains_class(other):
        kept, changed = ("class", "weights") if explains_class(other) else ("weights", "class")
        return [f"the maps change with the {changed}, but hardly with the {kept}, for {_class_check(one, other)}"]
    facts, others = one["randomization"], other["randomization"]
    found = []
    if facts["order"] != others["order"] and "independent" in (facts["order"], others["order"]):
        alone, full = (first, second) if facts["order"] == "independent" else (second, first)
        layer = comparison.judgements[alone].stages[-1]
        found.append(f"{alone} ends with {layer} random alone, {full} with all layers")
    metrics = [comparison.cell(method, preset).leading.metric for preset in (first, second)]
    if metrics[0] != metrics[1]:
        found.append(f"{first} is decided by {metrics[0]}, {second} by {metrics[1]}")
    for what, (left, right) in {
        "the method is": (settings(one["methods"][method]), settings(other["methods"][method])),
        "weights are drawn by": (settings(facts["initializer"]), settings(others["initializer"])),
        "batch norm": (facts["batch_norm"].replace("-", " "), others["batch_norm"].replace("-", " ")),
    }.items():
        if left != right:
            found.append(f"{what} {left} in {first} and {right} in {second}")
    return found or ["the checks differ only in order and random numbers, so more trials should bring them together"]


def _class_check(one: Config, other: Config) -> str:
    preset = (one if explains_class(one) else other)["randomization"]["preset"]
    return f"{preset} keeps the weights and explains another class"


def _steps(comparison: PresetComparison, trusted: Sequence[str], found: Mapping[Outcome, list[str]]) -> list[Step]:
    """Recommended next steps."""
    if not trusted:
        return [FAULT]
    steps = []
    if found["sensitive"] or found["partly"]:
        steps.append(Step("Sensitive", PASSING))
    if found["insensitive"]:
        steps.append(Step("Insensitive", "do not explain this model with them: what should change their maps does not"))
    if found["divided"]:
        steps.append(Step("Divided", "the checks ask different questions; use the method only for one that it passes"))
    return [*steps, *_remedies(comparison, trusted)]


def _remedies(comparison: PresetComparison, trusted: Sequence[str]) -> list[Step]:
    """What would decide the open verdicts, for each remedy the methods that it concerns."""
    concerned: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for preset in trusted:
        for each in next_steps(comparison.judgements[preset]):
            concerned.setdefault((each.remedy, each.options), []).extend(each.methods)
    return [
        Step(f"Undecided, {_named(dict.fromkeys(methods))}" if len(concerned) > 1 else "Undecided", remedy, options)
        for (remedy, options), methods in concerned.items()
    ]


def _named(methods: Collection[str]) -> str:
    return listed(map(title_of, methods)) if len(methods) <= _MOST_NAMED else count(len(methods), "method")
