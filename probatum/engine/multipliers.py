"""DeepLIFT's multipliers between points and baselines, and the check that they are complete."""

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from probatum.engine.batch_norm import lay_out_gradients
from probatum.engine.prepared_model import PreparedModel
from probatum.engine.rescale import RescaleRule
from probatum.engine.statistics import accumulation_dtype
from probatum.engine.targets import Targets
from probatum.errors import ModelError


def multipliers(
    prepared: PreparedModel,
    points: Float[Tensor, "rows *shape"],
    baselines: Float[Tensor, "rows *shape"],
    targets: Targets | None,
    image: Int64[Tensor, " rows"] | None = None,
) -> tuple[tuple[Tensor, Tensor, Tensor], Int64[Tensor, " rows"]]:
    """Multipliers m of the target's logit S by a forward pass on the baselines, and one forth and back on the points.

    A baseline goes with the further inputs of its image, as the point does: `image` is as in `PreparedModel.logits`.

    Returns:
        m (rows, ...); how far they are from complete, δ = Σ m ⊙ (x − x′) − (S(x) − S(x′)), (rows,); and the size of
        what was summed, Σ |m ⊙ (x − x′)| + |S(x)| + |S(x′)|, (rows,). Further, the classes: those predicted at the
        points where no targets are given.

    Raises:
        ModelError: an operation has no rule, or the logits do not depend on the input.
    """
    rule = RescaleRule(prepared)
    with rule.record():
        start = prepared.logits(baselines.detach().requires_grad_().clone(), image).detach()
    leaf = points.detach().requires_grad_()
    with rule:
        logits = prepared.logits(leaf.clone(), image)
    rule.finish()
    if targets is not None:
        targets.require(logits.shape[1])
    classes = logits.detach().argmax(1) if targets is None else targets.classes
    selected, from_start = (each.gather(1, classes[:, None])[:, 0] for each in (logits, start))
    gradient = None
    if selected.requires_grad:
        lay_out_gradients(selected)
        (gradient,) = torch.autograd.grad(selected.sum(), leaf, allow_unused=True)
    if gradient is None:
        raise ModelError(f"the logits of {prepared.name} do not depend on its input by differentiable operations")
    exact = accumulation_dtype(gradient.dtype)
    shares = (gradient.to(exact) * (points.to(exact) - baselines)).flatten(1)
    reached, from_start = selected.detach().to(exact), from_start.to(exact)
    delta = shares.sum(1) - (reached - from_start)
    return (gradient, delta, shares.abs().sum(1) + reached.abs() + from_start.abs()), classes
