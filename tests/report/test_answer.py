"""The first screen of a check's page: the answer in words, bars between chance and ceiling, and what to do next."""

from dataclasses import replace

import pytest

from probatum.attributions import METHODS
from probatum.experiments import Judgement, Verdict
from probatum.experiments.verdicts import INSENSITIVE, SENSITIVE, UNDECIDED
from probatum.metrics import METRICS
from probatum.report.html.answer import answer_of
from probatum.report.html.explained import METHODS_IN_WORDS, METRICS_IN_WORDS
from probatum.report.html.level_bars import MARGIN, WIDTH


def verdict(method, word, **changes):
    numbers = {"score": 0.4, "chance": 0.2, "ceiling": 1.0, "value": 0.25, "low": 0.2, "high": 0.3}
    return replace(Verdict(method, "ssim", "similarity", word, "a reason"), **numbers | changes)


def answered(*verdicts, order="cascading", broken=(), images=6, weights="train"):
    judgement = Judgement(("fc", "conv1"), images, 1, verdicts, broken)
    config = {
        "config": {"weights": weights},
        "methods": {each.method: {"title": METHODS[each.method].title} for each in verdicts},
        "randomization": {"order": order},
    }
    return answer_of(config, judgement)


def test_the_answer_counts_methods_and_leaves_controls_out():
    found = answered(
        verdict("gradient", SENSITIVE),
        verdict("grad-cam", SENSITIVE),
        verdict("guided-backprop", INSENSITIVE),
        verdict("smoothgrad", UNDECIDED, remedy="more images and more trials"),
        verdict("edge-detector", INSENSITIVE),
    )
    assert found.verdict == "2 of 4 methods do, 1 does not and 1 is undecided."
    assert found.detail == ["Yes: Gradient and Grad-CAM.", "No: Guided Backprop."]
    assert [word for word, _, _ in found.groups] == [SENSITIVE, UNDECIDED, INSENSITIVE, INSENSITIVE]
    assert "control" in found.groups[-1][1]
    steps = {step.who: step for step in found.steps}
    assert steps["Undecided"].options == ("--images 24", "--trials 5")
    assert "random weights" in steps["Insensitive"].advice


def test_nothing_is_claimed_where_all_is_undecided_or_a_control_failed():
    assert "the method is undecided" in answered(verdict("gradient", UNDECIDED)).verdict
    assert "1 image cannot decide" in answered(verdict("gradient", UNDECIDED), images=1).verdict
    assert "constant" in answered(verdict("gradient", UNDECIDED), verdict("edge-detector", INSENSITIVE, live=6)).verdict
    assert "constant" not in answered(verdict("gradient", UNDECIDED, live=1)).verdict
    assert "nothing was learned" in answered(verdict("gradient", SENSITIVE), weights="none").verdict
    broken = answered(verdict("gradient", SENSITIVE), broken=("edge-detector changes",))
    assert broken.broken
    assert "edge-detector changes" in broken.verdict
    assert [step.who for step in broken.steps] == ["Find the fault first"]


def test_the_question_names_what_the_check_changes():
    for order, subject in {"logit": "class", "cascading": "model", "independent": "conv1"}.items():
        found = answered(verdict("gradient", INSENSITIVE), order=order)
        assert subject in found.question.words
        assert subject in found.steps[0].advice


def test_the_fill_of_a_bar_is_the_share_of_its_track():
    ((_, _, (line,)),) = answered(verdict("gradient", UNDECIDED)).groups
    assert line.bar.track == (line.bar.chance, pytest.approx(line.bar.ceiling - line.bar.chance))
    assert line.bar.fill[1] / line.bar.track[1] == pytest.approx(0.25, abs=2e-3)  # places are rounded to 0.1
    assert line.bar.ceiling == WIDTH - MARGIN
    assert line.bar.low < line.bar.score < line.bar.high
    assert line.number == "0.25 [0.20, 0.30]"


def test_a_rise_has_no_chance_and_a_missing_score_no_bar():
    rise = verdict("gradient", SENSITIVE, kind="rise", chance=float("nan"), ceiling=0.0, score=0.3)
    ((_, _, (line,)),) = answered(rise).groups
    assert line.bar.track is line.bar.fill is None
    nothing = dict.fromkeys(("score", "chance", "ceiling", "value", "low", "high"), float("nan"))
    ((_, _, (line,)),) = answered(verdict("gradient", UNDECIDED, **nothing)).groups
    assert line.bar is None


def test_every_method_and_metric_is_explained():
    assert set(METHODS_IN_WORDS) == set(METHODS)
    assert set(METRICS_IN_WORDS) == set(METRICS)
