"""Bootstrap intervals: closed forms, scipy as an oracle, coverage, degenerate tables."""

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from probatum.errors import InvalidInput
from probatum.experiments.intervals import _nested_sums, bootstrap_interval, share_interval


@pytest.mark.parametrize("shared_trials", [True, False])
def test_mean_is_the_mean_of_all_scores(shared_trials):
    scores = np.random.default_rng(0).normal(size=(3, 7, 4))
    interval = bootstrap_interval(scores, shared_trials=shared_trials)
    np.testing.assert_allclose(interval.mean, scores.mean(axis=(1, 2)), rtol=0, atol=1e-15)
    assert (interval.low < interval.mean).all()
    assert (interval.mean < interval.high).all()


def test_equals_scipy_for_one_trial():
    scores = np.random.default_rng(1).gamma(2.0, size=40)
    ours = bootstrap_interval(scores[:, None], resamples=20_000)
    theirs = scipy.stats.bootstrap(
        (scores,), np.mean, n_resamples=20_000, method="percentile", rng=np.random.default_rng(5)
    ).confidence_interval
    # Two sets of random draws: the standard error of a 2.5 % quantile of 20000 means is about 0.02 standard errors of
    # the mean; six times that for either end.
    tolerance = 0.12 * scores.std() / np.sqrt(len(scores))
    np.testing.assert_allclose([ours.low, ours.high], [theirs.low, theirs.high], rtol=0, atol=tolerance)


def test_two_images_follow_the_binomial_law():
    """The resampled means of the scores 0 and 1 are 0, 1/2 and 1 with probabilities 1/4, 1/2 and 1/4."""
    scores = np.array([[0.0], [1.0]])
    for level, ends in ((0.95, (0.0, 1.0)), (0.4, (0.5, 0.5))):
        interval = bootstrap_interval(scores, level=level)
        assert (float(interval.low), float(interval.high)) == ends


@pytest.mark.parametrize("shape", [(1, 9), (9, 1)])
@pytest.mark.parametrize("shared_trials", [True, False])
def test_a_single_image_or_trial_leaves_the_other_axis(shape, shared_trials):
    scores = np.random.default_rng(2).normal(size=9)
    interval = bootstrap_interval(scores.reshape(shape), shared_trials=shared_trials, resamples=20_000)
    expected = scipy.stats.norm.ppf(0.975) * scores.std() / 3  # nine observations; their mean is close to normal
    assert interval.high - interval.low == pytest.approx(2 * expected, rel=0.08)  # the tails of nine values are shorter


@pytest.mark.parametrize("shared_trials", [True, False])
def test_one_observation_and_equal_scores_have_zero_width(shared_trials):
    for scores in (np.array([[0.3]]), np.full((6, 5), 0.1)):
        interval = bootstrap_interval(scores, shared_trials=shared_trials)
        assert interval.low == interval.mean == interval.high


def test_coverage_of_trials_shared_by_all_images():
    """Trials that move all images together need the shared resampling: the nested one covers the mean half as often."""
    generator = np.random.default_rng(3)
    tables, images, trials = 300, 30, 10
    shape = (tables, images, trials)
    scores = 0.1 * generator.normal(size=(tables, images, 1)) + 0.1 * generator.normal(size=(tables, 1, trials))
    scores = scores + 0.05 * generator.normal(size=shape)

    def coverage(shared_trials):
        interval = bootstrap_interval(scores, resamples=500, shared_trials=shared_trials)
        return np.mean((interval.low <= 0) & (interval.high >= 0))

    # About 0.91 and 0.67: ten trials are few. The standard error of 300 tables is 0.02 to 0.03, and as much from the
    # draws that they have in common.
    assert 0.84 < coverage(True) < 0.98
    assert coverage(False) < 0.75


def test_coverage_of_trials_of_each_image():
    generator = np.random.default_rng(4)
    scores = 0.1 * generator.normal(size=(400, 40, 1)) + 0.1 * generator.normal(size=(400, 40, 5))
    interval = bootstrap_interval(scores, resamples=500, shared_trials=False)
    covered = np.mean((interval.low <= 0) & (interval.high >= 0))
    assert 0.90 < covered < 0.99  # 0.95 with a standard error of 0.011, and as much from the common draws


@pytest.mark.parametrize("shared_trials", [True, False])
def test_undefined_scores_take_no_part(shared_trials):
    scores = np.random.default_rng(5).normal(size=(2, 12, 3))
    scores[0, 4:] = np.nan
    interval = bootstrap_interval(scores, shared_trials=shared_trials)
    assert float(interval.mean[0]) == pytest.approx(scores[0, :4].mean(), abs=1e-15)
    assert np.isfinite([*interval.low, *interval.high]).all()
    assert interval.high[0] - interval.low[0] > interval.high[1] - interval.low[1]  # 4 images against 12
    nothing = bootstrap_interval(np.full((3, 2), np.nan), shared_trials=shared_trials)
    assert np.isnan([nothing.mean, nothing.low, nothing.high]).all()


@settings(max_examples=25, deadline=None)
@given(
    images=st.integers(1, 6),
    trials=st.integers(1, 4),
    seed=st.integers(0, 2**32),
    shared_trials=st.booleans(),
    offset=st.floats(-1e3, 1e3),
)
def test_properties(images, trials, seed, shared_trials, offset):
    scores = np.random.default_rng(seed).uniform(-1, 1, size=(2, images, trials))
    how = {"seed": seed, "shared_trials": shared_trials, "resamples": 50}
    interval = bootstrap_interval(scores, **how)
    again = bootstrap_interval(scores, **how)
    for one, other in zip(interval, again, strict=True):
        np.testing.assert_array_equal(one, other)
    assert (interval.low >= scores.min(axis=(1, 2)) - 1e-15).all()
    assert (interval.high <= scores.max(axis=(1, 2)) + 1e-15).all()
    # One stage does not depend on the others, and an interval moves with its scores.
    alone = bootstrap_interval(scores[1], **how)
    np.testing.assert_allclose([end[1] for end in interval], alone, rtol=0, atol=1e-15)
    moved = bootstrap_interval(scores + offset, **how)
    np.testing.assert_allclose(np.array(moved), np.array(interval) + offset, rtol=0, atol=1e-12)


