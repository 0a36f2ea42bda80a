"""The first screen of a comparison: one answer over all checks, and why checks contradict each other."""

from dataclasses import replace

import pytest

from probatum.experiments import Judgement, Verdict
from probatum.experiments.compare import PresetComparison
from probatum.experiments.verdicts import INSENSITIVE, SENSITIVE, UNDECIDED
from probatum.report.html.comparison_answer import comparison_answer, outcome_of

RESET, NORMAL = {"class": "Reset"}, {"class": "Normal", "std": 0.01}


def judgement(words, broken=(), metric="ssim"):
    numbers = {"score": 0.4, "chance": 0.2, "ceiling": 1.0, "value": 0.25, "low": 0.2, "high": 0.3}
    plain = [Verdict(method, metric, "similarity", word, "a reason") for method, word in words.items()]
    verdicts = tuple(replace(each, **numbers, remedy="more trials" * (each.word == UNDECIDED)) for each in plain)
    return Judgement(("fc", "conv1"), 20, 1, verdicts, broken)


def config(preset, order="cascading", initializer=RESET, **method):
    facts = {"preset": preset, "order": order, "initializer": initializer, "batch_norm": "keep-statistics"}
    settings = {name: {"class": "Method", **method} for name in ("gradient", "grad-cam", "edge-detector")}
    return {"config": {"weights": "train"}, "randomization": facts, "methods": settings}


def answered(judgements, configs):
    methods = tuple(next(iter(judgements.values())).summaries)
    return comparison_answer(PresetComparison(methods, judgements), {each: configs[each] for each in judgements})


@pytest.mark.parametrize(
    ("words", "outcome"),
    [
        ((SENSITIVE, SENSITIVE), "sensitive"),
        ((SENSITIVE, UNDECIDED), "partly"),
        ((SENSITIVE, INSENSITIVE, UNDECIDED), "divided"),
        ((UNDECIDED, UNDECIDED), "undecided"),
        ((INSENSITIVE, UNDECIDED), "insensitive"),
    ],
)
def test_one_outcome_for_the_verdicts_of_all_checks(words, outcome):
    assert outcome_of(words) == outcome


def test_the_answer_counts_outcomes_and_leaves_controls_out():
    words = {"gradient": SENSITIVE, "grad-cam": UNDECIDED, "edge-detector": INSENSITIVE}
    found = answered(
        {"adebayo": judgement(words), "random-logit": judgement(words | {"grad-cam": SENSITIVE})},
        {"adebayo": config("adebayo"), "random-logit": config("random-logit", "logit")},
    )
    assert "model and on the class" in found.question
    assert found.verdict.startswith("Of 2 methods, 1 is sensitive under every check and 1 is")
    assert found.detail == ["Yes: Gradient.", "Yes where decided: Grad-CAM."]
    assert [line.title for _, lines in found.groups for line in lines] == ["Gradient", "Grad-CAM", "Edge Detector"]
    assert [cell.word for cell in found.groups[1][1][0].cells] == [UNDECIDED, SENSITIVE]
    assert [step.options for step in found.steps if step.who == "Undecided"] == [("--trials 5",)]


@pytest.mark.parametrize(
    ("other", "named"),
    [
        (config("b", "logit"), ["another class"]),
        (config("b", "independent"), ["conv1 random alone"]),
        (config("b", initializer=NORMAL), ["Reset in a", "Normal(std 0.01) in b"]),
        (config("b", samples=50), ["samples 50"]),
        (config("b", "bottom-up"), ["more trials"]),
    ],
)
def test_a_contradiction_is_explained_by_what_the_checks_do_differently(other, named):
    words = [{"gradient": SENSITIVE}, {"gradient": INSENSITIVE}]
    found = answered({"a": judgement(words[0]), "b": judgement(words[1])}, {"a": config("a"), "b": other})
    ((title, why),) = found.disagreements
    assert title == "Gradient"
    assert why.startswith("sensitive under a, insensitive under b")
    assert all(part in why for part in named)
    assert "Divided" in [step.who for step in found.steps]


def test_another_metric_explains_a_contradiction():
    judgements = {
        "a": judgement({"gradient": SENSITIVE}),
        "b": judgement({"gradient": INSENSITIVE}, metric="hog-pearson"),
    }
    ((_, why),) = answered(judgements, {"a": config("a"), "b": config("b")}).disagreements
    assert "ssim" in why
    assert "hog-pearson" in why


def test_a_broken_check_has_no_say():
    judgements = {
        "a": judgement({"gradient": SENSITIVE}),
        "b": judgement({"gradient": INSENSITIVE}, broken=("edge-detector changes",)),
    }
    configs = {"a": config("a"), "b": config("b")}
    found = answered(judgements, configs)
    assert "1 is sensitive under every check" in found.verdict
    assert "left out: b" in found.verdict
    assert not found.disagreements
    nothing = answered({"b": judgements["b"]}, configs)
    assert nothing.broken
    assert [step.who for step in nothing.steps] == ["Find the fault first"]
