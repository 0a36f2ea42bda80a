"""From a configuration to the things it names."""

import torch
from nets import ConvNet, seeded

from probatum.attributions import IntegratedGradients, SmoothGrad
from probatum.runs.fingerprint import weights_hash
from probatum.runs.plain_values import describe


def test_the_hash_covers_parameters_buffers_and_counters_of_batch_norm():
    net = seeded(ConvNet)
    first = weights_hash(net)
    assert weights_hash(seeded(ConvNet)) == first
    for name in ("conv1.weight", "bn1.running_mean", "bn1.num_batches_tracked"):
        changed = seeded(ConvNet)
        with torch.no_grad():
            changed.get_buffer(name).add_(1) if "bn1" in name else changed.get_parameter(name).add_(1)
        assert weights_hash(changed) != first
    assert weights_hash(seeded(ConvNet).float()) != first


def test_a_description_names_the_class_and_its_settings():
    facts = describe(SmoothGrad(IntegratedGradients(steps=3), samples=2))
    assert facts["class"] == "SmoothGrad"
    assert facts["samples"] == 2
    assert facts["method"]["class"] == "IntegratedGradients"
    assert facts["method"]["steps"] == 3
