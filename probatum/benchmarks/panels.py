"""The panels of methods, and how each method of them is built with the sizes of a benchmark."""

from collections.abc import Sequence

from probatum.attributions import IntegratedGradients, Method, SmoothGrad, get_method
from probatum.benchmarks.config import Sizes
from probatum.experiments.options import set_fields

FIVE = ("gradient", "input-x-gradient", "guided-backprop", "grad-cam", "guided-grad-cam")
EIGHT = (*FIVE, "smoothgrad", "input-x-gradient-sg", "integrated-gradients")
TEN = (*EIGHT, "integrated-gradients-sg", "integrated-gradients-sg-local")
IG_SG = ("integrated-gradients-sg", "integrated-gradients-sg-local")


def build(names: Sequence[str], sizes: Sizes, layer: str, *, joint: bool = True) -> dict[str, Method]:
    """Builds methods by name; `joint` chooses the estimator of IG-SG."""
    path, local = (IntegratedGradients(sizes.steps, multiply_by_inputs=factor) for factor in (True, False))

    def smoothed(method: Method) -> Method:
        if joint:
            return SmoothGrad(method, samples=sizes.joint, estimator="joint")
        return SmoothGrad(method, samples=sizes.nested)

    noisy_paths = dict(zip(IG_SG, map(smoothed, (path, local)), strict=True))
    options = {"layer": layer, "samples": sizes.samples, "steps": sizes.steps}
    return {name: noisy_paths.get(name) or set_fields(get_method(name), options)[0] for name in names}
