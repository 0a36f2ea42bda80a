"""Methods whose verdict is known beforehand: what they look at is known by construction."""

from dataclasses import dataclass
from hashlib import blake2b
from itertools import count

import torch
from torch import Tensor

from probatum.attributions import Method
from probatum.engine import Evaluation, PreparedModel, Request

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
        return _noise(at.points[:1], b"").expand_as(at.points)


@dataclass(frozen=True)
class Noise(Method):
    """Gaussian noise that is drawn anew at every call; nothing can be said of it."""

    title = "Noise, redrawn"
    stochastic = True

    def request(self, prepared: PreparedModel, images: Tensor) -> Request:
        """No model call at all."""
        return Request(lambda at: _noise(at.points, str(next(_CALLS)).encode()))


@dataclass(frozen=True)
class NoiseOfWeights(Method):
    """Gaussian noise seeded by weights and image; sensitive to the weights, for another weight gives another map."""

    title = "Noise seeded by the weights"

    def request(self, prepared: PreparedModel, images: Tensor) -> Request:
        """No model call, but its weights."""
        digest = blake2b()
        for parameter in prepared.model.parameters():
            digest.update(parameter.detach().cpu().contiguous().numpy().tobytes())
        key = digest.digest()

        def value(at: Evaluation) -> Tensor:
            return torch.cat([_noise(row[None], key + row.cpu().numpy().tobytes()) for row in at.points])

        return Request(value)


def _noise(like: Tensor, key: bytes) -> Tensor:
    """Gaussian noise of the shape of `like`, determined by a key."""
    seed = int.from_bytes(blake2b(key, digest_size=7).digest(), "little")
    return torch.randn(like.shape, generator=torch.Generator().manual_seed(seed), dtype=like.dtype).to(like.device)