def test_nested_draws_do_not_depend_on_their_blocks():
    tables = np.random.default_rng(6).normal(size=(2, 3, 20, 5))
    whole, parts = (_nested_sums(tables, 200, np.random.default_rng(7), block) for block in (1 << 22, 1000))
    np.testing.assert_allclose(parts, whole, rtol=0, atol=1e-12)  # sums of 100 scores


def test_global_random_state_is_left_alone():
    before = np.random.get_state()[1].copy()  # noqa: NPY002 - the state that must not move
    bootstrap_interval(np.eye(4))
    np.testing.assert_array_equal(before, np.random.get_state()[1])  # noqa: NPY002


@pytest.mark.parametrize(
    ("scores", "options", "message"),
    [
        (np.zeros((0, 3)), {}, r"shape \(0, 3\)"),
        (np.zeros((2, 0)), {}, "at least one"),
        (np.array([[np.inf]]), {}, "infinite"),
        (np.zeros((2, 2)), {"level": 95.0}, "level is 95"),
        (np.zeros((2, 2)), {"resamples": 0}, "resamples is 0"),
    ],
)
def test_refused(scores, options, message):
    with pytest.raises(InvalidInput, match=message):
        bootstrap_interval(scores, **options)


def test_a_share_is_the_ratio_of_sums_above_chance_over_what_exists():
    generator = np.random.default_rng(3)
    scores, chances = generator.uniform(size=(2, 9, 4))
    ceilings = generator.uniform(1.0, 1.2, size=9)
    scores[2, 1] = np.nan
    ceilings[4] = np.nan
    pseudo = 2 * chances - chances.mean(axis=0)
    exists = np.isfinite(scores) & np.isfinite(ceilings)[:, None]
    expected = (scores - pseudo)[exists].sum() / (ceilings[:, None] - pseudo)[exists].sum()
    found = share_interval(scores, ceilings, chances)
    assert found.value == pytest.approx(expected, rel=1e-12)
    assert found.room == pytest.approx((ceilings[:, None] - pseudo)[exists].mean(), rel=1e-12)
    assert found.low < found.value < found.high
    assert found.room_low < found.room


def test_scores_and_ceilings_are_drawn_together():
    ceilings = np.random.default_rng(3).uniform(0.2, 1.0, size=12)
    scores = np.repeat(0.4 * ceilings[:, None], 3, axis=1)
    found = share_interval(scores, ceilings, np.zeros_like(scores))
    assert found[:3] == pytest.approx((0.4, 0.4, 0.4), rel=1e-12)


def test_a_distance_has_its_share_below_chance():
    generator = np.random.default_rng(4)
    scores, chances, ceilings = generator.normal(size=(10, 3)), np.full((10, 3), 0.1), np.full(10, 1.0)
    upward = share_interval(scores, ceilings, chances)
    downward = share_interval(-scores, -ceilings, -chances)
    assert downward[:3] == pytest.approx(upward[:3], rel=1e-12)
    assert downward.room == pytest.approx(-upward.room, rel=1e-12)


@pytest.mark.parametrize(
    ("images", "trials", "spread", "least"),
    [(5, 3, 0.04, 0.88), (10, 2, 0.04, 0.88), (20, 5, 0.04, 0.88), (20, 2, 0.1, 0.8)],  # two that differ much: too few
)
def test_the_interval_of_a_share_covers_the_truth(images, trials, spread, least):
    """Scores of image, trial and rest above a chance that is a mean over pairs of images."""
    generator = np.random.default_rng(images)
    truth, covered, repetitions = 0.3, 0, 200
    for _ in range(repetitions):
        looks = 0.1 * generator.normal(size=images)  # what an image adds to each of its pairs
        pairs = 0.5 + looks[:, None] + looks + 0.05 * generator.normal(size=(trials, images, images))
        pairs[:, np.arange(images), np.arange(images)] = np.nan
        chances = np.nanmean(np.stack([pairs, pairs.swapaxes(1, 2)]), axis=(0, 3)).T
        noise = 0.05 * generator.normal(size=(images, 1)) + 0.02 * generator.normal(size=(images, trials))
        scores = 0.5 + 0.5 * truth + noise + 0.5 * spread * generator.normal(size=trials)
        found = share_interval(scores, np.ones(images), chances, resamples=400)
        covered += found.low <= truth <= found.high
    assert covered / repetitions > least


def test_a_share_without_room_or_scores_does_not_exist():
    nothing = share_interval(np.full((4, 2), np.nan), np.ones(4), np.zeros((4, 2)))
    assert np.isnan(nothing).all()
    assert np.isnan(share_interval(np.ones((4, 2)), np.ones(4), np.full((4, 2), np.nan))).all()
    none = share_interval(np.ones((4, 2)), np.zeros(4), np.zeros((4, 2)))
    assert np.isnan(none[:3]).all()
    assert none.room == 0


def test_infinite_scores_have_no_share():
    with pytest.raises(InvalidInput, match="infinite"):
        share_interval(np.full((2, 2), np.inf), np.ones(2), np.zeros((2, 2)))
