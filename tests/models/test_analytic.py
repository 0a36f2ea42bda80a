"""The models with known gradients: their outputs and gradients against the formulas."""

import pytest
import torch
from torch.nn import functional as F

from probatum.models.analytic import LinearModel, SumPoolingConv


def gradient(model, images, target):
    images = images.clone().requires_grad_()
    (result,) = torch.autograd.grad(model(images)[:, target].sum(), images)
    return result


def test_the_gradient_of_the_linear_model_is_its_coefficients_for_every_image():
    model = LinearModel(num_classes=4, channels=2, size=5).double()
    images = torch.randn(3, 2, 5, 5, dtype=torch.float64)
    expected = model.linear.weight[2].reshape(2, 5, 5).expand(3, -1, -1, -1)
    torch.testing.assert_close(gradient(model, images, 2), expected, rtol=0, atol=0)
    torch.testing.assert_close(model(images)[:, 2], (images * expected).sum((1, 2, 3)) + model.linear.bias[2])


def test_the_linear_model_of_the_paper_takes_digits():
    assert LinearModel()(torch.zeros(2, 1, 28, 28)).shape == (2, 10)


def test_sum_pooling_sums_the_active_windows():
    model = SumPoolingConv(filters=3, channels=2).double()
    images = torch.randn(2, 2, 6, 7, dtype=torch.float64)
    expected = torch.zeros(2, 3, dtype=torch.float64)
    padded = F.pad(images, (1, 1, 1, 1))
    for row in range(6):
        for column in range(7):
            windows = padded[:, None, :, row : row + 3, column : column + 3] * model.conv.weight  # (image, filter, ...)
            expected += windows.sum((2, 3, 4)).clamp(min=0)
    torch.testing.assert_close(model(images), expected)


@pytest.mark.parametrize(("level", "active"), [(1.0, True), (-1.0, False)])
def test_where_the_image_is_flat_the_gradient_is_the_sum_of_the_filter_or_zero(level, active):
    model = SumPoolingConv().double()
    with torch.no_grad():
        model.conv.weight.abs_()
    inner = gradient(model, torch.full((1, 1, 8, 8), level, dtype=torch.float64), 0)[0, 0, 2:-2, 2:-2]
    expected = model.conv.weight.sum() if active else torch.zeros((), dtype=torch.float64)
    torch.testing.assert_close(inner, expected.expand(4, 4))
