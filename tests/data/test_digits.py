from pathlib import Path

import matplotlib
import numpy as np
import pytest
import torch

from probatum.data.digits import FONTS, _rendered, render_digits
from probatum.errors import InvalidInput, UnknownName


def test_size_range_and_labels():
    images, labels = render_digits(40)
    assert images.shape == (40, 1, 28, 28)
    assert images.dtype == torch.uint8
    assert torch.equal(labels, torch.arange(40) % 10)
    assert (images.amax((1, 2, 3)) > 128).all()
    border = torch.cat([images[..., 0, :], images[..., -1, :], images[..., :, 0], images[..., :, -1]], dim=-1)
    assert border.float().mean() < 12  # white ink on black, inside the frame


def test_an_image_does_not_depend_on_how_many_are_asked_for():
    few, many = render_digits(7, seed=3)[0], render_digits(25, seed=3)[0]
    assert torch.equal(few, many[:7])


def test_seeds_splits_and_images_differ():
    first = render_digits(30)[0]
    render_digits(30)[0].zero_()  # a copy of the caller's own
    assert torch.equal(render_digits(30)[0], first)
    _rendered.cache_clear()
    assert torch.equal(render_digits(30)[0], first)
    streams = torch.cat([first, render_digits(30, "test")[0], render_digits(30, seed=1)[0]])
    assert len({image.numpy().tobytes() for image in streams}) == 90


def test_global_random_state_is_left_alone():
    numpy_before, torch_before = np.random.get_state()[1].copy(), torch.get_rng_state()  # noqa: NPY002
    render_digits(3)
    assert np.array_equal(np.random.get_state()[1], numpy_before)  # noqa: NPY002
    assert torch.equal(torch.get_rng_state(), torch_before)


def test_classes_can_be_told_apart():
    # A nearest-mean classifier, which sees nothing but typical shapes, is right in 57 % of cases, by chance in 10 %
    images, labels = render_digits(600)
    means = torch.stack([images[labels == digit].float().mean(0).flatten() for digit in range(10)])
    test_images, test_labels = render_digits(200, "test")
    nearest = torch.cdist(test_images.flatten(1).float(), means).argmin(1)
    assert (nearest == test_labels).float().mean() > 0.5


def test_every_font_ships_with_matplotlib():
    shipped = {path.stem for path in Path(matplotlib.get_data_path(), "fonts", "ttf").glob("*.ttf")}
    assert set(FONTS) <= shipped
    assert len(set(FONTS)) == len(FONTS)


def test_wrong_arguments():
    with pytest.raises(UnknownName, match="no split is called 'valid'"):
        render_digits(1, "valid")
    with pytest.raises(InvalidInput, match="count is 0"):
        render_digits(0)
    with pytest.raises(InvalidInput, match="seed is -1"):
        render_digits(1, seed=-1)
