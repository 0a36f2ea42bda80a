import math

import pytest
import torch

from probatum.errors import InvalidInput
from probatum.metrics.effects import causal_effect, region_share, unit_maps


def maps(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_effect_is_the_norm_of_equation_1():
    trained, untrained, weights = (
        maps(2, 3, 1, 4, 5),
        maps(4, 3, 1, 4, 5, seed=1),
        torch.tensor([[0.3, 0.7]] * 3, dtype=torch.float64),
    )
    found = causal_effect(trained, untrained, weights)
    for k in range(4):
        for image in range(3):
            total = sum((trained[t, image] - untrained[k, image]) * float(weights[image, t]) for t in range(2))
            assert float(found[k, image]) == pytest.approx(float(total.norm()), rel=1e-14)


def test_effect_of_equal_models_is_zero_and_of_disjoint_maps_is_the_square_root_of_two():
    one = torch.zeros(1, 1, 1, 2, 2, dtype=torch.float64)
    one[..., 0, 0] = 3.0
    other = torch.zeros_like(one)
    other[..., 1, 1] = 0.5
    weights = torch.ones(1, 1, dtype=torch.float64)
    assert float(causal_effect(unit_maps(one), unit_maps(7 * one), weights)) == 0.0
    assert float(causal_effect(unit_maps(one), unit_maps(other), weights)) == pytest.approx(math.sqrt(2), rel=1e-15)
    assert float(causal_effect(unit_maps(one), unit_maps(-one), weights)) == pytest.approx(2, rel=1e-15)


def test_tasks_that_pull_apart_cancel():
    a = maps(1, 1, 1, 3, 3)
    trained = torch.stack([a[0] + 1, a[0] - 1])
    assert float(causal_effect(trained, a, torch.full((1, 2), 0.5, dtype=torch.float64))) == pytest.approx(0, abs=1e-15)


def test_a_map_of_zeros_makes_its_scores_undefined_unless_its_task_is_impossible():
    trained, untrained = maps(2, 1, 1, 3, 3), maps(1, 1, 1, 3, 3, seed=1)
    trained[0] = 0
    both = causal_effect(unit_maps(trained), unit_maps(untrained), torch.tensor([[0.5, 0.5]], dtype=torch.float64))
    assert both.isnan().all()
    second = causal_effect(unit_maps(trained), unit_maps(untrained), torch.tensor([[0.0, 1.0]], dtype=torch.float64))
    alone = causal_effect(unit_maps(trained[1:]), unit_maps(untrained), torch.ones(1, 1, dtype=torch.float64))
    assert torch.equal(second, alone)


def test_effect_refuses_what_does_not_fit():
    with pytest.raises(InvalidInput, match="do not match"):
        causal_effect(maps(2, 3, 1, 4, 4), maps(1, 3, 1, 4, 4), torch.ones(3, 1, dtype=torch.float64))
    with pytest.raises(InvalidInput, match="sum to 1"):
        causal_effect(maps(1, 3, 1, 4, 4), maps(1, 3, 1, 4, 4), torch.full((3, 1), 0.9, dtype=torch.float64))


def test_region_share_counts_magnitudes():
    values = torch.tensor([[[[1.0, -2.0], [3.0, 4.0]]], [[[0.0, 0.0], [0.0, 0.0]]], [[[1.0, 1.0], [1.0, 1.0]]]])
    regions = torch.tensor([[[True, True], [False, False]], [[True, True], [True, True]], [[False, False]] * 2])
    shares = region_share(values, regions)
    assert float(shares[0]) == 0.3
    assert shares[1:].isnan().all()  # a map of zeros, an empty region
    two_channels = torch.cat([values[:1], -values[:1]], dim=1)
    assert float(region_share(two_channels, regions[:1])) == 0.3
