"""Gradients of one image through batch norms whose results are laid out as tokens afterwards."""

import pytest
import torch
from torch import nn

from probatum.attributions import DeepLIFT, Gradient, GuidedBackprop, InputXGradient
from probatum.attributions.literal import Problem, literal


class Tokens(nn.Module):
    """A patch embedding with batch norm, and tokens with a layer norm."""

    def __init__(self, functional):
        super().__init__()
        self.functional = functional
        self.patches, self.norm = nn.Conv2d(3, 8, 4, 4), nn.BatchNorm2d(8)
        self.hidden, self.head = nn.Linear(8, 8), nn.Linear(8, 3)

    def forward(self, x):
        x, norm = self.patches(x), self.norm
        if self.functional:
            x = nn.functional.batch_norm(x, norm.running_mean, norm.running_var, norm.weight, norm.bias)
        else:
            x = norm(x)
        return self.head(self.hidden(nn.functional.layer_norm(x.flatten(2).mT, (8,))).relu().mean(1))


METHODS = (Gradient(), InputXGradient(), GuidedBackprop(), DeepLIFT())


@pytest.mark.parametrize("functional", [False, True])
@pytest.mark.parametrize("method", METHODS, ids=lambda each: each.title)
def test_one_image_has_the_gradient_that_it_has_beside_another(method, functional):
    torch.manual_seed(0)
    model = Tokens(functional).double().eval()
    nn.init.normal_(model.norm.running_mean)
    nn.init.uniform_(model.norm.running_var, 0.5, 2)
    images = torch.randn(2, 3, 16, 16, dtype=torch.float64)
    alone = method(model, images[:1], 1)
    torch.testing.assert_close(alone, method(model, images, 1)[:1], rtol=1e-12, atol=1e-14)
    if not isinstance(method, DeepLIFT):  # whose literal form knows no layer norm
        by_hand = literal(method, Problem(model.requires_grad_(False), 1, images[0]), images[0])
        torch.testing.assert_close(by_hand, alone[0], rtol=1e-12, atol=1e-14)


def test_the_gradient_of_one_image_is_that_of_finite_differences():
    torch.manual_seed(0)
    model = Tokens(functional=False).double().eval()
    image, step = torch.randn(1, 3, 16, 16, dtype=torch.float64), 1e-6
    gradient = Gradient()(model, image, 1)
    for place in ((0, 0, 0, 0), (0, 1, 7, 2), (0, 2, 15, 15)):
        shift = torch.zeros_like(image)
        shift[place] = step
        with torch.no_grad():
            slope = (model(image + shift) - model(image - shift))[0, 1] / (2 * step)
        assert float(gradient[place]) == pytest.approx(float(slope), rel=1e-6)
