"""The table of verdicts: every cell says what was decided, nothing covers anything, a broken check is seen."""

from dataclasses import replace

import pytest
from canvas import HOSTILE, assert_nothing_overlaps, words
from matplotlib.patches import Rectangle

from probatum.experiments import Judgement, PresetComparison, Verdict
from probatum.experiments.verdicts import INSENSITIVE, SENSITIVE, UNDECIDED
from probatum.randomization import PRESETS
from probatum.report.verdict_table import SYMBOLS, verdict_figure, verdict_key, verdict_rows

METHODS = ("gradient", "integrated-gradients-sg", "edge-detector")
WORDS = {"gradient": SENSITIVE, "integrated-gradients-sg": UNDECIDED, "edge-detector": INSENSITIVE}


def verdict(method, metric="ssim", value=-0.1234, word=None, **facts):
    low, high = value - 0.5, value + 0.1
    word = word or WORDS.get(method, SENSITIVE)
    numbers = {"score": value, "chance": 0.0, "ceiling": 1.0, "value": value, "low": low, "high": high}
    counts = {"over_stages": 0.5, "live": 4, "comparisons": 4}
    return Verdict(method, metric, "similarity", word, "why", **numbers | counts | facts)


def comparison_of(methods=METHODS, presets=("adebayo", "emprt"), broken=(), **facts):
    stages = {
        preset: ("fc", "conv") if PRESETS[preset].order not in ("full", "logit") else ("one",) for preset in presets
    }
    judgements = {
        preset: Judgement(stages[preset], 4, 1, tuple(verdict(m, **facts) for m in methods), tuple(broken))
        for preset in presets
    }
    return PresetComparison(methods, judgements)


def test_cells_have_the_sign_the_number_and_its_interval():
    shown = words(verdict_figure(comparison_of(), "seed 7"))
    assert shown.count("−0.12 [−0.62, −0.02]\nssim\nall stages 0.50") == 3
    assert shown.count("−0.12 [−0.62, −0.02]\nssim") == 3  # a single step has no other stages
    for word in (SENSITIVE, INSENSITIVE, UNDECIDED):
        assert shown.count(SYMBOLS[word]) == 2
    assert {"Gradient", "IG-SmoothGrad", "Edge Detector", "adebayo", "emprt"} <= set(shown)
    note = next(text for text in shown if text.startswith("seed 7\n"))
    assert "over 4 images" in note
    assert "✓ up to 0.25" in note.replace("\n", " ")


def test_the_rows_for_the_terminal():
    columns, rows = verdict_rows(comparison_of())
    assert columns == ["method", "adebayo", "emprt"]
    assert rows[2] == ["Edge Detector", *["✗ −0.12 [−0.62, −0.02]"] * 2]


def test_a_broken_check_says_so_and_is_hatched():
    fine, broken = comparison_of(), comparison_of(broken=("edge-detector never uses the model, but ...",))
    mixed = replace(fine, judgements={"adebayo": fine.judgements["adebayo"], "emprt": broken.judgements["emprt"]})
    figure = verdict_figure(mixed)
    hatches = [patch.get_hatch() for patch in figure.axes[0].findobj(Rectangle) if patch.get_linewidth() == 0.6]
    assert hatches.count("////") == 3
    assert "broken check" in words(figure)
    assert verdict_rows(mixed)[0][2] == "emprt (broken check)"
    assert verdict_key(mixed)[-1] == "emprt is a broken check: edge-detector never uses the model, but ..."
    assert len(verdict_key(fine)) == 2


def test_a_missing_share_and_constant_maps_are_named():
    nan = float("nan")
    gone = replace(verdict("gradient"), value=nan, low=nan, high=nan, over_stages=nan, word=UNDECIDED)
    half = replace(verdict("edge-detector"), live=2)
    judged = Judgement(("a", "b"), 4, 1, (gone, half), ())
    shown = words(verdict_figure(PresetComparison(("gradient", "edge-detector"), {"shin": judged})))
    assert "no share\nssim\nall stages 0.50" not in shown
    assert "no share\nssim" in shown
    assert "−0.12 [−0.62, −0.02]\nssim\n2 of 4 live" in shown


def test_metrics_that_disagree_are_said_to():
    other = verdict("gradient", "spearman", 0.9, INSENSITIVE)
    judged = Judgement(("a", "b"), 4, 1, (verdict("gradient"), other), ())
    shown = words(verdict_figure(PresetComparison(("gradient",), {"shin": judged})))
    assert "−0.12 [−0.62, −0.02]\nmetrics disagree\nall stages 0.50" in shown
    assert SYMBOLS[UNDECIDED] in shown


@pytest.mark.parametrize(
    "presets", [("emprt",), ("adebayo", "bottom-up", "smprt", "emprt", "random-logit"), tuple(PRESETS)]
)
def test_nothing_overlaps(presets):
    figure = verdict_figure(comparison_of(presets=presets, methods=(*METHODS, *HOSTILE)), "seed 7")
    assert_nothing_overlaps(figure)
    for cell in figure.axes[0].findobj(Rectangle):
        assert cell.get_x() >= 0
