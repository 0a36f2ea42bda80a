import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torchvision.models import Inception_V3_Weights, ResNet18_Weights, Swin_T_Weights

from probatum.data import IMAGENET, IMAGENET_INCEPTION, MNIST, MNIST_RGB_64, UNIT_RANGE, Preprocessing
from probatum.errors import InvalidInput


def picture(height: int, width: int, seed: int = 0) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8))


@pytest.mark.parametrize("size", [(300, 400), (401, 280), (257, 256), (120, 200)])
@pytest.mark.parametrize(
    ("preprocessing", "weights"),
    [
        (IMAGENET, ResNet18_Weights.DEFAULT),
        (IMAGENET_INCEPTION, Inception_V3_Weights.DEFAULT),
        (Preprocessing(IMAGENET.mean, IMAGENET.std, 232, 224, "bicubic"), Swin_T_Weights.DEFAULT),
    ],
)
def test_equals_torchvisions_published_preprocessing(preprocessing, weights, size):
    torch.testing.assert_close(preprocessing.apply(picture(*size)), weights.transforms()(picture(*size)))


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 255), st.integers(1, 5), st.integers(1, 5))
def test_undo_gives_the_pixels_back(value, height, width):
    pixels = torch.full((3, height, width), value, dtype=torch.uint8)
    plain = Preprocessing(IMAGENET.mean, IMAGENET.std)
    torch.testing.assert_close(plain.undo(plain.apply(pixels)), pixels / 255, atol=1e-6, rtol=0)


@pytest.mark.parametrize("preprocessing", [IMAGENET, IMAGENET_INCEPTION, MNIST, MNIST_RGB_64, UNIT_RANGE])
def test_black_is_what_a_black_image_becomes(preprocessing):
    result = preprocessing.apply(torch.zeros(1, 1, 300, 350, dtype=torch.uint8))
    black = torch.tensor(preprocessing.black)[:, None, None].expand_as(result[0])
    torch.testing.assert_close(result[0], black, atol=1e-6, rtol=0)


def test_mnist_values():
    result = MNIST.apply(torch.tensor([[[[0, 255]]]], dtype=torch.uint8))
    torch.testing.assert_close(result, torch.tensor([[[[-0.1307 / 0.3081, (1 - 0.1307) / 0.3081]]]]))


def test_gray_images_are_resized_and_repeated():
    result = MNIST_RGB_64.apply(torch.arange(28 * 28).remainder(256).to(torch.uint8).view(1, 1, 28, 28))
    assert result.shape == (1, 3, 64, 64)
    assert torch.equal(result[:, 0], result[:, 2])


def test_the_input_is_left_alone():
    pixels = torch.full((1, 4, 4), 7, dtype=torch.uint8)
    UNIT_RANGE.apply(pixels)
    assert (pixels == 7).all()


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (torch.zeros(3, 300, 300), "uint8"),
        (torch.zeros(300, 300, dtype=torch.uint8), "uint8"),
        (torch.zeros(2, 300, 300, dtype=torch.uint8), "2 channels where 3"),
        (Image.new("RGBA", (300, 300)), "mode RGBA"),
    ],
)
def test_wrong_images(image, message):
    with pytest.raises(InvalidInput, match=message):
        IMAGENET.apply(image)


def test_wrong_shapes():
    with pytest.raises(InvalidInput, match="3 channels where 1"):
        MNIST.apply(picture(28, 28))
    with pytest.raises(InvalidInput, match="20x30 pixels is smaller than the crop 28"):
        Preprocessing((0.5,), (0.5,), crop=28).apply(torch.zeros(1, 20, 30, dtype=torch.uint8))
    with pytest.raises(InvalidInput, match="2 channels where 3"):
        IMAGENET.undo(torch.zeros(2, 4, 4))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mean": (0.5, 0.5), "std": (0.5,)}, "one of each"),
        ({"mean": (), "std": ()}, "one of each"),
        ({"mean": (0.5,), "std": (0.0,)}, "above 0"),
        ({"mean": (0.5,), "std": (0.5,), "resize": 20, "crop": 21}, "crop"),
        ({"mean": (0.5,), "std": (0.5,), "crop": 0}, "crop is 0"),
    ],
)
def test_wrong_settings(options, message):
    with pytest.raises(InvalidInput, match=message):
        Preprocessing(**options)
