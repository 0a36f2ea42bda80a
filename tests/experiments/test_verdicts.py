"""The rules of the verdicts, on scores made by hand."""

from dataclasses import replace

import numpy as np
import pytest

from probatum.errors import UnknownName
from probatum.experiments import SanityResult, judge
from probatum.experiments.verdicts import (
    BY_EYE,
    CHOOSE,
    INSENSITIVE,
    LEAST_IMAGES,
    MORE,
    MOST_WANTED,
    SENSITIVE,
    SENSITIVE_UP_TO,
    TRIAL_SPREAD,
    UNDECIDED,
)
from probatum.metrics import METRICS

IMAGES, TRIALS = 40, 3


def result_of(
    values, metric="ssim", method="gradient", ceiling=None, chance=0.0, constant=None, trials=TRIALS
) -> SanityResult:
    """One method under one metric: random first stage, the given scores (image,) or (image, trial) at the last."""
    last = np.asarray(values, dtype=np.float64)
    last = last[:, None].repeat(trials, axis=1) if last.ndim == 1 else last
    stages = np.stack([np.full_like(last, 0.9), last])
    images = len(last)
    return SanityResult(
        methods=(method,),
        metrics=(metric,),
        stages=("fc", "conv"),
        image_names=tuple(f"{index}" for index in range(images)),
        targets=tuple(range(images)),
        scores=stages[None, None],
        constant=np.zeros((1, *stages.shape), dtype=np.int8) if constant is None else constant,
        ceiling=np.full((1, 1, images), np.nan if ceiling is None else ceiling),
        chance=np.broadcast_to(chance, stages[None, None].shape).astype(np.float64),
    )


def verdict(*args, **options):
    result = result_of(*args, **options)
    return judge(result).of(result.methods[0], result.metrics[0])


def around(mean: float, spread: float, images: int = IMAGES) -> np.ndarray:
    """Scores of exactly this mean and this distance from it, half above and half below."""
    return mean + spread * np.where(np.arange(images) % 2 == 0, 1.0, -1.0)


@pytest.mark.parametrize(
    ("scores", "word"),
    [
        (around(0.1, 0.1), SENSITIVE),
        (around(0.25, 0.0), SENSITIVE),  # bounds belong to the verdicts
        (around(0.24, 0.2), UNDECIDED),  # the interval crosses the bound
        (around(0.4, 0.05), UNDECIDED),
        (around(0.51, 0.2), UNDECIDED),
        (around(0.5, 0.0), INSENSITIVE),
        (around(0.7, 0.1), INSENSITIVE),
        (around(-0.6, 0.1), SENSITIVE),
    ],
)
@pytest.mark.parametrize("chance", [0.0, 0.8, -0.2])
def test_similarities_are_judged_by_the_share_above_chance(scores, word, chance):
    found = verdict(chance + (1 - chance) * scores, chance=chance)
    assert found.word == word
    assert found.value == pytest.approx(scores.mean(), rel=1e-12)
    assert found.low <= found.value <= found.high
    assert f"{found.value:.2f}" in found.reason
    assert (found.score, found.chance, found.ceiling) == pytest.approx(
        (chance + (1 - chance) * scores.mean(), chance, 1)
    )
    assert (found.live, found.comparisons) == (IMAGES * TRIALS, IMAGES * TRIALS)
    assert bool(found.remedy) == (word == UNDECIDED)


@pytest.mark.parametrize("times", [2, 4, 8])
def test_an_undecided_share_says_how_many_images_and_trials_would_decide(times):
    few = verdict(around(0.2, 0.2), trials=1)
    assert (few.word, few.remedy) == (UNDECIDED, MORE)
    assert few.high > SENSITIVE_UP_TO > few.value
    halved = ((few.high - few.value) / (SENSITIVE_UP_TO - few.value)) ** 2
    assert few.wanted / 2 < halved <= few.wanted
    # The value at which the upper end is √times as far away as the bound: so many images move it there.
    values = around(0.0, 0.2)
    end = verdict(values).high
    near = verdict(values + SENSITIVE_UP_TO - 1.001 * end / np.sqrt(times))
    assert near.wanted == times
    assert near.word == UNDECIDED
    more = verdict(np.tile(values, times) + SENSITIVE_UP_TO - 1.1 * end / np.sqrt(times), trials=times * TRIALS)
    assert more.word == SENSITIVE


