"""Global and local Integrated Gradients: with and without the multiplier x − x₀."""

from torch import Tensor

from probatum.attributions import IntegratedGradients, Method
from probatum.attributions.baselines import Baseline

IG_TITLES = {"global": "Global IG", "local": "Local IG"}


def ig_variants(steps: int, baseline: Baseline | Tensor | str = "zero") -> dict[str, Method]:
    """Return both variants by name."""
    return {key: IntegratedGradients(steps, baseline, multiply_by_inputs=key == "global") for key in IG_TITLES}
