"""Randomized networks that are dead: their outputs do not depend on the image, and no map of them says anything."""

from typing import NamedTuple

import torch
from torch import Tensor

from probatum.engine import PreparedModel, all_logits, prepare_like
from probatum.randomization import Identity, Randomizer

_IMAGES = 16  # that tell whether a network is dead
_TRIES = 5  # draws for each trial


class Draws(NamedTuple):
    """Which draws of the weights the trials of a check use.

    Args:
        used: for each trial, the number of its draw.
        dead: numbers of the draws that were dead and replaced by later ones.
    """

    used: tuple[int, ...]
    dead: tuple[int, ...] = ()

    @property
    def sentence(self) -> str:
        """A sentence about the dead draws; "" where there was none."""
        drawn = len(self.used) + len(self.dead)
        return f"{len(self.dead)} of {drawn} randomized networks were dead and drawn again" if self.dead else ""


def live_draws(
    randomizer: Randomizer,
    trained: PreparedModel,
    images: Tensor,
    trials: int,
) -> Draws:
    """Chooses the first draws whose last stage is not dead.

    A network is dead if all its logits are the same for every image, as behind a layer of ReLUs none of which is
    active. Its maps are constant, whatever the method. Draws that only some images or classes find dead are kept.

    Args:
        randomizer: of the trained model.
        trained: the prepared model.
        images: (batch, ...); the first of them are tried.
        trials: how many draws are wanted.

    Returns:
        the draws 0, 1, ... without the dead ones; with all of them where the randomizer draws nothing, where there is
        one image only, and where too many are dead.
    """
    plain = Draws(tuple(range(trials)))
    if isinstance(randomizer.initializer, Identity) or len(images) < 2:
        return plain
    used, dead = list[int](), list[int]()
    for draw in range(_TRIES * trials):
        model = prepare_like(randomizer.model(len(randomizer.stages), draw), trained)
        logits = all_logits(model.of_images(slice(_IMAGES)), images[:_IMAGES])
        (dead if torch.equal(logits, logits[:1].expand_as(logits)) else used).append(draw)
        if len(used) == trials:
            return Draws(tuple(used), tuple(dead))
    return plain