def test_a_share_at_a_bound_is_not_worth_more_images():
    near = verdict(around(SENSITIVE_UP_TO + 0.001, 0.1))
    assert (near.word, near.remedy) == (UNDECIDED, BY_EYE)
    assert "at a bound" in near.reason
    assert np.isnan(near.wanted)
    wide = verdict(around(SENSITIVE_UP_TO + 0.001, 0.5))
    assert (wide.remedy, wide.wanted) == (MORE, MOST_WANTED)
    judgement = judge(result_of(around(SENSITIVE_UP_TO + 0.001, 0.5)))
    assert judgement.wanted(judgement.summary("gradient")) == (MOST_WANTED * IMAGES, MOST_WANTED * TRIALS)
    firm = judge(result_of(around(0.1, 0.1)))
    assert firm.wanted(firm.summary("gradient")) is None


def test_of_metrics_that_disagree_the_one_hardest_to_move_names_the_remedy():
    soft = {"ssim": (0.05, 0.1), "spearman_abs": (0.3, 0.4)}
    assert judge(several(**soft)).summary("gradient").remedy == MORE
    between = judge(several(**soft, hog_pearson=(0.37, 0.05))).summary("gradient")
    assert between.remedy == CHOOSE
    assert "hog-pearson" in between.reason


def test_the_share_is_of_what_lies_between_chance_and_the_noise_ceiling():
    found = verdict(around(0.5, 0.01), ceiling=0.6, chance=0.2)
    assert found.word == INSENSITIVE
    assert found.value == pytest.approx((0.5 - 0.2) / (0.6 - 0.2), rel=1e-12)
    assert found.ceiling == pytest.approx(0.6, rel=1e-12)
    assert found.over_stages == pytest.approx(((0.9 + 0.5) / 2 - 0.2) / (0.6 - 0.2), rel=1e-12)


def test_a_raw_score_of_0_84_is_chance_where_other_images_score_0_82():
    found = verdict(around(0.84, 0.02), chance=0.82)
    assert found.word == SENSITIVE
    assert found.value == pytest.approx(0.02 / 0.18, rel=1e-12)


@pytest.mark.parametrize(("ceiling", "chance"), [(0.2, 0.0), (0.82, 0.8), (0.02, 0.0), (0.0, 0.0)])
def test_a_method_that_agrees_with_itself_by_chance_is_undecided(ceiling, chance):
    found = verdict(around(chance, 0.001), ceiling=ceiling, chance=chance)
    assert found.word == UNDECIDED
    assert np.isnan([found.value, found.low, found.high, found.over_stages]).all()
    assert "samples" in found.remedy


def test_a_metric_that_scores_other_images_as_high_cannot_tell():
    found = verdict(around(0.98, 0.005), chance=0.97)
    assert found.word == UNDECIDED
    assert "0.97" in found.reason
    assert "metric" in found.remedy


def test_without_a_chance_level_nothing_is_decided_unless_the_metric_states_one():
    assert "no chance level" in verdict(around(0.1, 0.05), chance=np.nan).reason
    result = result_of(around(0.1, 0.05), chance=np.nan, metric="mine")
    stated = {"mine": replace(METRICS["ssim"], chance=0.05)}
    found = judge(result, stated).of("gradient", "mine")
    assert found.word == SENSITIVE
    assert found.value == pytest.approx(0.05 / 0.95, rel=1e-12)


def test_intervals_hold_images_trials_and_the_noise_of_chance():
    plain = verdict(around(0.2, 0.0))
    assert plain.high - plain.low < 1e-12
    trials = verdict(np.tile([0.1, 0.2, 0.3], (IMAGES, 1)))
    assert trials.high - trials.low > 0.15  # a standard error of 0.1 / √3
    images = verdict(around(0.2, 0.2))
    assert images.high - images.low == pytest.approx(2 * 1.96 * 0.2 / np.sqrt(IMAGES), rel=0.1)
    noisy = np.broadcast_to(around(0.0, 0.1)[:, None], (1, 1, 2, IMAGES, TRIALS))
    chance = verdict(around(0.2, 0.0), chance=noisy)
    # Each chance is a mean over pairs, whose two images vary alike: twice the spread of the means.
    assert chance.high - chance.low == pytest.approx(2 * 1.96 * 0.8 * 0.2 / np.sqrt(IMAGES), rel=0.15)


