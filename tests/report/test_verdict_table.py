"""The table of verdicts: every cell says what was decided, nothing covers anything, a broken check is seen."""

from dataclasses import replace

import pytest
from canvas import HOSTILE, assert_nothing_overlaps, words
from matplotlib.patches import Rectangle

from probatum.experiments import Judgement, PresetComparison, Verdict
from probatum.experiments.verdicts import FOLLOWS, IGNORES, UNDECIDED
from probatum.randomization import PRESETS
from probatum.report.verdict_table import SYMBOLS, verdict_figure, verdict_key, verdict_rows

METHODS = ("gradient", "integrated-gradients-sg", "edge-detector")
WORDS = {"gradient": FOLLOWS, "integrated-gradients-sg": UNDECIDED, "edge-detector": IGNORES}


def verdict(method, metric="ssim", value=-0.1234, word=None, **facts):
    low, high = value - 0.5, value + 0.1
    word = word or WORDS.get(method, FOLLOWS)
    return Verdict(method, metric, "similarity", value, 1.0, value, low, high, 0.5, 0.0, word, "why", **facts)


def comparison_of(methods=METHODS, presets=("adebayo", "emprt"), broken=(), **facts):
    stages = {
        preset: ("fc", "conv") if PRESETS[preset].order not in ("full", "logit") else ("one",) for preset in presets
    }
    judgements = {
        preset: Judgement(stages[preset], 4, 1, tuple(verdict(m, **facts) for m in methods), tuple(broken))
        for preset in presets
    }
    return PresetComparison(methods, judgements, dict.fromkeys(presets, "ssim"))


def test_cells_have_the_sign_the_number_and_its_interval():
    shown = words(verdict_figure(comparison_of(), "seed 7"))
    assert shown.count("−0.12 [−0.62, −0.02]\nall stages 0.50") == 3
    assert shown.count("−0.12 [−0.62, −0.02]") == 3  # a single step has no other stages
    for word in (FOLLOWS, IGNORES, UNDECIDED):
        assert shown.count(SYMBOLS[word]) == 2
    assert {"Gradient", "IG-SmoothGrad", "Edge Detector", "adebayo", "emprt"} <= set(shown)
    note = next(text for text in shown if text.startswith("seed 7\n"))
    assert "over 4 images" in note
    assert "✓ up to 0.25" in note.replace("\n", " ")


def test_the_rows_for_the_terminal():
    columns, rows = verdict_rows(comparison_of())
    assert columns == ["method", "adebayo (ssim)", "emprt (ssim)"]
    assert rows[2] == ["Edge Detector", *["✗ −0.12 [−0.62, −0.02]"] * 2]


def test_a_broken_check_says_so_and_is_hatched():
    fine, broken = comparison_of(), comparison_of(broken=("edge-detector knows no model, but ...",))
    mixed = replace(fine, judgements={"adebayo": fine.judgements["adebayo"], "emprt": broken.judgements["emprt"]})
    figure = verdict_figure(mixed)
    hatches = [patch.get_hatch() for patch in figure.axes[0].findobj(Rectangle) if patch.get_linewidth() == 0.6]
    assert hatches.count("////") == 3
    assert "broken check" in words(figure)
    assert verdict_rows(mixed)[0][2] == "emprt (ssim, broken check)"
    assert verdict_key(mixed)[-1] == "emprt is a broken check: edge-detector knows no model, but ..."
    assert len(verdict_key(fine)) == 2


def test_a_missing_share_and_constant_maps_are_named():
    nan = float("nan")
    gone = replace(verdict("gradient"), value=nan, low=nan, high=nan, over_stages=nan, word=UNDECIDED)
    half = replace(verdict("edge-detector"), constant=0.5)
    judged = Judgement(("a", "b"), 4, 1, (gone, half), ())
    shown = words(verdict_figure(PresetComparison(("gradient", "edge-detector"), {"shin": judged}, {"shin": "ssim"})))
    assert "no ceiling" in shown
    assert "−0.12 [−0.62, −0.02]\n50% constant" in shown


@pytest.mark.parametrize(
    "presets", [("emprt",), ("adebayo", "bottom-up", "smprt", "emprt", "random-logit"), tuple(PRESETS)]
)
def test_nothing_overlaps(presets):
    figure = verdict_figure(comparison_of(presets=presets, methods=(*METHODS, *HOSTILE)), "seed 7")
    assert_nothing_overlaps(figure)
    for cell in figure.axes[0].findobj(Rectangle):
        assert cell.get_x() >= 0
