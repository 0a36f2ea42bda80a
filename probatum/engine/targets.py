"""The classes that are explained, checked without waiting for the device."""

from dataclasses import dataclass

import torch
from jaxtyping import Int64
from torch import Tensor

from probatum.errors import InvalidInput


@dataclass(frozen=True, eq=False)
class Targets:
    """Class indices whose range is known on the host, so that each model call can compare it with its classes.

    Args:
        classes: (batch,) or (rows,) on the images' device.
        lowest: of all classes.
        highest: of all classes.
    """

    classes: Int64[Tensor, " rows"]
    lowest: int = 0
    highest: int = 0

    @classmethod
    def of(cls, images: Tensor, targets: Tensor | int) -> "Targets":
        """Takes class indices (batch,) or one index for all images; InvalidInput where they are no such thing."""
        if isinstance(targets, int):
            return cls(torch.full((len(images),), targets, device=images.device), targets, targets)
        if not isinstance(targets, Tensor):
            raise InvalidInput(f"targets are a {type(targets).__name__}; give class indices (batch,) or one int")
        integers = (torch.int64, torch.int32, torch.int16, torch.uint8)
        if targets.dtype not in integers or targets.shape != (len(images),):
            found = f"{targets.dtype} of shape {tuple(targets.shape)}"
            raise InvalidInput(f"targets must be {len(images)} class indices (batch,), got {found}")
        classes = targets.to(images.device, torch.int64)
        return cls(classes, int(targets.min()), int(targets.max()))

    def at(self, image: Int64[Tensor, " rows"]) -> "Targets":
        """The targets of rows, by the image that each belongs to."""
        return Targets(self.classes[image], self.lowest, self.highest)

    def require(self, classes: int) -> None:
        """Raises InvalidInput where a target is none of so many classes."""
        for target in (self.lowest, self.highest):
            if not 0 <= target < classes:
                raise InvalidInput(f"target {target} is out of range: the model has classes 0 to {classes - 1}")