def test_a_single_trial_is_given_a_spread():
    found = verdict(around(0.1, 0.0), trials=1)
    assert found.high - found.low == pytest.approx(2 * 1.96 * TRIAL_SPREAD, rel=0.1)
    assert found.word == SENSITIVE
    assert verdict(around(0.2, 0.0), trials=1).word == UNDECIDED


@pytest.mark.parametrize(
    ("scores", "word"),
    [(around(0.2, 0.3), SENSITIVE), (around(0.02, 0.3), UNDECIDED), (around(0.0, 0.0), INSENSITIVE)],
)
def test_rises_are_judged_by_their_sign(scores, word):
    found = verdict(scores, metric="entropy-rise")
    assert found.word == word
    if word != INSENSITIVE:
        assert found.over_stages == pytest.approx((0.9 + scores.mean()) / 2, rel=1e-12)
    assert np.isnan(found.chance)


def test_rises_that_fall_are_no_insensitivity_and_one_trial_decides_nothing():
    assert "simpler" in verdict(around(-0.3, 0.1), metric="entropy-rise").reason
    assert verdict(around(0.2, 0.1), metric="entropy-rise", trials=1).remedy == "more trials"
    assert verdict(around(0.2, 0.1), metric="entropy-rise", ceiling=0.2).word == UNDECIDED  # its own noise rises, too


def test_distances_are_shares_from_above_and_never_say_sensitive():
    near = verdict(around(1.0, 0.1), metric="euclidean", chance=4.0)
    assert near.word == INSENSITIVE
    assert near.value == pytest.approx(0.75, rel=1e-12)
    assert verdict(np.zeros(IMAGES), metric="euclidean", chance=4.0).word == INSENSITIVE
    far = verdict(around(3.9, 0.1), metric="euclidean", chance=4.0)
    assert far.word == UNDECIDED
    assert far.value == pytest.approx(0.025, rel=1e-12)
    assert "scale" in far.remedy
    noisy = verdict(around(3.0, 0.1), metric="euclidean", chance=4.0, ceiling=2.0)
    assert noisy.value == pytest.approx(0.5, rel=1e-12)
    assert "samples" in verdict(around(4.0, 0.1), metric="euclidean", chance=4.0, ceiling=3.9).remedy


@pytest.mark.parametrize("images", range(1, LEAST_IMAGES))
def test_few_images_decide_nothing_even_if_nothing_changes(images):
    for scores in (np.zeros(images), np.ones(images)):
        judgement = judge(result_of(scores))
        assert judgement.summary("gradient").word == UNDECIDED
        assert str(LEAST_IMAGES) in judgement.summary("gradient").remedy
        assert "Too few images" in judgement.notes[0]
    assert verdict(np.zeros(LEAST_IMAGES)).word == SENSITIVE
    assert verdict(np.ones(LEAST_IMAGES)).word == INSENSITIVE


def test_constant_maps_take_no_part():
    # Live comparisons say 0.7; constant ones, of which a rule made zeros, are more than half.
    scores = np.where(np.arange(IMAGES) < 30, 0.0, 0.7)
    constant = np.zeros((1, 2, IMAGES, 1), dtype=np.int8)
    constant[0, 1, :30] = 2
    found = verdict(scores, constant=constant, trials=1)
    assert found.word == INSENSITIVE
    assert (found.score, found.value) == (pytest.approx(0.7), pytest.approx(0.7))
    assert (found.live, found.comparisons) == (10, IMAGES)
    constant[0, 1, : IMAGES - LEAST_IMAGES + 1] = 2
    few = verdict(scores, constant=constant, trials=1)
    assert few.word == UNDECIDED
    assert "trials" in few.remedy
    constant[0, 1] = 1
    assert "trained model's own maps" in verdict(scores, constant=constant, trials=1).remedy
    constant[0, :, :] = [[[3]], [[0]]]  # at an earlier stage only
    assert verdict(np.zeros(IMAGES), constant=constant, trials=1).live == IMAGES


