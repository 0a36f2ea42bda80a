"""Maps are repeatable under a seed, and random only where an explainer says so."""

import random

import numpy as np
import torch

from probatum.conformance.law import distance, law, require, targets
from probatum.conformance.networks import ConvNet, images, seeded
from probatum.conformance.subject import Subject


@law("randomness")
def determinism_under_a_seed(subject: Subject) -> float:
    """Two calls under one seed give equal maps, bit for bit."""
    first, second = (subject.explain(seeded(ConvNet), images(), targets(), seed=3) for _ in range(2))
    return distance(first, second)


@law("randomness")
def randomness_as_declared(subject: Subject) -> float:
    """Another seed changes the maps of a stochastic explainer, and no others: 0 where that is so, else 1."""
    first, second = (subject.explain(seeded(ConvNet), images(), targets(), seed=seed) for seed in (3, 4))
    changes = distance(first, second) > 0
    by_default = subject.is_external and subject.method.stochastic
    require(changes or not by_default, "another seed changes nothing; Explainer(..., stochastic=False) declares it")
    return float(changes != subject.method.stochastic)


@law("randomness")
def global_generators_left(subject: Subject) -> int:
    """The generators of Python, NumPy and torch are left as found: the number of those that moved."""
    require(not (subject.is_external and subject.method.stochastic), "it draws from the global generators by contract")
    model = seeded(ConvNet)
    states = _states()
    subject.call(model, images(), targets())
    return sum(before != after for before, after in zip(states, _states(), strict=True))


def _states() -> list[object]:
    """Of torch, Python and NumPy."""
    name, key, *rest = np.random.get_state()  # noqa: NPY002, for it is the global generator
    return [torch.get_rng_state().tolist(), random.getstate(), (name, list(key), rest)]
