"""How many of a model's calls the backward rules reach."""

from torch import Tensor, nn

from probatum.engine.extra import Extra
from probatum.engine.outputs import Output
from probatum.engine.precision import computing
from probatum.engine.prepared_model import PreparedModel, prepare
from probatum.engine.rules import (
    BackwardRule,
    ConstantsHeld,
    GuidedReLU,
    HeldCoverage,
    ReLUCoverage,
    RuledPass,
    RulePass,
)
from probatum.engine.rules.constants_held import HeldPass
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
    found = _passed(GuidedReLU(), prepare(model, output=output, extra=extra), images)
    assert isinstance(found, ReLUPass)
    return found.coverage


def held_coverage(
    model: nn.Module | PreparedModel, images: Tensor, *, output: Output | None = None, extra: Extra | None = None
) -> HeldCoverage:
    """Counts what Conservative Propagation holds constant for the first image, and the calls that have no rule.

    Args:
        model: as in `relu_coverage`, like the others.
        images: (batch, ...).
        output: where the logits are.
        extra: further inputs.
    """
    found = _passed(ConstantsHeld(), prepare(model, output=output, extra=extra), images)
    assert isinstance(found, HeldPass)
    return found.coverage


def _passed(rule: BackwardRule, prepared: PreparedModel, images: Tensor) -> RulePass:
    """What a rule saw in a forward pass on the first image and the backward pass of all logits."""
    ruled = RuledPass([rule])
    with computing(prepared.device):
        leaf = prepared.accept(images[:1]).clone().requires_grad_()
        with ruled:
            logits = prepared.logits(leaf.clone())
        if logits.requires_grad:
            ruled.backward(rule, logits.sum(), leaf)
    return ruled.of(rule)
