"""A map that passes randomization checks and explains nothing: the adversary of every sanity check."""

from dataclasses import dataclass
from hashlib import blake2b

import torch
from torch import Tensor

from probatum.attributions import Method
from probatum.engine import Evaluation, PreparedModel, Request


@dataclass(frozen=True)
class NoiseOfWeights(Method):
    """Gaussian noise seeded by weights and image; sensitive to the weights, for another weight gives another map.

    Maps of two models have no covariance, pixel by pixel, so every similarity is at chance after any randomization: the
    best score that a sanity check can give, for a map without information.

    Source: the maps without covariance of Binder et al. (2023), arXiv:2211.12486.
    """

    title = "Noise seeded by the weights"

    def request(self, prepared: PreparedModel, images: Tensor) -> Request:
        """No model call, but its weights."""
        digest = blake2b()
        for parameter in prepared.model.parameters():
            digest.update(parameter.detach().cpu().contiguous().numpy().tobytes())
        key = digest.digest()

        def value(at: Evaluation) -> Tensor:
            return torch.cat([keyed_noise(row[None], key + row.cpu().numpy().tobytes()) for row in at.points])

        return Request(value)


def keyed_noise(like: Tensor, key: bytes) -> Tensor:
    """Gaussian noise of the shape of `like`, determined by a key."""
    seed = int.from_bytes(blake2b(key, digest_size=7).digest(), "little")
    return torch.randn(like.shape, generator=torch.Generator().manual_seed(seed), dtype=like.dtype).to(like.device)
