"""Networks that end in a ReLU are explained in front of it; constant maps are hatched."""

import numpy as np
import torch
from torch import nn

from probatum.reproductions.hatching import drawable
from probatum.reproductions.subjects import before_last_relu


def test_a_network_that_ends_in_a_relu_is_explained_in_front_of_it():
    torch.manual_seed(0)
    images = torch.randn(4, 3, 8, 8)
    model = nn.Sequential(nn.Conv2d(3, 6, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()).eval()
    explained, words = before_last_relu(model, images)
    assert words == "values before the last ReLU, 1"
    torch.testing.assert_close(explained(images), model[0](images).mean((2, 3)))
    assert not (model(images) < 0).any()  # itself it is left as it is
    other = nn.Sequential(model, nn.Linear(6, 2)).eval()
    assert before_last_relu(other, images) == (other, "")


def test_constant_maps_are_hatched():
    ramp = np.arange(6.0).reshape(2, 3)
    assert drawable([np.zeros((2, 3)), ramp, np.full((2, 3), 0.5)]) == [None, ramp, None]
