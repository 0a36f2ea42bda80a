"""The edge detector against scikit-image, and its independence of the model."""

import numpy as np
import pytest
import torch
from nets import SHAPE, CallCounter, ConvNet, Linear, images, seeded
from skimage import filters

from probatum.attributions import EdgeDetector, SmoothGrad
from probatum.errors import InvalidInput


@pytest.mark.parametrize("shape", [SHAPE, (3, 32, 17), (1, 3, 3), (1, 2, 5)])
def test_equals_scikit_image_channel_by_channel_also_at_the_border(shape):
    x = images(4, shape)
    expected = np.stack([[filters.sobel(channel) for channel in image] for image in x.numpy()])
    np.testing.assert_allclose(EdgeDetector()(seeded(ConvNet), x).numpy(), expected, rtol=1e-12, atol=1e-15)


def test_is_zero_on_a_constant_picture_and_known_at_a_step():
    flat = torch.full((1, 1, 6, 6), 0.3, dtype=torch.float64)
    assert EdgeDetector()(seeded(ConvNet), flat).abs().max() < 1e-16
    step = torch.zeros(1, 1, 6, 6, dtype=torch.float64)
    step[..., 3:] = 2
    column = EdgeDetector()(seeded(ConvNet), step)[0, 0, 2]
    height = 2 / 2**0.5  # the step, and the mean square over two directions of which one is flat
    torch.testing.assert_close(column, torch.tensor([0, 0, height, height, 0, 0], dtype=torch.float64))


def test_calls_no_model_and_is_the_same_for_all():
    counter = CallCounter(seeded(ConvNet))
    maps = EdgeDetector()(counter, images())
    assert counter.calls == []
    assert torch.equal(maps, EdgeDetector()(seeded(Linear, seed=7), images()))


def test_smoothgrad_of_it_detects_the_edges_of_noisy_pictures():
    maps = SmoothGrad(EdgeDetector(), samples=3)(seeded(ConvNet), images())
    assert maps.shape == images().shape
    assert not torch.allclose(maps, EdgeDetector()(seeded(ConvNet), images()))


def test_needs_pictures():
    with pytest.raises(InvalidInput, match=r"got \(3, 7\)"):
        EdgeDetector()(seeded(Linear), images(3, (7,)))
