"""Checks that end when their verdicts are decided: rounds, error rates under repeated looks, results, resuming."""

from dataclasses import replace

import numpy as np
import pytest
from nets import ConvNet, images, seeded
from scipy.special import ndtri, stdtrit

from probatum.attributions import Gradient, SmoothGrad
from probatum.errors import InvalidInput
from probatum.experiments import judge, read_run, sanity_check
from probatum.experiments import rounds as rounds_of_checks
from probatum.experiments.check import run_check
from probatum.experiments.compare import ComparisonRequest
from probatum.experiments.config import CheckConfig
from probatum.experiments.intervals import share_interval
from probatum.experiments.localization.run import LocalizationRequest
from probatum.experiments.rounds import Round, level_of, rounds_of, undecided
from probatum.experiments.run_folder import COLUMNS, write_results
from probatum.experiments.verdicts import MORE, MORE_TRIALS, Judgement, Verdict
from probatum.runs.files import read_table
from probatum.terminal.summaries import show_check


@pytest.mark.parametrize(
    ("images", "trials", "rounds"),
    [
        (4, 3, [(4, 3)]),
        (10, 1, [(10, 1)]),
        (19, 5, [(19, 5)]),
        (20, 5, [(10, 2), (20, 5)]),
        (100, 5, [(10, 2), (20, 4), (40, 5), (80, 5), (100, 5)]),
        (85, 20, [(10, 2), (20, 4), (40, 8), (85, 20)]),
    ],
)
def test_rounds_double_up_to_all(images, trials, rounds):
    assert rounds_of(images, trials) == tuple(Round(*each) for each in rounds)


def intervals_of(scores, level, resamples=2000):
    """What `share_interval` gives for many tables at once, (check, image, trial), with ceilings 1 and chances 0."""
    generator = np.random.default_rng(0)
    images, trials = scores.shape[1:]
    image_counts = generator.multinomial(images, np.full(images, 1 / images), size=resamples) - 1.0
    trial_counts = generator.multinomial(trials, np.full(trials, 1 / trials), size=resamples) - 1.0
    student = stdtrit(images - 1, (1 + level) / 2) / ndtri((1 + level) / 2)
    stretch = student * np.sqrt(images / (images - 1))
    weights = 1 + np.sqrt(trials / (trials - 1)) * trial_counts
    sums = scores.sum(1)[:, None] + stretch * np.einsum("ri,cit->crt", image_counts, scores, optimize=True)
    shares = (sums * weights).sum(-1) / (images * weights.sum(-1))
    return np.quantile(shares, ((1 - level) / 2, (1 + level) / 2), axis=1)


def missed(level, image_spread, trial_spread, rest_spread, checks=300):
    """How many simulated checks have an interval that misses the true share, 0.25, at one of four looks.

    Scores are image + trial + rest.
    """
    generator = np.random.default_rng(0)
    rounds = rounds_of(80, 16)
    assert len(rounds) == 4
    image, trial, rest = (
        spread * generator.standard_normal(shape)
        for spread, shape in (
            (image_spread, (checks, 80, 1)),
            (trial_spread, (checks, 1, 16)),
            (rest_spread, (checks, 80, 16)),
        )
    )
    scores, found = 0.25 + image + trial + rest, np.zeros(checks, dtype=bool)
    for each in rounds:
        table = scores[:, : each.images, : each.trials]
        low, high = intervals_of(table, level)
        one = share_interval(table[0], np.ones(each.images), np.zeros(table.shape[1:]), level)
        np.testing.assert_allclose((one.low, one.high), (low[0], high[0]), rtol=1e-9)
        found |= (low > 0.25) | (high < 0.25)
    return int(found.sum())


def test_looking_often_misses_no_more_than_one_look_may():
    """One interval of 95 % may miss in 5 %, which is 15 of 300 with a deviation of 3.8."""
    assert missed(0.95, 0.3, 0.05, 0.1) > 15 + 4 * 3.8  # 43
    assert missed(level_of(4), 0.3, 0.05, 0.1) <= 15  # 10


@pytest.mark.parametrize(("trial_spread", "count"), [(0.02, 8), (0.05, 12), (0.1, 29)])
def test_intervals_of_few_trials_miss_more_where_randomizations_differ(trial_spread, count):
    """The numbers in the documentation of `experiments.rounds`."""
    assert missed(level_of(4), 0.1, trial_spread, 0.05) == pytest.approx(count, abs=3)


def test_the_part_that_is_done_equals_a_check_of_that_part():
    model, x = seeded(ConvNet), images(24, (2, 16, 16))
    settings = {"methods": ["gradient", "edge-detector"], "metrics": ["spearman-abs"], "keep_maps": 1}
    found = sanity_check(model, x, trials=3, until_decided=True, **settings)
    assert found.scores.shape[3:] in [(10, 2), (24, 3)]
    assert found.level == 1 - 0.05 / 2
    if found.scores.shape[3] == 10:
        plain = sanity_check(model, x[:10], trials=2, **settings)
        np.testing.assert_array_equal(found.scores, plain.scores)
        np.testing.assert_array_equal(found.chance, plain.chance)
        wide, narrow = (judge(each).of("gradient", "spearman-abs") for each in (found, plain))
        assert wide.low <= narrow.low <= narrow.high <= wide.high
        assert wide.high - wide.low > narrow.high - narrow.low
        assert judge(found).of("gradient", "spearman-abs").word != "undecided"
    assert found.maps["image-000"]["gradient"][0].shape == (2, 16, 16)


