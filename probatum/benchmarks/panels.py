"""The panels of methods, and how each method of them is built with the sizes of a benchmark."""

from collections.abc import Sequence

from probatum.attributions import (
    DeconvNet,
    GradCAM,
    Gradient,
    GuidedBackprop,
    GuidedGradCAM,
    InputXGradient,
    IntegratedGradients,
    Method,
    SmoothGrad,
)
from probatum.benchmarks.config import Sizes

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

    table: dict[str, Method] = {
        "gradient": Gradient(),
        "input-x-gradient": InputXGradient(),
        "guided-backprop": GuidedBackprop(),
        "deconvnet": DeconvNet(),
        "grad-cam": GradCAM(layer),
        "guided-grad-cam": GuidedGradCAM(layer),
        "smoothgrad": SmoothGrad(samples=sizes.samples),
        "input-x-gradient-sg": SmoothGrad(InputXGradient(), samples=sizes.samples),
        "integrated-gradients": path,
        "integrated-gradients-sg": smoothed(path),
        "integrated-gradients-sg-local": smoothed(local),
    }
    return {name: table[name] for name in names}
