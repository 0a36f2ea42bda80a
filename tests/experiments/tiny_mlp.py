"""A perceptron of a thousand weights in place of the papers' MLP of millions, for tests of many whole runs."""

from dataclasses import replace

import torch
from torch import nn

from probatum.experiments import setup
from probatum.models import load_checkpoint, model_spec

PLACES = {  # what to put into `probatum.experiments.setup`
    "model_spec": lambda name: replace(model_spec(name), stages=None),
    "load_model": lambda name, weights, classes=10, seed=0: _tiny(weights, seed),
}


def _tiny(weights: str, seed: int) -> nn.Module:
    with torch.random.fork_rng([]):
        torch.manual_seed(seed)
        model = nn.Sequential(nn.AvgPool2d(4), nn.Flatten(), nn.Linear(49, 16), nn.ReLU(), nn.Linear(16, 10))
    if weights != "none":
        load_checkpoint(model, weights)
    return model.eval()


def use() -> None:
    """Puts it in place for good."""
    for name, value in PLACES.items():
        setattr(setup, name, value)
