"""Random classes for the random-logit test, which explains another class of the same model."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from probatum.engine.noise import image_keys, splitmix64
from probatum.errors import InvalidInput

_TRIAL = 0x5851F42D4C957F2D  # odd, so that no two trials share a word


def other_classes(
    images: Float[Tensor, "batch *shape"], targets: Int[Tensor, " batch"], classes: int, seed: int, trial: int = 0
) -> Int[Tensor, " batch"]:
    """Draw for each image a class other than its own, uniformly from the rest.

    The draw is keyed by (seed, trial, the image's content): it does not depend on the other images, the position in the
    batch or the device. Equal images with equal classes get equal draws.

    Source: Sixt, Granz & Landgraf (2020), arXiv 1912.09818: a map that explains the class must change with it.

    Args:
        images: (batch, ...).
        targets: (batch,), class indices in [0, classes).
        classes: number of the model's classes, at least 2.
        seed: any integer.
        trial: number of the independent repetition.

    Returns:
        (batch,), class indices of the type and on the device of `targets`.

    Raises:
        InvalidInput: there is no other class, or a target is not in [0, classes).
    """
    if classes < 2:
        raise InvalidInput("the model has one class, so there is no other class to explain; choose another preset")
    if len(targets) and not 0 <= int(targets.min()) <= int(targets.max()) < classes:
        raise InvalidInput(f"targets run from {int(targets.min())} to {int(targets.max())}, outside [0, {classes})")
    turns = torch.full((len(images),), trial, device=images.device) * _TRIAL
    words = splitmix64(image_keys(images, seed) + splitmix64(turns))
    steps = 1 + words.bitwise_and((1 << 62) - 1) % (classes - 1)  # 1, ..., classes - 1
    return ((targets + steps.to(targets.device)) % classes).to(targets.dtype)
