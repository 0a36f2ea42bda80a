"""Every method equals a slow loop that follows its paper."""

import pytest
import torch
from attributions.replicas import REPLICAS, integrated_gradients, mean, midpoints, smooth
from attributions.table import METHODS
from nets import ConvNet, images, seeded

from probatum.attributions import IntegratedGradients, SmoothGrad

TARGETS = torch.tensor([0, 3, 1, 2, 1])


def replicate(replica, model, seed):
    x = images()
    return torch.stack([replica(model, x[i], int(TARGETS[i]), x[i], seed) for i in range(5)])


def assert_equal_up_to_rounding(maps, expected):
    torch.testing.assert_close(maps, expected, rtol=0, atol=1e-12 * float(expected.abs().max()))


def test_every_method_has_a_replica():
    assert REPLICAS.keys() == METHODS.keys()


@pytest.mark.parametrize("seed", [0, 11])
@pytest.mark.parametrize("name", METHODS)
def test_equals_its_replica(name, seed):
    model = seeded(ConvNet).eval().requires_grad_(False)
    expected = replicate(REPLICAS[name], model, seed)
    assert_equal_up_to_rounding(METHODS[name](model, images(), TARGETS, seed=seed), expected)


@pytest.mark.parametrize("statistic", ["mean", "square", "variance"])
@pytest.mark.parametrize("multiply", [True, False])
@pytest.mark.parametrize("chunk", [1, 7, 60])
def test_a_path_from_every_noisy_image_equals_its_replica_in_any_chunks(statistic, multiply, chunk):
    model = seeded(ConvNet).eval().requires_grad_(False)
    inner = integrated_gradients(midpoints(4), mean, multiply)
    expected = replicate(smooth(inner, 3, statistic, fraction=0.3), model, 5)
    method = SmoothGrad(
        IntegratedGradients(4, "mean", multiply_by_inputs=multiply), samples=3, noise_fraction=0.3, statistic=statistic
    )
    assert_equal_up_to_rounding(method(model, images(), TARGETS, seed=5, chunk=chunk), expected)
