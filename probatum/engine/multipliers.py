"""DeepLIFT's multipliers between points and baselines, and the check that they are complete."""

from dataclasses import dataclass, field

import torch
from jaxtyping import Float, Int64
from torch import Tensor

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
    gradient = torch.autograd.grad(selected.sum(), leaf, allow_unused=True)[0] if selected.requires_grad else None
    if gradient is None:
        raise ModelError(f"the logits of {prepared.name} do not depend on its input by differentiable operations")
    exact = accumulation_dtype(gradient.dtype)
    shares = (gradient.to(exact) * (points.to(exact) - baselines)).flatten(1)
    reached, from_start = selected.detach().to(exact), from_start.to(exact)
    delta = shares.sum(1) - (reached - from_start)
    return (gradient, delta, shares.abs().sum(1) + reached.abs() + from_start.abs()), classes


@dataclass(eq=False)
class Completeness:
    """Gathers what multipliers lack without waiting for the device, and judges it once at the end.

    Rounding leaves a δ of about ε times the size of what was summed, ε the resolution of the products: at most
    3 ε on eight networks of torchvision with random weights. √ε is allowed: half of the digits. A rule that is missing
    or wrong costs far more.
    """

    _found: list[tuple[Tensor, Tensor, Tensor]] = field(default_factory=list)

    def add(self, image: Int64[Tensor, " rows"], delta: Float[Tensor, " rows"], size: Float[Tensor, " rows"]) -> None:
        """Keeps three numbers for each row."""
        self._found.append((image, delta, size))

    def require(self, prepared: PreparedModel, *, finite: bool = True) -> None:
        """Raises ModelError for the image whose multipliers are farthest from complete, where that is too far.

        Args:
            prepared: of the model.
            finite: whether logits or multipliers that are not finite are too far, or are not judged.
        """
        if not self._found:
            return
        image, delta, size = (torch.cat(parts) for parts in zip(*self._found, strict=True))
        excess = delta.abs() - prepared.resolution**0.5 * size
        if not finite:
            excess = excess.nan_to_num(nan=-torch.inf, posinf=-torch.inf)
        worst = excess.argmax()
        if not bool(excess[worst] <= 0):
            raise ModelError(
                f"DeepLIFT's attributions of image {int(image[worst])} miss the change of the logit of {prepared.name} "
                f"by {float(delta[worst]):.3g}, more than rounding explains: some operation carries values past its "
                "gradient (detach, no_grad, a custom autograd function, checkpointing); use a method without rules"
            )
