"""The classes that are explained, checked without waiting for the device."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Int64
from torch import Tensor

from probatum.errors import InvalidInput

TargetsLike = Tensor | Sequence[int] | int
_INT64 = torch.iinfo(torch.int64)


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
    def of(cls, images: Tensor, targets: TargetsLike) -> "Targets":
        """Takes class indices (batch,) or one index for all images; InvalidInput where they are neither."""
        if isinstance(targets, int) and not isinstance(targets, bool):
            if not _INT64.min <= targets <= _INT64.max:
                raise InvalidInput(f"target {targets} is out of range: no model has so many classes")
            return cls(torch.full((len(images),), targets, device=images.device), targets, targets)
        if isinstance(targets, Sequence) and all(type(each) is int for each in targets):
            try:
                targets = torch.tensor(targets, dtype=torch.int64)
            except (RuntimeError, OverflowError, ValueError) as error:
                raise InvalidInput("a target is out of range: no model has so many classes") from error
        if not isinstance(targets, Tensor) or targets.is_meta:
            found = "tensor without values (meta)" if isinstance(targets, Tensor) else type(targets).__name__
            raise InvalidInput(f"targets are a {found}; give class indices (batch,) as a tensor or list, or one int")
        integers = (torch.int64, torch.int32, torch.int16, torch.uint8)
        if targets.dtype not in integers or targets.shape != (len(images),):
            found = f"{targets.dtype} of shape {tuple(targets.shape)}"
            raise InvalidInput(f"targets must be {len(images)} class indices (batch,), got {found}")
        classes = targets.as_subclass(Tensor).to(images.device, torch.int64)
        return cls(classes, int(targets.min()), int(targets.max()))

    def at(self, image: Int64[Tensor, " rows"]) -> "Targets":
        """The targets of rows, by the image that each belongs to."""
        return Targets(self.classes[image], self.lowest, self.highest)

    def require(self, classes: int) -> None:
        """Raises InvalidInput where a target is none of so many classes."""
        for target in (self.lowest, self.highest):
            if not 0 <= target < classes:
                raise InvalidInput(f"target {target} is out of range: the model has classes 0 to {classes - 1}")
