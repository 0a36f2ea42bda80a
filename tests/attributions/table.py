"""The table of methods that every law of the package is tested over, with few samples and steps."""

from probatum.attributions import (
    Black,
    EdgeDetector,
    GradCAM,
    Gradient,
    GuidedBackprop,
    GuidedGradCAM,
    InputXGradient,
    IntegratedGradients,
    Method,
    SmoothGrad,
)

METHODS: dict[str, Method] = {
    "gradient": Gradient(),
    "input-x-gradient": InputXGradient(),
    "guided-backprop": GuidedBackprop(),
    "grad-cam": GradCAM(),
    "grad-cam-bn1": GradCAM("bn1", relu=False),
    "guided-grad-cam": GuidedGradCAM("conv1"),
    "integrated-gradients": IntegratedGradients(steps=5),
    "integrated-gradients-local": IntegratedGradients(steps=4, rule="trapezoid", multiply_by_inputs=False),
    "integrated-gradients-gauss": IntegratedGradients(steps=3, rule="gauss-legendre", baseline="mean"),
    "integrated-gradients-black": IntegratedGradients(steps=3, rule="right", baseline=Black(-1.0)),
    "integrated-gradients-blurred": IntegratedGradients(steps=3, baseline="blurred"),
    "smoothgrad": SmoothGrad(samples=7),
    "smoothgrad-squared": SmoothGrad(samples=7, statistic="square"),
    "vargrad": SmoothGrad(samples=7, statistic="variance"),
    "smoothgrad-absolute": SmoothGrad(samples=3, noise_std=0.2),
    "input-x-gradient-sg": SmoothGrad(InputXGradient(), samples=7),
    "integrated-gradients-sg": SmoothGrad(IntegratedGradients(steps=3), samples=4),
    "integrated-gradients-sg-joint": SmoothGrad(IntegratedGradients(steps=3), samples=6, estimator="joint"),
    "integrated-gradients-vargrad": SmoothGrad(IntegratedGradients(steps=3), samples=4, statistic="variance"),
    "guided-backprop-sg": SmoothGrad(GuidedBackprop(), samples=3),
    "grad-cam-sg": SmoothGrad(GradCAM("conv1"), samples=3),
    "edge-detector": EdgeDetector(),
}
POINTS = {
    name: getattr(method, "samples", 1)
    * (1 if getattr(method, "estimator", "") == "joint" else getattr(getattr(method, "method", method), "steps", 1))
    for name, method in METHODS.items()
}
