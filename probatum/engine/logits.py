"""The logits of a batch of images, in chunks that fit the memory budget."""

from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor

from probatum.engine.budget import Budget
from probatum.engine.evaluate import predict
from probatum.engine.independence import require_independent_rows
from probatum.engine.precision import computing
from probatum.engine.prepared_model import PreparedModel


def all_logits(prepared: PreparedModel, images: Tensor) -> Float[Tensor, "batch classes"]:
    """Returns the logits of all images, without gradients and in chunks under the prepared model's memory budget."""
    with computing(prepared.device, prepared.compute.precision):
        images = prepared.accept(images)
        prepared.require_extra(images)
        require_independent_rows(prepared, images, alone=prepared.compute.chunk == 1)
        return logits_within(prepared, images, Budget.of(images, prepared.compute, prepared.row_bytes))


def logits_within(
    prepared: PreparedModel, images: Float[Tensor, "batch *shape"], budget: Budget
) -> Float[Tensor, "batch classes"]:
    """Returns the logits of images that the model has accepted, under a budget that is already made."""
    kind = (prepared.shapes(images), prepared.dtype, "logits")
    if budget.measures(kind):
        # Measured with a graph although none is kept afterwards: a bound that holds, if a generous one.
        budget.measure(kind, prepared.model, partial(predict, prepared, images[:1], with_graph=True))
    logits: list[Tensor] = []
    start = 0
    while start < len(images):
        rows = images[start : start + budget.rows(kind)]
        here = prepared.of_images(slice(start, start + len(rows)))
        answer = budget.attempt(len(rows), partial(predict, here, rows))
        if answer is not None:
            logits.append(answer)
            start += len(rows)
    return torch.cat(logits)
