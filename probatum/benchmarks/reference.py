"""Maps in float64, written out literally and one image at a time: what every contestant's maps are judged by.

They share no code with the engine. For methods with noise the reference takes the very points that the contestant gave
to the model, so that numerics are judged and not luck.
"""

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from probatum.attributions import DeconvNet
from probatum.attributions.literal import Problem, literal
from probatum.benchmarks.bare import input_gradient
from probatum.engine import find_layer
from probatum.errors import InvalidInput

SMOOTHED = ("smoothgrad", "input-x-gradient-sg")


class Reference:
    """Float64 maps of one image.

    Args:
        model: in eval mode; it is copied.
        layer: that Grad-CAM reads.
        image: (1, channel, height, width).
        target: class index (1,).
    """

    def __init__(self, model: nn.Module, layer: str, image: Tensor, target: Tensor) -> None:
        self._model = copy.deepcopy(model).double()
        self._layer, self._image, self._target = layer, image.double(), target

    def map(self, method: str, *, steps: int = 0, points: Tensor | None = None) -> Tensor:
        """The map of a method by its name in the table of methods.

        Args:
            method: the name.
            steps: of Integrated Gradients, under the midpoint rule.
            points: (sample, channel, height, width), the noisy images that a method with noise looked at.
        """
        x = self._image
        if method == "gradient":
            return self._gradient(x)
        if method == "input-x-gradient":
            return x * self._gradient(x)
        if method == "guided-backprop":
            with _GuidedCalls():
                return self._gradient(x)
        if method == "deconvnet":
            problem = Problem(self._model, int(self._target), self._image[0])
            return literal(DeconvNet(), problem, self._image[0])[None]
        if method == "grad-cam":
            return self._enlarged(self.cam())
        if method == "guided-grad-cam":
            return self.map("guided-backprop") * self.map("grad-cam")
        if method == "integrated-gradients":
            return x * sum(self._gradient(x * ((step + 0.5) / steps)) for step in range(steps)) / steps
        if method in SMOOTHED:
            assert points is not None, "a method with noise is judged at its own points"
            maps = [self._gradient(point[None].double()) for point in points]
            if method == "input-x-gradient-sg":
                maps = [point.double() * each for point, each in zip(points, maps, strict=True)]
            return torch.stack(maps).mean(0)
        raise InvalidInput(f"there is no literal reference of {method!r}")

    def cam(self) -> Tensor:
        """Grad-CAM in the size of its layer, (1, 1, height, width)."""
        kept: list[Tensor] = []

        def keep(module: nn.Module, inputs: object, output: Tensor) -> Tensor:
            kept.append(output)
            return output.clone()  # the model may overwrite its own copy

        handle = find_layer(self._model, self._layer).register_forward_hook(keep)
        try:
            logit = self._model(self._image.clone().requires_grad_())[0, self._target]
            (gradient,) = torch.autograd.grad(logit, kept)
        finally:
            handle.remove()
        return (gradient.mean((2, 3), keepdim=True) * kept[0].detach()).sum(1, keepdim=True).relu()

    def scaled_cam(self) -> Tensor:
        """That map scaled from its smallest value to its largest, then enlarged, as pytorch-grad-cam returns it."""
        cam = self.cam()
        return self._enlarged((cam - cam.min()) / (cam - cam.min()).max())

    def _gradient(self, point: Tensor) -> Tensor:
        return input_gradient(self._model, point, self._target)

    def _enlarged(self, cam: Tensor) -> Tensor:
        return F.interpolate(cam, size=self._image.shape[2:], mode="bilinear", align_corners=False)


def deviation(found: Tensor, expected: Tensor) -> float | None:
    """‖found − expected‖ / ‖expected‖; None where the expected map is zero.

    Rounding alone gives about 1e-7 in float32; one ReLU or max-pooling that decides otherwise than in float64 gives up
    to 1e-2, whoever computes it.
    """
    size = float(torch.linalg.vector_norm(expected))
    return float(torch.linalg.vector_norm(found.double().cpu() - expected.cpu())) / size if size else None


@contextmanager
def recorded_points(model: nn.Module) -> Iterator[list[Tensor]]:
    """Collects the batches whose gradients are taken inside the block, also through copies made of the model there.

    Passes without gradients only look at the model, such as the one that tests whether rows meet, and are left out.
    """
    points: list[Tensor] = []

    def record(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        if torch.is_grad_enabled():
            points.append(inputs[0].detach().clone())

    handle = model.register_forward_pre_hook(record)
    try:
        yield points
    finally:
        handle.remove()


class _GuidedReLU(torch.autograd.Function):
    """ReLU that lets only positive gradients back through positive inputs."""

    @staticmethod
    def forward(context: Any, values: Tensor) -> Tensor:
        context.save_for_backward(values)
        return values.clamp(min=0)

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> Tensor:
        (values,) = context.saved_tensors
        passed: Tensor = gradient * (gradient > 0) * (values > 0)
        return passed


class _GuidedCalls(TorchFunctionMode):
    """Sends every ReLU call to the guided one, whatever module or function makes it."""

    _CALLS = (F.relu, F.relu_, torch.relu, torch.relu_, Tensor.relu, Tensor.relu_)

    def __torch_function__(
        self, function: Any, types: Any, arguments: Any = (), keywords: dict[str, Any] | None = None
    ) -> Any:
        if function in self._CALLS:
            return _GuidedReLU.apply(arguments[0])
        return function(*arguments, **(keywords or {}))
