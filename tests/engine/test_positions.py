"""Inputs with more tokens than a model has positions: one error before any work, on models of any kind."""

import pytest
import torch
import torchvision
from torch import nn

from probatum.attributions import ConservativePropagation, Gradient
from probatum.engine import prepare
from probatum.errors import InvalidInput


class Patches(nn.Module):
    """Patches of 8 × 8 pixels with positions for four of them."""

    def __init__(self, positions):
        super().__init__()
        self.patches, self.positions, self.head = nn.Conv2d(3, 8, 8, 8), positions, nn.Linear(8, 3)

    def forward(self, x):
        tokens = self.patches(x).flatten(2).mT
        positions = self.positions
        if isinstance(positions, nn.Embedding):
            positions = positions(torch.arange(tokens.shape[1], device=x.device))
        return self.head((tokens + positions).mean(1))


MODELS = {
    "embedding": (lambda: Patches(nn.Embedding(4, 8)), r"'positions' of Patches has 4 rows.*row 15"),
    "parameter": (lambda: Patches(nn.Parameter(torch.zeros(4, 8))), r"\(positions\).*16.*4"),
    "torchvision": (
        lambda: torchvision.models.VisionTransformer(16, 8, 1, 2, 8, 16, num_classes=3),
        "encoder.pos_embedding.*Expected 16 but got 32.*image_size=",
    ),
}


@pytest.mark.parametrize("method", [Gradient(), ConservativePropagation()], ids=lambda each: each.title)
@pytest.mark.parametrize("name", MODELS)
def test_an_image_of_another_size_names_the_positions_and_the_shape(name, method):
    make, message = MODELS[name]
    prepared = prepare(make().eval())
    for _ in range(2):  # the second time, too
        with pytest.raises(InvalidInput, match=message) as caught:
            method(prepared, torch.ones(1, 3, 32, 32), 1)
        assert "(3, 32, 32)" in str(caught.value)
    assert method(prepared, torch.ones(1, 3, 16, 16), 1).shape == (1, 3, 16, 16)


def test_other_errors_of_a_model_with_positions_are_its_own():
    with pytest.raises(RuntimeError, match="channels") as caught:
        Gradient()(Patches(nn.Embedding(4, 8)).eval(), torch.ones(1, 1, 16, 16), 1)
    assert not isinstance(caught.value, InvalidInput)


def test_an_error_of_a_model_without_positions_is_its_own():
    class Strict(nn.Module):
        def __init__(self):
            super().__init__()
            self.post_norm = nn.LayerNorm(16)

        def forward(self, x):
            raise ValueError("sizes of batches do not match")

    with pytest.raises(ValueError, match="batches") as caught:
        Gradient()(Strict(), torch.ones(1, 3, 16, 16), 1)
    assert not isinstance(caught.value, InvalidInput)
