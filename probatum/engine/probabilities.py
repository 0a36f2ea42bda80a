"""Probabilities of classes: made of logits, and noticed where a model returns them in place of logits."""

import torch
from jaxtyping import Float
from torch import Tensor

from probatum.engine.prepared_model import PreparedModel
from probatum.errors import ProbabilitiesWarning, warn

# Operations between a sigmoid and the logits that only arrange or copy them.
_ARRANGING = (
    "Neg",
    "Cat",
    "View",
    "Reshape",
    "ToCopy",
    "Squeeze",
    "Unsqueeze",
    "Clone",
    "Alias",
    "TBackward",
    "Select",
    "Slice",
)


def probabilities(logits: Float[Tensor, "rows classes"]) -> Float[Tensor, "rows classes"]:
    """The softmax of logits; of the pair (−f, f) that stands for a single logit f, the sigmoid of each."""
    is_pair = logits.shape[1] == 2 and torch.equal(logits[:, 0], -logits[:, 1])
    return logits.sigmoid() if is_pair else logits.softmax(1)


def warn_of_probabilities(prepared: PreparedModel, images: Tensor, logits: Float[Tensor, "one classes"]) -> None:
    """Warns where a model returns probabilities, unless a function of the caller's makes them.

    Probabilities are rows that are not negative and sum to one, and values between 0 and 1 that a sigmoid returns.

    Args:
        prepared: the model.
        images: (batch, ...), of which the first is passed again where its logits lie between 0 and 1.
        logits: of the first image.
    """
    if callable(prepared.output):
        return
    values = logits[:, 1:] if logits.shape[1] == 2 and bool(logits[0, 0] == -logits[0, 1]) else logits
    if not bool(((values >= 0) & (values <= 1)).all()):
        return
    # One row may sum to 1 by chance, above all in few bits; its negative does so by softmax alone.
    sums_to_one = _sums_to_one(prepared, values) and _sums_to_one(prepared, prepared.logits(-images[:1]))
    if not sums_to_one and not _ends_in_sigmoid(prepared, images):
        return
    kind = "rows that sum to 1, as softmax makes them" if sums_to_one else "values of a sigmoid"
    message = (
        f"{prepared.name} returns probabilities ({kind}), whose gradients vanish where it is sure of a class, so that "
        "maps show little but noise there; explain its logits: put nn.Identity() in place of the last activation, or, "
        "from Python, give output= a function that finds them"
    )
    warn(ProbabilitiesWarning(message))


def _sums_to_one(prepared: PreparedModel, values: Float[Tensor, "one classes"]) -> bool:
    return values.shape[1] > 1 and bool((values.sum(1) - 1).abs().amax() <= 4 * prepared.resolution)


def _ends_in_sigmoid(prepared: PreparedModel, images: Tensor) -> bool:
    node = prepared.logits(images[:1].clone().requires_grad_(True).clone()).grad_fn
    while node is not None and node.name().startswith(_ARRANGING):
        node = node.next_functions[0][0] if node.next_functions else None
    return node is not None and node.name().startswith("SigmoidBackward")
