"""The chance level: which images are compared, and that a check measures what its definition says."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from nets import ConvNet, images, seeded

from probatum import attribute
from probatum.attributions import Gradient, SmoothGrad
from probatum.experiments import sanity_check
from probatum.experiments.chance import OTHERS, chance_by_image, groups, partners, shifts
from probatum.maps import get_reduction
from probatum.metrics import get_metric
from probatum.randomization import Randomizer, Reset, automatic_stages

SHAPE = (2, 14, 14)


@pytest.mark.parametrize("count", [1, 2, 3, 7, 10, 64])
def test_every_image_takes_either_part_equally_often(count):
    group = range(5, 5 + count)
    pairs = [(image, other) for image in group for other in partners(group, image)]
    assert len(set(pairs)) == len(pairs) == count * min(OTHERS, count - 1)
    assert all(image != other and other in group for image, other in pairs)
    for image in group:
        assert sum(other == image for _, other in pairs) == len(shifts(count))


@pytest.mark.parametrize(
    ("count", "block", "size"), [(10, 10, 1), (17, 16, 1), (1000, 16, 1), (9, 1, 1 << 30), (1, 1, 1)]
)
def test_groups_are_whole_blocks_and_none_is_left_without_others(count, block, size):
    found = groups(count, block, size)
    assert found[0].start == 0
    assert found[-1].stop == count
    assert all(first.stop == second.start and first.stop % block == 0 for first, second in pairwise(found))
    assert all(len(group) > OTHERS for group in found) or len(found) == 1
    assert max(map(len, found)) <= max(64 + OTHERS, 2 * (OTHERS + 1)) + block


def test_chance_of_an_image_is_the_mean_over_its_pairs():
    generator = np.random.default_rng(0)
    found = [[1, 2], [2, 0], [0, 1]]
    pairs = generator.uniform(size=(2, 3, 2, 4))  # (stage, image, other, trial)
    pairs[0, 1, 0, 3] = np.nan
    chance = chance_by_image(pairs, found)
    assert chance.shape == (2, 3, 4)
    # Image 0 is the randomized one of its own row and the trained one of (1, second) and (2, first).
    np.testing.assert_allclose(chance[:, 0], (pairs[:, 0].sum(1) + pairs[:, 1, 1] + pairs[:, 2, 0]) / 4, rtol=1e-14)
    whole = [pairs[0, 1, 1, 3], pairs[0, 0, 0, 3], pairs[0, 2, 1, 3]]
    assert chance[0, 1, 3] == pytest.approx(np.mean(whole), rel=1e-14)
    assert np.isnan(chance_by_image(np.full((1, 1, 0, 2), np.nan), [[]])).all()


@pytest.mark.parametrize("metric", ["ssim", "spearman", "euclidean", "entropy-rise"])
def test_a_check_compares_trained_and_randomized_maps_of_different_images(metric):
    net, count, trials = seeded(ConvNet), 4, 2
    x = images(count, SHAPE)
    methods = {"gradient": Gradient(), "sg": SmoothGrad(samples=2)}
    randomizer = Randomizer(net, automatic_stages(net, x), Reset(), seed=3)
    result = sanity_check(net, x, methods=methods, metrics=(metric,), randomizer=randomizer, trials=trials)
    one = get_metric(metric)
    reduce = get_reduction(one.reduction)
    targets = torch.tensor(result.targets)
    trained = attribute(net, x, targets, methods)
    for trial in range(trials):
        for stage, step in enumerate(randomizer.steps(trial, start=1)):
            drawn = attribute(step.model, x, targets, methods)
            for row, name in enumerate(methods):
                a, b = reduce(trained[name]), reduce(drawn[name])
                table = np.array([[float(one(a[j : j + 1], b[i : i + 1])) for j in range(count)] for i in range(count)])
                np.fill_diagonal(table, np.nan)
                expected = (np.nanmean(table, axis=0) + np.nanmean(table, axis=1)) / 2
                np.testing.assert_allclose(result.chance[row, 0, stage, :, trial], expected, rtol=1e-4, atol=1e-5)


def test_one_image_has_no_chance_level():
    net = seeded(ConvNet)
    result = sanity_check(net, images(1, SHAPE), methods={"gradient": Gradient()}, metrics=("spearman",))
    assert np.isfinite(result.scores).all()
    assert np.isnan(result.chance).all()
