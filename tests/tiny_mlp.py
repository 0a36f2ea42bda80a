"""A perceptron of a thousand weights in place of the papers' MLP of millions, for tests of many whole runs."""

import os
from dataclasses import replace
from pathlib import Path

import torch
from torch import nn

from probatum.experiments.build import model as building
from probatum.models import load_checkpoint, model_spec

# Of scripts that run in processes of their own and import this file.
ENVIRONMENT = os.environ | {"PYTHONPATH": f"{Path(__file__).parent}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"}
PLACES = {  # what to put into `probatum.experiments.build.model`
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
        setattr(building, name, value)
