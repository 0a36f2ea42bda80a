"""Rules of claims: three words on an interval, dead maps, counts, and when a stand-in allows a verdict."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from probatum.errors import InvalidInput
from probatum.report.scorecard import by_role, tally
from probatum.reproductions.base import Claim
from probatum.reproductions.rules import (
    Mean,
    above,
    all_of,
    below,
    between,
    fact,
    live_counts,
    measure,
    ordered,
    paired,
    proportion,
    ratio,
    worst,
)
from probatum.reproductions.setting import Setting, conclude

CLAIM = Claim("name", "Figure 1", "maps of photographs change", "0.1", about=("photographs", "50 epochs"))


def mean(low, high, count=8):
    return Mean("SSIM", (low + high) / 2, low, high, {"image": count}, {"image": 10})


@pytest.mark.parametrize(
    ("low", "high", "words"),
    [
        (0.6, 0.7, ("reproduced", "not reproduced", "not reproduced")),
        (0.4, 0.6, ("undecided", "undecided", "undecided")),
        (0.3, 0.4, ("not reproduced", "reproduced", "reproduced")),
        (0.1, 0.25, ("not reproduced", "reproduced", "undecided")),
        (np.nan, np.nan, ("undecided", "undecided", "undecided")),
    ],
)
def test_an_interval_meets_a_rule_misses_it_or_decides_nothing(low, high, words):
    found = (above(mean(low, high), 0.5), below(mean(low, high), 0.5), between(mean(low, high), 0.2, 0.5))
    assert tuple(outcome.verdict for outcome in found) == words
    assert "0.5" in found[0].why
    assert "8 of 10 images" in found[0].ours


def test_few_images_or_trainings_decide_nothing():
    assert above(mean(0.6, 0.7, count=4), 0.5).verdict == "undecided"
    assert "5 are the least" in above(mean(0.6, 0.7, count=4), 0.5).why
    assert above(measure("share", np.array([0.8, 0.81]), "training"), 0.5).verdict == "undecided"
    assert above(measure("share", np.array([0.8, 0.81, 0.82]), "training"), 0.5).verdict == "reproduced"
    assert above(measure("share", np.full((6, 2), np.nan), "image", "trial"), 0.5).verdict == "undecided"


def test_the_mean_is_that_of_live_scores_and_names_how_many():
    scores = np.random.default_rng(0).normal(0.5, 0.1, (8, 3))
    scores[2] = np.nan
    scores[5, 1] = np.nan
    found = measure("SSIM", scores, "image", "trial")
    assert found.value == pytest.approx(np.nanmean(scores), rel=1e-12)
    assert found.count == "7 of 8 images, 3 trials"
    assert live_counts(np.stack([scores, np.full((8, 3), 0.5)])) == [7, 8]
    with pytest.raises(InvalidInput, match="axes"):
        measure("SSIM", scores, "image")


def test_few_trainings_have_an_interval_near_students():
    scores = np.random.default_rng(1).normal(size=(200, 4))
    widths = [found.high - found.low for found in (measure("x", row, "training") for row in scores)]
    student = 2 * stats.t.ppf(0.975, 3) * scores.std(axis=1, ddof=1) / 2
    assert np.mean(widths) == pytest.approx(np.mean(student), rel=0.15)  # the draws of four values are coarse


def test_compared_methods_see_the_same_live_images():
    first, second = np.array([0.9, np.nan, 0.5]), np.array([0.1, 0.2, np.nan])
    one, other = paired(first, second)
    np.testing.assert_array_equal(one, [0.9, np.nan, np.nan])
    np.testing.assert_array_equal(other, [0.1, np.nan, np.nan])
    steps = np.linspace(-0.01, 0.01, 6)
    assert ordered({"a": 0.9 + steps, "b": 0.5 - steps, "c": 0.1 + steps}, "image").verdict == "reproduced"
    found = ordered({"a": 0.9 + steps, "b": 0.1 + steps, "c": 0.5 - steps}, "image")
    assert found.verdict == "not reproduced"
    assert "b less c" in found.why
    assert "a less b:" not in found.why


def test_ratios_are_geometric_and_leave_out_what_has_none():
    base = np.array([1.0, 2, 4, 8, 16, 0])
    found = ratio("infidelity", base * np.array([2, 2, 8, 8, 4, 1]), base, "image")
    assert found.value == pytest.approx(4)
    assert found.count == "5 of 6 images"


def test_the_interval_of_an_accuracy_is_wilsons():
    found = proportion("accuracy", 0.9, 50)
    exact = stats.binomtest(45, 50).proportion_ci(method="wilson")
    assert (found.low, found.high) == pytest.approx((exact.low, exact.high), rel=1e-12)


def test_numbers_are_written_so_that_the_verdict_can_be_seen():
    assert "0.504" in mean(0.504, 0.7).words(0.5)
    assert "[0.60, 0.70]" in mean(0.6, 0.7).words(0.5)
    assert "0.0012" in mean(0.0012, 0.0014).words()
    assert "e-09" in mean(1e-9, 2e-9).words(1.0).replace("−", "-")


def test_a_claim_about_several_things_fails_with_one_and_is_open_with_one():
    met, missed, open_ = above(mean(0.6, 0.7), 0.5), above(mean(0.1, 0.2), 0.5), above(mean(0.4, 0.6), 0.5)
    assert all_of([met, met]).verdict == "reproduced"
    assert all_of([met, open_]).verdict == "undecided"
    assert all_of([missed, open_, met]).verdict == "not reproduced"


def test_an_interval_ends_where_scores_end():
    found = replace(mean(-0.2, 1.3), value=0.9).within(0.0, 1.0)
    assert (found.low, found.value, found.high) == (0.0, 0.9, 1.0)
    undefined = mean(np.nan, np.nan).within(0.0, 1.0)
    assert above(undefined, 0.5).verdict == "undecided"


def test_a_reason_that_all_have_is_told_once():
    assert all_of([above(mean(0.4, 0.6), 0.5)] * 2).reason == "it reaches across 0.5"
    assert "SSIM: it lies below" in all_of([above(mean(0.1, 0.2), 0.5), above(mean(0.6, 0.7), 0.5)]).reason


def test_a_claim_about_many_things_shows_the_furthest_and_keeps_all():
    means = [replace(mean(0.1 * i, 0.1 * i + 0.01), what=f"the SSIM of a method, stage {i}") for i in range(9)]
    found = conclude(CLAIM, all_of(below(one, 0.5) for one in means))
    assert found.ours.startswith("5 of 9 meet the rule; the SSIM of a method, stage 8")
    assert "stage 7" in found.ours
    assert "stage 6" not in found.ours
    assert len(found.ours) <= 300
    assert len(found.numbers) == 9
    assert found.why == "rule: the 95 % interval lies below 0.5, for each; it lies above (4 of 9)"
    assert conclude(CLAIM, all_of(below(one, 0.5) for one in means[:2])).numbers == ()


def test_a_rule_at_every_stage_is_judged_where_it_is_furthest_from_being_met():
    met, missed, open_ = mean(0.6, 0.7), mean(0.1, 0.2), mean(-0.9, 0.6)
    assert worst(above(one, 0.5) for one in (met, mean(0.55, 0.9))).ours == above(mean(0.55, 0.9), 0.5).ours
    assert worst(above(one, 0.5) for one in (met, open_)).verdict == "undecided"
    assert worst(above(one, 0.5) for one in (met, open_, missed)).verdict == "not reproduced"
    undefined = mean(np.nan, np.nan)
    assert "nan" in worst(above(one, 0.5) for one in (met, open_, undefined)).ours
    assert worst([above(met, 0.5)]).rule + ", at every stage" == worst([above(met, 0.5)] * 2).rule


def test_what_all_parts_are_of_is_named_once():
    first, second = (replace(mean(0.6, 0.7), what=f"CNN: SSIM of {name}") for name in "ab")
    assert all_of([above(first, 0.5), above(second, 0.5)]).ours.count("CNN") == 1


def test_what_a_claim_is_about_decides_if_a_stand_in_allows_a_verdict():
    met, missed = fact(True, "1", "equal"), fact(False, "2", "equal")
    other = Setting(stand_ins=("a tiny network instead of VGG-16",))
    assert conclude(CLAIM, missed, other).verdict == "not reproduced"
    assert "a tiny network" in conclude(CLAIM, missed, other).why
    digits = Setting(lacks={"photographs": "digits were used: give --photographs"})
    for outcome, word in ((met, "met"), (missed, "missed")):
        found = conclude(CLAIM, outcome, digits)
        assert found.verdict == "not comparable"
        assert "give --photographs" in found.why
        assert word in found.why
    assert conclude(Claim("name", "Figure 1", "maps change", "0.1"), met, digits).verdict == "reproduced"


def test_a_smaller_size_cannot_refute_a_claim():
    short = Setting(smaller={"50 epochs": "3 epochs"})
    assert conclude(CLAIM, fact(True, "1", "equal"), short).verdict == "reproduced"
    found = conclude(CLAIM, fact(False, "2", "equal"), short)
    assert found.verdict == "not comparable"
    assert "3 epochs instead of 50 epochs" in found.why


def test_a_setting_comes_back_from_its_plain_values():
    setting = Setting(("a", "b"), {"photographs": "none"}, {"50 epochs": "3"})
    assert Setting.from_json(setting.to_json()) == setting


def test_self_tests_are_counted_apart_and_shown_last():
    def finding(verdict, role):
        return {"verdict": verdict, "claim": {"role": role}}

    findings = [
        finding("reproduced", "self-test"),
        finding("undecided", "result"),
        finding("reproduced", "main result"),
    ]
    assert tally(findings) == "1 reproduced, 1 undecided; 1 of 1 self-tests passed"
    assert [one["claim"]["role"] for one in by_role(findings)] == ["main result", "result", "self-test"]
    assert tally([]) == "no claim was tested"
