"""Maps in float64, written out literally and one image at a time: what every contestant's maps are judged by.

The maps are the literal forms of the methods, `attributions.literal`. For methods with noise the reference takes the
very points that the contestant gave to the model, so that numerics are judged and not luck.
"""

import copy
import math
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from probatum.attributions import METHODS, Gradient, InputXGradient, Method, get_method
from probatum.attributions.literal import Problem, literal
from probatum.errors import InvalidInput
from probatum.experiments.options import set_fields

SMOOTHED = {"smoothgrad": Gradient(), "input-x-gradient-sg": InputXGradient()}  # and what is averaged


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
        if method in SMOOTHED:
            assert points is not None, "a method with noise is judged at its own points"
            return torch.stack([self._literal(SMOOTHED[method], point[None].double()) for point in points]).mean(0)
        if method not in METHODS:
            raise InvalidInput(f"there is no literal reference of {method!r}")
        options = {"layer": self._layer} | ({"steps": steps} if steps else {})
        return self._literal(set_fields(get_method(method), options)[0], self._image)

    def _literal(self, method: Method, point: Tensor) -> Tensor:
        return literal(method, Problem(self._model, int(self._target), self._image[0]), point[0])[None]


def deviation(found: Tensor, expected: Tensor) -> float | None:
    """‖found − expected‖ / ‖expected‖; None where the expected map is zero.

    Rounding alone gives about 1e-7 in float32; one ReLU or max-pooling that decides otherwise than in float64 gives up
    to 1e-2, whoever computes it.
    """
    size = float(torch.linalg.vector_norm(expected))
    return float(torch.linalg.vector_norm(found.double().cpu() - expected.cpu())) / size if size else None


def deviation_of_scaled(found: Tensor, expected: Tensor) -> float | None:
    """As `deviation`, for a map that was shifted and scaled; infinite where it was turned upside down.

    That is ‖f − a e‖ / ‖a e‖, where f and e are the maps without their means, and a is the factor that fits best.
    """
    f, e = (each.double().cpu() - each.double().cpu().mean() for each in (found, expected))
    factor = float((f * e).sum() / (e * e).sum())
    return deviation(f / factor, e) if factor > 0 else math.inf


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
