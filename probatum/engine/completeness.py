"""Laws that maps have to obey, gathered without waiting for the device and judged once at the end."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from probatum.engine.prepared_model import PreparedModel
from probatum.errors import ModelError


@dataclass(eq=False)
class Law(ABC):
    """A sum that has to come out, with the size of what was summed.

    Rounding leaves a δ of about ε times that size, ε the resolution of the products. √ε is allowed: half of the digits.
    A rule that is missing or wrong costs far more.
    """

    _found: list[tuple[Tensor, Tensor, Tensor]] = field(default_factory=list)

    @abstractmethod
    def broken(self, image: int, delta: float, prepared: PreparedModel) -> str:
        """The message of the error: the sum that is off by `delta`."""

    def add(self, image: Int64[Tensor, " rows"], delta: Float[Tensor, " rows"], size: Float[Tensor, " rows"]) -> None:
        """Keeps three numbers for each row."""
        self._found.append((image, delta, size))

    def require(self, prepared: PreparedModel, *, finite: bool = True) -> None:
        """Raises ModelError for the image whose sum is farthest off, where that is too far.

        Args:
            prepared: of the model.
            finite: whether sums that are not finite are too far, or are not judged.
        """
        if not self._found:
            return
        image, delta, size = (torch.cat(parts) for parts in zip(*self._found, strict=True))
        excess = delta.abs() - prepared.resolution**0.5 * size
        if not finite:
            excess = excess.nan_to_num(nan=-torch.inf, posinf=-torch.inf)
        worst = excess.argmax()
        if not bool(excess[worst] <= 0):
            raise ModelError(self.broken(int(image[worst]), float(delta[worst]), prepared))


class Completeness(Law):
    """DeepLIFT's: Σ m ⊙ (x − x′) = S(x) − S(x′). At most 3 ε on eight networks of torchvision with random weights."""

    def broken(self, image: int, delta: float, prepared: PreparedModel) -> str:
        """Names the image."""
        return (
            f"DeepLIFT's attributions of image {image} miss the change of the logit of {prepared.name} by {delta:.3g}, "
            "more than rounding explains: some operation carries values past its gradient (detach, no_grad, a custom "
            "autograd function, checkpointing); use a method without rules"
        )


class Conservation(Law):
    """That of rules which hold constants: S(x) = Σ x ⊙ R + Σ_b b · ∂S/∂b, in all for the rows of a model call."""

    def broken(self, image: int, delta: float, prepared: PreparedModel) -> str:
        """Names the first image of the call, and what the rules do not see."""
        unseen = ", ".join(sorted(prepared.unseen)) or "some operation"
        return (
            f"the signals and constants of {prepared.name} do not add up to its logits: from image {image} on they are "
            f"off by {delta:.3g}, more than rounding explains. What carries values past the rules, as a custom "
            f"autograd function does: {unseen}; load the model with plain attention (attn_implementation='sdpa' or "
            "'eager'), or use a method without rules, such as Integrated Gradients"
        )
