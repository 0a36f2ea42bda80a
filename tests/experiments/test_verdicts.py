"""The rules of the verdicts, on scores made by hand."""

from dataclasses import replace

import numpy as np
import pytest

from probatum.errors import UnknownName
from probatum.experiments import SanityResult, judge
from probatum.experiments.verdicts import FOLLOWS, IGNORES, UNDECIDED
from probatum.metrics import METRICS

IMAGES = 40


def result_of(values, metric="ssim", method="gradient", ceiling=None, constant=None, trials=1) -> SanityResult:
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
        targets=(0,) * images,
        scores=stages[None, None],
        constant=np.zeros((1, *stages.shape), dtype=np.int8) if constant is None else constant,
        ceiling=np.full((1, 1, images), np.nan if ceiling is None else ceiling),
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
        (around(0.1, 0.1), FOLLOWS),
        (around(0.25, 0.0), FOLLOWS),  # bounds belong to the verdicts
        (around(0.24, 0.2), UNDECIDED),  # the interval crosses the bound
        (around(0.4, 0.05), UNDECIDED),
        (around(0.51, 0.2), UNDECIDED),
        (around(0.5, 0.0), IGNORES),
        (around(0.7, 0.1), IGNORES),
        (around(-0.6, 0.1), FOLLOWS),
    ],
)
def test_similarities_are_judged_by_the_share_retained(scores, word):
    found = verdict(scores)
    assert found.word == word
    assert found.value == pytest.approx(scores.mean(), rel=1e-12)
    assert found.low <= found.value <= found.high
    assert f"{found.value:.2f}" in found.reason
    assert "bounds 0.25 and 0.5" in found.reason


def test_the_share_is_of_the_noise_ceiling():
    assert verdict(around(0.3, 0.02), ceiling=0.5).word == IGNORES
    found = verdict(around(0.3, 0.02), ceiling=0.5)
    assert found.value == pytest.approx(0.6, rel=1e-12)
    assert found.ceiling == 0.5
    assert found.over_stages == pytest.approx((0.9 + 0.3) / 2 / 0.5, rel=1e-12)


def test_a_method_that_differs_from_itself_is_undecided():
    found = verdict(around(0.1, 0.02), ceiling=0.2)
    assert found.word == UNDECIDED
    assert np.isnan([found.value, found.low, found.high, found.over_stages]).all()
    assert "noise ceiling, 0.20" in found.reason


def test_trials_are_averaged_within_an_image():
    # Trials that differ wildly, images that do not: the interval over images has no width.
    found = verdict(np.tile([0.0, 0.4], (IMAGES, 1)))
    assert found.value == pytest.approx(0.2, rel=1e-12)
    assert found.high - found.low < 1e-12
    assert found.word == FOLLOWS


@pytest.mark.parametrize(
    ("scores", "word"),
    [
        (around(0.2, 0.3), FOLLOWS),
        (around(0.02, 0.3), UNDECIDED),
        (around(0.0, 0.0), IGNORES),
        (around(-0.3, 0.1), IGNORES),
    ],
)
def test_rises_are_judged_by_their_sign(scores, word):
    found = verdict(scores, metric="entropy-rise")
    assert found.word == word
    assert found.over_stages == pytest.approx((0.9 + scores.mean()) / 2, rel=1e-12)


def test_distances_never_say_that_a_method_follows():
    assert verdict(around(5.0, 0.1), metric="euclidean").word == UNDECIDED
    assert verdict(np.zeros(IMAGES), metric="euclidean").word == IGNORES
    assert verdict(around(0.3, 0.1), metric="euclidean", ceiling=0.5).word == IGNORES
    assert verdict(around(0.8, 0.1), metric="euclidean", ceiling=0.5).word == UNDECIDED


def test_one_image_decides_nothing():
    found = verdict([0.0])
    assert found.word == UNDECIDED
    assert found.reason == "one image has no interval"


def test_scores_set_by_the_rule_for_constant_maps_decide_nothing():
    for number, word in ((20, FOLLOWS), (21, UNDECIDED)):
        constant = np.zeros((1, 2, IMAGES, 1), dtype=np.int8)
        constant[0, 1, :number] = 2
        found = verdict(np.zeros(IMAGES), constant=constant)
        assert found.word == word
        assert found.constant == number / IMAGES
    constant[0, :, :] = [[[3]], [[0]]]  # at an earlier stage only
    assert verdict(np.zeros(IMAGES), constant=constant).constant == 0


@pytest.mark.parametrize("images", [1, 2, IMAGES])
def test_a_control_that_changes_breaks_the_check(images):
    fine = judge(result_of(np.ones(images), method="edge-detector"))
    assert fine.broken == ()
    assert fine.of("edge-detector", "ssim").word == IGNORES
    broken = judge(result_of(np.full(images, 0.4), method="edge-detector"))
    assert len(broken.broken) == 1
    assert "edge-detector knows no model" in broken.broken[0]
    assert judge(result_of(np.full(images, 0.4), method="edge-detector"), controls=()).broken == ()
    assert judge(result_of(np.full(images, 0.4), method="mine"), controls=("mine",)).broken
    rising = judge(result_of(np.full(images, 0.4), method="edge-detector", metric="entropy-rise"))
    assert rising.broken


def test_metrics_of_ones_own_are_judged_by_their_kind():
    mine = {"mine": replace(METRICS["ssim"], kind="rise", perfect=0.0)}
    assert judge(result_of(around(0.4, 0.01), metric="mine"), mine).verdicts[0].word == FOLLOWS


def test_what_was_not_judged_is_refused():
    with pytest.raises(UnknownName, match="did you mean 'gradient under ssim'"):
        judge(result_of(np.ones(2))).of("gradient", "sim")
