"""The confounded digits: exact shares, regions that are the texture's, nothing hidden, places that say nothing."""

import pytest
import torch

from probatum.data import render_digits
from probatum.data.confounded import PATCH, SIDE, confounded_digits
from probatum.errors import InvalidInput


@pytest.fixture(scope="module")
def digits():
    images, labels = render_digits(500)
    wanted = (labels == 1) | (labels == 7)
    return images[wanted], (labels[wanted] == 7).long()  # 50 of each


@pytest.mark.parametrize("shares", [(0.96, 0.82), (0.5, 0.5), (0.0, 0.0), (1.0, 0.25)])
def test_the_texture_agrees_with_the_asked_share_of_each_class(digits, shares):
    data = confounded_digits(*digits, shares)
    for label, share in enumerate(shares):
        agree = data.textures[data.labels == label] == label
        assert int(agree.sum()) == round(50 * share)
    assert torch.equal(data.labels, digits[1])


def test_the_region_is_the_texture_and_the_rest_is_the_digit(digits):
    data = confounded_digits(*digits, (0.5, 0.5), seed=3)
    assert data.images.shape == (100, 1, SIDE, SIDE)
    assert data.regions.flatten(1).sum(1).tolist() == [PATCH**2] * 100
    for image, region, texture, digit in zip(data.images[:, 0], data.regions, data.textures, digits[0], strict=True):
        patch = image[region].reshape(PATCH, PATCH)
        stripes = patch if texture == 0 else patch.T
        assert (stripes == stripes[:, :1]).all()  # level stripes
        assert stripes[:, 0].tolist() == [255, 255, 0, 0] * 4
        assert int(image[~region].long().sum()) == int(digit.long().sum())  # the digit is whole


def test_places_say_nothing_of_class_or_texture(digits):
    images, labels = digits
    one = confounded_digits(images, labels, (1.0, 1.0), seed=5)
    other = confounded_digits(images, labels, (0.0, 0.0), seed=5)
    assert torch.equal(one.regions, other.regions)
    corners = {tuple(region.nonzero()[0].tolist()) for region in one.regions}
    assert corners == {(top, left) for top in (0, SIDE - PATCH) for left in (0, SIDE - PATCH)}


def test_the_seed_decides(digits):
    first, same, other = (confounded_digits(*digits, (0.5, 0.5), seed) for seed in (1, 1, 2))
    assert torch.equal(first.images, same.images)
    assert torch.equal(first.textures, same.textures)
    assert not torch.equal(first.images, other.images)
    assert not torch.equal(first.textures, other.textures)


def test_the_given_labels_are_left_alone(digits):
    images, labels = digits
    before = labels.clone()
    confounded_digits(images, labels, (0.0, 0.0))
    assert torch.equal(labels, before)


@pytest.mark.parametrize(
    ("labels", "shares", "seed", "message"),
    [
        ([0, 2], (0.5, 0.5), 0, "0 or 1"),
        ([0, 1], (0.5, 1.5), 0, "shares"),
        ([0, 1], (0.5, 0.5), -1, "seed"),
    ],
)
def test_bad_input_is_named(digits, labels, shares, seed, message):
    with pytest.raises(InvalidInput, match=message):
        confounded_digits(digits[0][:2], torch.tensor(labels), shares, seed)
