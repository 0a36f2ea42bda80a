"""How many of a model's activations the rule of Guided Backprop reaches."""

from functools import partial

import torch
from torch import Tensor, nn

from probatum.engine.extra import Extra
from probatum.engine.outputs import Output
from probatum.engine.precision import computing
from probatum.engine.prepared_model import PreparedModel, prepare
from probatum.engine.rules import GuidedReLU, ReLUCoverage, RuledPass
from probatum.engine.rules.relu import ReLUPass


def relu_coverage(
    model: nn.Module | PreparedModel, images: Tensor, *, output: Output | None = None, extra: Extra | None = None
) -> ReLUCoverage:
    """Counts the activations between the first image and the logits that Guided Backprop guides, and the others.

    Args:
        model: as in `prepare`, like `output` and `extra`.
        images: (batch, ...).
        output: where the logits are in what the model returns.
        extra: further inputs of the model.
    """
    prepared = prepare(model, output=output, extra=extra)
    rule = GuidedReLU()
    ruled = RuledPass([rule])
    with computing(prepared.device):
        leaf = prepared.accept(images[:1]).clone().requires_grad_()
        with ruled:
            logits = prepared.logits(leaf.clone())
        if logits.requires_grad:
            ruled.backward(rule, partial(torch.autograd.grad, logits.sum(), leaf, allow_unused=True))
    found = ruled.of(rule)
    assert isinstance(found, ReLUPass)
    return found.coverage
