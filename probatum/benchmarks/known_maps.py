"""Methods whose verdict is known beforehand: what they look at is known by construction."""

from dataclasses import dataclass
from itertools import count

from torch import Tensor

from probatum.attributions import Method
from probatum.engine import Evaluation, PreparedModel, Request
from probatum.experiments.adversary import keyed_noise

_CALLS = count()  # the engine leaves the global generator as found, so noise needs a state of its own


@dataclass(frozen=True)
class ImageItself(Method):
    """The image; insensitive to the weights."""

    title = "Image itself"

    def request(self, prepared: PreparedModel, images: Tensor) -> Request:
        """No model call at all."""
        return Request(lambda at: at.points)


@dataclass(frozen=True)
class FixedMap(Method):
    """One map of Gaussian noise for all images and models; insensitive to the weights."""

    title = "Fixed random map"

    def request(self, prepared: PreparedModel, images: Tensor) -> Request:
        """No model call at all."""
        return Request(self.value)

    @staticmethod
    def value(at: Evaluation) -> Tensor:
        """Identical noise for each row."""
        return keyed_noise(at.points[:1], b"").expand_as(at.points)


@dataclass(frozen=True)
class Noise(Method):
    """Gaussian noise that is drawn anew at every call; nothing can be said of it."""

    title = "Noise, redrawn"
    stochastic = True

    def request(self, prepared: PreparedModel, images: Tensor) -> Request:
        """No model call at all."""
        return Request(lambda at: keyed_noise(at.points, str(next(_CALLS)).encode()))
