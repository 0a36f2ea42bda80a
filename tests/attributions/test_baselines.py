"""Baselines: their values, their shapes and what they refuse."""

import numpy as np
import pytest
import torch
from nets import CLASSES, PROBE, SHAPE, CallCounter, Linear, images, seeded
from scipy import ndimage
from torch import nn

from probatum import attribute
from probatum.attributions import Black, Blurred, Given, IntegratedGradients, Mean, Zero
from probatum.attributions.baselines import as_baseline
from probatum.errors import InvalidInput, UnknownName


def test_zero():
    assert torch.equal(Zero()(images()), torch.zeros_like(images()))


def test_black_has_one_level_or_one_a_channel():
    assert torch.equal(Black(-1.0)(images()), torch.full_like(images(), -1))
    black = Black((-2.1, 0.4))(images())
    assert black.shape == images().shape
    assert (black[:, 0] == -2.1).all()
    assert (black[:, 1] == 0.4).all()
    with pytest.raises(InvalidInput, match="3 channels, the images have 2"):
        Black((0.0, 0.0, 0.0))(images())


@pytest.mark.parametrize("shape", [SHAPE, (7,), (3, 7), (2, 3, 4, 5)])
def test_mean_is_each_images_own_channel_by_channel(shape):
    x = images(4, shape)
    channels = x.reshape(4, shape[0], -1) if len(shape) > 1 else x[:, None]
    means = channels.mean(2, keepdim=True).expand_as(channels).reshape(x.shape)
    torch.testing.assert_close(Mean()(x), means, rtol=1e-15, atol=1e-16)


@pytest.mark.parametrize("sigma", [0.4, 1.0, 2.5])
def test_blurred_is_a_gaussian_filter_with_mirrored_borders(sigma):
    x = images()
    radius = round(3 * sigma)
    expected = ndimage.gaussian_filter(x.numpy(), (0, 0, sigma, sigma), mode="mirror", radius=(0, 0, radius, radius))
    np.testing.assert_allclose(Blurred(sigma)(x).numpy(), expected, rtol=1e-12, atol=1e-14)


def test_blur_reaches_as_far_as_each_side_of_the_image_allows():
    x = images()
    reach = (0, 0, SHAPE[1] - 1, SHAPE[2] - 1)
    expected = ndimage.gaussian_filter(x.numpy(), (0, 0, 10, 10), mode="mirror", radius=reach)
    np.testing.assert_allclose(Blurred()(x).numpy(), expected, rtol=1e-12, atol=1e-14)
    with pytest.raises(InvalidInput, match="blurred baseline needs"):
        Blurred()(images(3, (7,)))
    with pytest.raises(InvalidInput, match="positive number of pixels"):
        Blurred(0.0)


def test_given_is_one_for_all_or_one_for_each():
    one, each = images(1, seed=4), images(seed=5)
    assert torch.equal(Given(one)(images()), one.expand(5, *SHAPE))
    assert torch.equal(Given(one[0])(images()), one.expand(5, *SHAPE))
    assert torch.equal(Given(each)(images()), each)
    assert Given(each)(images().float()).dtype == torch.float32
    with pytest.raises(InvalidInput, match=r"shape \(4, 2, 11, 9\), which does not fit"):
        Given(each[:4])(images())


def test_names_tensors_and_functions_are_read():
    assert as_baseline("zero") == Zero()
    assert as_baseline("blurred") == Blurred()
    assert as_baseline("mean") == Mean()
    assert as_baseline(Black(0.5)) == Black(0.5)
    assert isinstance(as_baseline(images(1)), Given)


def test_black_by_name_is_refused_because_it_depends_on_the_preprocessing():
    with pytest.raises(InvalidInput, match=r"give Black\(level=\.\.\.\)"):
        IntegratedGradients(baseline="black")(seeded(Linear), images(), 0)
    with pytest.raises(UnknownName, match="did you mean 'blurred'"):
        IntegratedGradients(baseline="blured")(seeded(Linear), images(), 0)


def test_a_function_of_the_images_is_a_baseline_if_it_keeps_their_shape():
    model, x = seeded(Linear), images()
    weights = model.linear.weight[1].detach().reshape(1, *SHAPE)
    maps = IntegratedGradients(2, lambda batch: batch.flip(3).float())(model, x, 1)
    torch.testing.assert_close(maps, (x - x.flip(3).float().double()) * weights, rtol=1e-12, atol=1e-15)
    # Without its batch axis, this baseline would be broadcast to a wrong map of the right shape.
    one = images(1)
    with pytest.raises(InvalidInput, match=r"baselines have shape \(2, 11, 9\), the images \(1, 2, 11, 9\)"):
        IntegratedGradients(2, lambda batch: batch.mean(0))(model, one, 1)


class _Constant(nn.Module):
    def forward(self, x):
        return x.flatten(1)[:, :CLASSES] * 1


@pytest.mark.parametrize("baseline", ["zero", "mean", Black(-1.0)], ids=str)
def test_equal_baselines_share_the_points_of_their_paths(baseline):
    counter = CallCounter(_Constant())
    pair = {"global": IntegratedGradients(3, baseline), "local": IntegratedGradients(3, baseline, "midpoint", False)}
    attribute(counter, images(dtype=torch.float32), 0, pair, chunk=15)
    assert counter.calls == [*PROBE, 15]