def test_trials_help_where_some_maps_are_constant():
    constant = np.zeros((1, 2, 6, 4), dtype=np.int8)
    constant[0, 1, :, :3] = 2
    constant[0, 1, 0, 3] = 2
    scores = np.where(constant[0, 1] > 0, 0.0, 0.9)
    found = verdict(scores, constant=constant)
    assert (found.live, found.word) == (5, INSENSITIVE)


@pytest.mark.parametrize("images", [1, 2, IMAGES])
def test_a_control_that_changes_breaks_the_check(images):
    fine = judge(result_of(np.ones(images), method="edge-detector"))
    assert fine.broken == ()
    assert fine.of("edge-detector", "ssim").word == INSENSITIVE
    broken = judge(result_of(np.full(images, 0.99), method="edge-detector"))
    assert len(broken.broken) == 1
    assert "edge-detector never uses the model" in broken.broken[0]
    assert judge(result_of(np.full(images, 0.4), method="edge-detector"), controls=()).broken == ()
    assert judge(result_of(np.full(images, 0.4), method="mine"), controls=("mine",)).broken
    rising = judge(result_of(np.full(images, 0.4), method="edge-detector", metric="entropy-rise"))
    assert rising.broken


def several(**scores) -> SanityResult:
    """One method under several metrics, each with scores about one number."""
    results = [result_of(around(mean, spread), metric=name) for name, (mean, spread) in scores.items()]
    return replace(
        results[0],
        metrics=tuple(name.replace("_", "-") for name in scores),
        scores=np.concatenate([each.scores for each in results], axis=1),
        ceiling=np.concatenate([each.ceiling for each in results], axis=1),
        chance=np.concatenate([each.chance for each in results], axis=1),
    )


@pytest.mark.parametrize(
    ("scores", "word"),
    [
        ({"ssim": (0.05, 0.1), "spearman": (0.0, 0.1)}, SENSITIVE),
        ({"ssim": (0.05, 0.1), "spearman": (0.2, 0.5)}, SENSITIVE),  # the second cannot decide, and does not contradict
        ({"ssim": (0.05, 0.1), "spearman_abs": (0.44, 0.1)}, UNDECIDED),
        ({"ssim": (0.05, 0.1), "spearman": (0.7, 0.1)}, UNDECIDED),
        ({"ssim": (0.9, 0.1), "spearman": (0.7, 0.1)}, INSENSITIVE),
        ({"ssim": (0.9, 0.1), "spearman": (0.3, 0.1)}, UNDECIDED),
        ({"ssim": (0.3, 0.5), "spearman": (0.3, 0.1)}, UNDECIDED),
    ],
)
def test_a_method_has_the_word_that_its_metrics_agree_on(scores, word):
    summary = judge(several(**scores)).summary("gradient")
    assert summary.word == word
    assert bool(summary.remedy) == (word == UNDECIDED)
    words = {verdict.word for verdict in summary.verdicts}
    if word == UNDECIDED and words != {UNDECIDED}:
        assert "disagree" in summary.reason
        assert all(name.replace("_", "-") in summary.reason for name in scores)


def test_images_of_one_class_are_noted():
    result = result_of(around(0.1, 0.05))
    assert judge(result).notes == ()
    assert "same class" in judge(replace(result, targets=(3,) * IMAGES)).notes[0]


def test_metrics_of_ones_own_are_judged_by_their_kind():
    mine = {"mine": replace(METRICS["ssim"], kind="rise", perfect=0.0)}
    assert judge(result_of(around(0.4, 0.01), metric="mine"), mine).verdicts[0].word == SENSITIVE


def test_what_was_not_judged_is_refused():
    judgement = judge(result_of(np.ones(2)))
    with pytest.raises(UnknownName, match="did you mean 'gradient under ssim'"):
        judgement.of("gradient", "sim")
    with pytest.raises(UnknownName, match="gradient"):
        judgement.summary("gradiant")
