"""What the terminal says of verdicts at 60, 80 and 120 columns."""

from dataclasses import replace
from pathlib import Path

import pytest

from probatum.attributions import METHODS
from probatum.experiments import Judgement, Verdict
from probatum.experiments.compare import PresetComparison
from probatum.experiments.verdicts import INSENSITIVE, SENSITIVE, UNDECIDED
from probatum.report.question import WEIGHTS
from probatum.report.verdict_table import verdict_rows
from probatum.terminal.summaries import show_judgement
from probatum.terminal.verdict_lines import closing, remedies, verdict_lines

WIDTHS = (60, 80, 120)


def verdict(method, word, metric="ssim", value=0.1, **changes):
    numbers = {"score": 0.2, "chance": 0.1, "ceiling": 0.9, "value": value, "low": value - 0.1, "high": value + 0.1}
    return replace(Verdict(method, metric, "similarity", word, "a reason"), **numbers | changes)


def judged(*verdicts):
    return Judgement(("fc", "conv1"), 20, 3, verdicts)


EVERY = judged(
    verdict("edge-detector", INSENSITIVE, value=1.0),
    verdict("guided-backprop", INSENSITIVE, value=0.7),
    verdict("gradient", SENSITIVE),
    verdict("input-x-gradient", SENSITIVE),
    verdict("input-x-gradient", UNDECIDED, "spearman-abs", 0.6, remedy="more images and more trials"),
    verdict("integrated-gradients-local", UNDECIDED, value=0.4, remedy="more images and more trials"),
    verdict("integrated-gradients-sg", SENSITIVE, "ssim-adebayo-issue"),
)


@pytest.mark.parametrize("width", WIDTHS)
def test_every_method_has_one_line_with_its_name_and_verdict(width):
    lines = verdict_lines(EVERY, width)
    assert max(map(len, lines)) <= width
    titles = [METHODS[name].title for name in EVERY.summaries]
    assert len(lines) == len(titles)
    for name, title in zip(EVERY.summaries, titles, strict=True):
        (line,) = (line for line in lines if f"  {title}  " in f"{line}  ".replace(" (control)", ""))
        assert line.split()[0] == EVERY.summary(name).word


@pytest.mark.parametrize("method", sorted(METHODS))
def test_the_title_of_every_method_fits_a_narrow_terminal(method):
    (line,) = verdict_lines(judged(verdict(method, INSENSITIVE, value=-0.55)), 60)
    assert METHODS[method].title in line
    assert len(line) <= 60


def test_sensitive_methods_come_first_and_controls_last():
    words = [line.split()[0] for line in verdict_lines(EVERY, 80)]
    assert words == ["sensitive", "sensitive", "undecided", "undecided", "insensitive", "insensitive"]
    assert "Edge Detector (control)" in verdict_lines(EVERY, 80)[-1]


def test_wide_terminals_show_more():
    narrow, usual, wide = (next(row for row in verdict_lines(EVERY, w) if "  Gradient" in row) for w in (60, 80, 140))
    assert "0.10" in narrow
    assert "[" not in narrow
    assert "[0.00, 0.20]" in usual
    assert "chance 0.10, score 0.20, ceiling 0.90" in wide


def test_metrics_that_disagree_show_the_range_of_their_shares():
    (line,) = (line for line in verdict_lines(EVERY, 80) if "Input × Gradient" in line)
    assert "0.10 to 0.60" in line
    assert "differ" in line
    assert "0.10" not in next(line for line in verdict_lines(EVERY, 60) if "Input × Gradient" in line)


def test_a_method_of_ones_own_with_a_long_name_is_shortened():
    (line,) = verdict_lines(judged(verdict("m" * 200, SENSITIVE)), 60)
    assert len(line) <= 60
    assert "mmm..." in line


def test_a_verdict_without_a_number_has_its_word():
    nothing = dict.fromkeys(("score", "chance", "ceiling", "value", "low", "high"), float("nan"))
    for width in WIDTHS:
        (line,) = verdict_lines(judged(replace(verdict("gradient", UNDECIDED), **nothing)), width)
        assert "nan" not in line


def test_remedies_name_the_methods_they_are_for():
    assert list(remedies(EVERY)) == [
        "To decide all undecided: more images and more trials, such as --images 80 --trials 9."
    ]
    known = judged(verdict("gradient", UNDECIDED, remedy="more images and more trials", wanted=2.0))
    assert "--images 40 --trials 6" in next(remedies(known))
    two = judged(
        verdict("gradient", UNDECIDED, remedy="another metric"), verdict("grad-cam", UNDECIDED, remedy="more trials")
    )
    assert list(remedies(two)) == [
        "To decide Gradient: another metric.",
        "To decide Grad-CAM: more trials, such as --trials 9.",
    ]


def test_the_closing_sentence_counts_methods_without_controls_and_names_the_report():
    said = closing(EVERY, WEIGHTS, Path("runs/one"))
    assert "Of 5 methods, 2 sensitive, 1 insensitive, 2 undecided" in said
    assert "Low similarity is good" in said
    assert said.endswith(str(Path("runs/one/report.html")))


@pytest.mark.parametrize("width", WIDTHS)
def test_a_check_is_shown_within_the_columns_of_the_terminal(width, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", str(width))
    show_judgement(EVERY, WEIGHTS)
    assert max(map(len, capsys.readouterr().out.splitlines())) <= width


@pytest.mark.parametrize("width", WIDTHS)
def test_a_comparison_has_one_line_for_each_method(width):
    comparison = PresetComparison(tuple(EVERY.summaries), dict.fromkeys(("adebayo", "smprt"), EVERY))
    heads, rows = verdict_rows(comparison, width)
    assert sum(3 + max(map(len, column)) for column in zip(heads, *rows, strict=True)) < width
    assert [row[0] for row in rows] == [METHODS[name].title for name in EVERY.summaries]
    assert ("[" in rows[0][1]) == (width >= 80)