def test_later_rounds_compute_what_verdicts_still_need(monkeypatch, tmp_path):
    """The undecided methods, at the last stage; the others keep the verdict of the round that decided them."""
    monkeypatch.setattr(rounds_of_checks, "undecided", lambda judgement, more_trials: ("gradient",))
    model, x, name = seeded(ConvNet), images(20, (2, 16, 16)), "spearman-abs"
    settings = {"methods": {"gradient": Gradient(), "sg": SmoothGrad(samples=2)}, "metrics": [name], "keep_maps": 12}
    found = sanity_check(model, x, trials=3, until_decided=True, **settings)
    whole = sanity_check(model, x, trials=3, **settings)
    first = sanity_check(model, x[:10], trials=2, **settings)
    gradient, smoothed = found.made
    assert gradient[-1].all()
    assert gradient[:-1].sum() == (len(found.stages) - 1) * 10 * 2
    assert smoothed.sum() == len(found.stages) * 10 * 2
    assert len(found.maps) == 10
    for row in range(2):
        made = found.made[row]
        np.testing.assert_array_equal(found.scores[row, 0][made], whole.scores[row, 0][made])
        assert np.isnan(found.scores[row, 0][~made]).all()
    judged, alone = judge(found).of("sg", name), judge(replace(first, level=found.level)).of("sg", name)
    assert (judged.word, judged.live, judged.comparisons) == (alone.word, alone.live, alone.comparisons)
    ends = [(each.value, each.low, each.high) for each in (judged, alone)]
    np.testing.assert_allclose(*ends, rtol=1e-12)  # sums with and without zeros between
    write_results(tmp_path, found)
    rows = read_table(tmp_path / "results.csv", COLUMNS)
    assert len(rows) == found.made.sum()


CONFIG = CheckConfig(
    images=20,
    trials=3,
    weights="none",
    methods=("gradient", "input-x-gradient", "edge-detector"),
    metrics=("spearman-abs",),
    until_decided=True,
    keep_maps=1,
    device="cpu",
)


@pytest.mark.parametrize(
    ("word", "remedy", "with_trials", "without"),
    [
        ("undecided", MORE, True, True),
        ("undecided", MORE_TRIALS, True, False),
        ("undecided", "compare the maps by eye", False, False),
        ("sensitive", "", False, False),
    ],
)
def test_only_what_more_images_or_trials_decide_keeps_a_check_going(word, remedy, with_trials, without):
    verdict = Verdict("gradient", "ssim", "similarity", word, "", remedy)
    judgement = Judgement(("fc",), 10, 2, (verdict,), ())
    assert undecided(judgement, more_trials=True) == ("gradient",) * with_trials
    assert undecided(judgement, more_trials=False) == ("gradient",) * without


class _Stopped(Exception):
    pass


def test_a_run_in_rounds_is_resumed_and_tells_its_rounds(tmp_path, capsys, monkeypatch):
    open_at_first = lambda judgement, more_trials: ("gradient",) * (judgement.images < 20)  # noqa: E731
    monkeypatch.setattr(rounds_of_checks, "undecided", open_at_first)
    whole = run_check(CONFIG, tmp_path / "whole")
    assert whole.scores.shape[3:] == (20, 3)
    said = []

    def stop(sentence):
        said.append(sentence)
        if sentence.startswith("round 1"):
            raise _Stopped

    with pytest.raises(_Stopped):
        run_check(CONFIG, tmp_path / "stopped", say=stop)
    resumed = run_check(CONFIG, tmp_path / "stopped", say=said.append)
    np.testing.assert_array_equal(resumed.scores, whole.scores)
    assert [line for line in said if line.startswith("round")][-1].startswith(
        "round 2 of at most 2: 20 images, 3 trials"
    )
    run = read_run(tmp_path / "stopped")
    assert run.result.level == whole.level == 0.975
    np.testing.assert_array_equal(run.result.made, whole.made)
    np.testing.assert_array_equal(run.result.scores, whole.scores)
    assert [(look["images"], look["trials"]) for look in run.config["rounds"]["looks"]] == [(10, 2), (20, 3)]
    assert [look["undecided"] for look in run.config["rounds"]["looks"]] == [["gradient"], []]
    show_check(run)
    shown = " ".join(capsys.readouterr().out.split())
    assert "round 1: 10 images, 2 trials: undecided gradient round 2: 20 images, 3 trials: undecided nothing" in shown
    assert "level 0.975" in shown


@pytest.mark.parametrize(
    "request_of",
    [lambda: ComparisonRequest(CONFIG, ("adebayo",)), lambda: LocalizationRequest(replace(CONFIG, metrics=None))],
    ids=["comparison", "localization"],
)
def test_requests_that_have_no_rounds_refuse_them(request_of):
    with pytest.raises(InvalidInput, match="until-decided"):
        request_of()


def test_a_check_whose_verdicts_are_decided_takes_no_more_images(tmp_path):
    decided = replace(CONFIG, methods=("edge-detector",), images=40)
    result = run_check(decided, tmp_path / "run")
    assert len(result.image_names) == len(read_run(tmp_path / "run").config["data"]["images"]) == 10
    assert result.level == level_of(3)
