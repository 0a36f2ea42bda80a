"""Maps of half-precision models: products and sums are formed in float32, and overflow in the model is named."""

import pytest
import torch
from nets import ConvNet, images, seeded
from torch import nn

from probatum import attribute
from probatum.attributions import (
    EdgeDetector,
    GradCAM,
    Gradient,
    GuidedBackprop,
    GuidedGradCAM,
    InputXGradient,
    IntegratedGradients,
    SmoothGrad,
)
from probatum.errors import ModelError


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_products_of_small_maps_do_not_vanish(dtype: torch.dtype):
    model = seeded(ConvNet).eval()
    with torch.no_grad():
        model.head.weight *= 1e-4  # gradients of about 1e-5, whose products with a map are below 6e-8
    model, x = model.to(dtype), images(dtype=dtype)
    parts = attribute(model, x, 0, {"guided": GuidedBackprop(), "cam": GradCAM(), "gradient": Gradient()})
    assert torch.equal(GuidedGradCAM()(model, x, 0), parts["guided"] * parts["cam"])
    assert torch.equal(InputXGradient()(model, x, 0), x.float() * parts["gradient"])
    assert {maps.dtype for maps in parts.values()} == {torch.float32}


def test_edges_of_huge_images_are_finite():
    x = torch.tensor([6e4, -6e4]).half().repeat_interleave(8).view(1, 1, 1, 16).expand(2, 3, 16, 16)
    found = EdgeDetector()(nn.Sequential(nn.Flatten(), nn.Linear(768, 2)).half(), x * 1.0, 0)
    torch.testing.assert_close(found, EdgeDetector()(nn.Flatten().float(), x.float(), 0))


def test_overflow_in_the_models_type_is_named():
    model = nn.Sequential(nn.Flatten(), nn.Linear(8, 8), nn.Linear(8, 2)).half()
    for layer in model[1:]:
        nn.init.constant_(layer.weight, 300)  # a gradient of 8 · 300² = 720,000
    x = torch.full((1, 8), 1e-3).half()
    with pytest.raises(ModelError, match=r"gradients of Sequential .*float16.*precision='float32'"):
        Gradient()(model, x, 0)
    torch.testing.assert_close(Gradient()(model, x, 0, precision="float32"), torch.full((1, 8), 720000.0))
    with pytest.raises(ModelError, match=r"logits of Sequential .*float16"):
        IntegratedGradients()(model, 100 * x, 0)


def test_finite_gradients_are_not_blamed_for_an_overflow():
    model = nn.Linear(4, 2)
    nn.init.constant_(model.weight, 3e38)
    x = torch.tensor([[1e-3, -1e-3, 0.0, 0.0]])
    with pytest.raises(ModelError, match="is finite, but"):
        SmoothGrad(samples=2, statistic="square")(model, x, 0)
