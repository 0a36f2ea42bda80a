"""DeepLIFT: the change of the logit from a baseline, shared out among the inputs that changed."""

from dataclasses import dataclass

from torch import Tensor

from probatum.attributions.baselines import Baseline, as_baseline
from probatum.attributions.completeness import CompleteMethod
from probatum.engine import MULTIPLIERS, Evaluation, Expansion, PreparedModel, Reference, Request


@dataclass(frozen=True)
class DeepLIFT(CompleteMethod):
    """The way from a baseline times the multipliers that the rescale rule carries back through the network.

        M(x) = (x − x′) ⊙ m,   m = Σ over paths of Π (Δout / Δin),   Δ = value at x − value at x′

    Each linear operation has its weight for a multiplier, each elementwise function f
    (f(z) − f(z′)) / (z − z′), f′ where the two are too close to divide. A max-pool gives the change of a window's
    maximum to the maximum of x where it rose and to that of x′ where it fell; overlapping windows add up. The maps are
    complete, Σ M(x) = S_c(x) − S_c(x′), and each is checked for it.

    Source: Shrikumar, Greenside & Kundaje (2017), arXiv:1704.02685, sections 3.2 and 3.5.1.

    Args:
        baseline: x′: "zero", "blurred", "mean", `Black(level=...)`, a tensor, or a function of the images.
        multiply_by_inputs: True is the global variant above; False the local one, the multipliers m.

    Raises:
        InvalidInput: the baseline does not fit the images or is not finite.
        ModelError: an operation has no rule (softmax, attention, ...), or the map is not complete.

    Differs from the paper:
        1. Of its rules, the rescale rule alone: positive and negative parts (RevealCancel) are not kept apart.
        2. A product of two tensors that depend on the input, Δ(ab) = Δa (b + b′)/2 + Δb (a + a′)/2, is split so.
        3. The paper has no rule for max-pools.
        4. Nor for norms. A layer, group or RMS norm follows the rules of its parts: c · 1/√(v + ε) is split as a
           product, 1/√(v + ε) and the squares in v pass their quotients.
    """

    baseline: Baseline | Tensor | str = "zero"
    multiply_by_inputs: bool = True
    title = "DeepLIFT"

    def request(self, prepared: PreparedModel, images: Tensor) -> Request:
        """One point, the image itself, beside its baseline."""
        return Request(self.value, frozenset({MULTIPLIERS}), self.endpoints(images))

    def endpoints(self, images: Tensor) -> tuple[Expansion, ...]:
        """From the one baseline to the image."""
        return (Reference(as_baseline(self.baseline)),)

    def value(self, at: Evaluation) -> Tensor:
        """(x − x′) ⊙ m of one baseline; under SmoothGrad, x is the noisy image."""
        return (at.origins - at.baselines) * at.multipliers if self.multiply_by_inputs else at.multipliers
