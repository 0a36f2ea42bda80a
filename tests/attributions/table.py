"""The table of methods that every law of the package is tested over, with few samples and steps."""

import math

import torch
from nets import SHAPE, ConvNet, TokenNet, seeded
from torch import nn

from probatum.attributions import (
    LRP,
    AttentionRollout,
    Black,
    ConservativePropagation,
    DeconvNet,
    DeepLIFT,
    DeepLiftSHAP,
    EdgeDetector,
    GradCAM,
    GradCAMPlusPlus,
    Gradient,
    GradientSHAP,
    GuidedBackprop,
    GuidedGradCAM,
    HiResCAM,
    InputXGradient,
    IntegratedGradients,
    LayerCAM,
    Mean,
    Method,
    NoisyBaselines,
    Occlusion,
    SmoothGrad,
    Zero,
)

GIVEN = torch.linspace(-2, 2, 3 * math.prod(SHAPE), dtype=torch.float64).sin().reshape(3, *SHAPE)

METHODS: dict[str, Method] = {
    "gradient": Gradient(),
    "input-x-gradient": InputXGradient(),
    "guided-backprop": GuidedBackprop(),
    "deconvnet": DeconvNet(),
    "grad-cam": GradCAM(),
    "grad-cam-bn1": GradCAM("bn1", relu=False),
    "grad-cam-offset": GradCAM("conv1", offset=0.1),
    "grad-cam-plus-plus": GradCAMPlusPlus(),
    "hires-cam": HiResCAM("conv1"),
    "layer-cam": LayerCAM("conv1"),
    "guided-grad-cam": GuidedGradCAM("conv1"),
    "guided-grad-cam-offset": GuidedGradCAM("conv1", offset=0.1),
    "integrated-gradients": IntegratedGradients(steps=5),
    "integrated-gradients-local": IntegratedGradients(steps=4, rule="trapezoid", multiply_by_inputs=False),
    "integrated-gradients-gauss": IntegratedGradients(steps=3, rule="gauss-legendre", baseline="mean"),
    "integrated-gradients-black": IntegratedGradients(steps=3, rule="right", baseline=Black(-1.0)),
    "integrated-gradients-blurred": IntegratedGradients(steps=3, baseline="blurred"),
    "integrated-gradients-tolerance": IntegratedGradients(255, "mean", tolerance=0.1),
    "integrated-gradients-local-tolerance": IntegratedGradients(255, "mean", multiply_by_inputs=False, tolerance=0.2),
    "smoothgrad": SmoothGrad(samples=7),
    "smoothgrad-ceiling": SmoothGrad(samples=80, ceiling=0.5),
    "smoothgrad-squared": SmoothGrad(samples=7, statistic="square"),
    "vargrad": SmoothGrad(samples=7, statistic="variance"),
    "smoothgrad-absolute": SmoothGrad(samples=3, noise_std=0.2),
    "input-x-gradient-sg": SmoothGrad(InputXGradient(), samples=7),
    "integrated-gradients-sg": SmoothGrad(IntegratedGradients(steps=3), samples=4),
    "integrated-gradients-sg-joint": SmoothGrad(IntegratedGradients(steps=3), samples=6, estimator="joint"),
    "integrated-gradients-vargrad": SmoothGrad(IntegratedGradients(steps=3), samples=4, statistic="variance"),
    "guided-backprop-sg": SmoothGrad(GuidedBackprop(), samples=3),
    "grad-cam-sg": SmoothGrad(GradCAM("conv1"), samples=3),
    "deeplift": DeepLIFT(),
    "deeplift-local": DeepLIFT("mean", multiply_by_inputs=False),
    "deeplift-sg": SmoothGrad(DeepLIFT(), samples=3),
    "deeplift-shap": DeepLiftSHAP(NoisyBaselines(Zero(), count=4)),
    "deeplift-shap-local": DeepLiftSHAP(GIVEN, multiply_by_inputs=False),
    "gradient-shap": GradientSHAP(5, NoisyBaselines(Mean(), count=3, fraction=0.1), noise_fraction=0.1),
    "gradient-shap-local": GradientSHAP(4, GIVEN, multiply_by_inputs=False),
    "gradient-shap-sg": SmoothGrad(GradientSHAP(2, GIVEN), samples=3),
    "conservative-propagation": ConservativePropagation(),
    "conservative-propagation-local": ConservativePropagation(multiply_by_inputs=False),
    "lrp": LRP(),
    "lrp-gamma": LRP("epsilon-gamma-box"),
    "occlusion": Occlusion(),
    "occlusion-cut-off": Occlusion((4, 3), (3, 2), "mean"),
    "occlusion-by-channel": Occlusion((1, 5, 4), (1, 5, 3)),
    "occlusion-sg": SmoothGrad(Occlusion((5, 5)), samples=3),
    "edge-detector": EdgeDetector(),
}
ON_TOKENS: dict[str, Method] = {
    "attention-rollout": AttentionRollout(),
    "attention-rollout-sg": SmoothGrad(AttentionRollout(), samples=3),
    "conservative-propagation-on-tokens": ConservativePropagation(),
}
"""Methods on a transformer, where others have no rule."""

EVERY = METHODS | ON_TOKENS


def network(name: str) -> nn.Module:
    """The network that the laws try a method on."""
    return seeded(TokenNet if name in ON_TOKENS else ConvNet).eval()


# The image and one copy for each window, by hand: ceil((length - window) / stride) + 1 along each axis.
WINDOWS = {(1, 1): 1 + 11 * 9, (4, 3): 1 + 4 * 4, (1, 5, 4): 1 + 2 * 3 * 3, (5, 5): 1 + 3 * 3}


def _points(method: Method) -> int:
    """The points that a method looks at for each image."""
    if isinstance(method, SmoothGrad):
        return method.samples * (1 if method.estimator == "joint" else _points(method.method))
    if isinstance(method, DeepLiftSHAP):
        return method.baselines.count if isinstance(method.baselines, NoisyBaselines) else len(method.baselines)
    if isinstance(method, Occlusion):
        return WINDOWS[method.window or (1, 1)]
    return getattr(method, "samples", 1) * getattr(method, "steps", 1)


POINTS = {name: _points(method) for name, method in EVERY.items()}
# How many points these look at depends on the image.
REFINED = {
    name
    for name, method in METHODS.items()
    if getattr(method, "tolerance", None) is not None or getattr(method, "ceiling", None) is not None
}
# Two forward passes on each chunk: one on the baselines, one on the points.
PAIRED = {name for name in METHODS if name.startswith("deeplift")}
SEEDED = {
    name for name, method in EVERY.items() if isinstance(method, (SmoothGrad, GradientSHAP)) or name == "deeplift-shap"
}
