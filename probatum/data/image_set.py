"""A named set of preprocessed images, held in memory."""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from probatum.errors import InvalidInput
from probatum.preprocessing import Preprocessing


@dataclass(frozen=True, eq=False)
class ImageSet:
    """Preprocessed images with labels and names.

    Args:
        name: used in results and figures.
        images: (image, channel, height, width), float32 or float64, preprocessed.
        labels: (image,) class indices, or None if unknown.
        class_names: the name of every class, in the order of the labels, or None.
        image_names: one name per image, unique within the set.
        preprocessing: applied to the pixels to make `images`.
        shown: (image, 1 or 3, height, width) in [0, 1], the images as pictures; None inverts the preprocessing.

    Raises:
        InvalidInput: the parts do not match.
    """

    name: str
    images: Float[Tensor, "image channel height width"] = field(repr=False)
    labels: Int64[Tensor, " image"] | None = field(repr=False)
    class_names: tuple[str, ...] | None = field(repr=False)
    image_names: tuple[str, ...] = field(repr=False)
    preprocessing: Preprocessing
    shown: Float[Tensor, "image channels height width"] | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if self.images.ndim != 4 or self.images.dtype not in (torch.float32, torch.float64):
            raise InvalidInput(
                f"{self.name}: images must be float32 or float64 of shape (image, channel, height, width)"
            )
        if self.images.shape[1] != self.preprocessing.channels:
            raise InvalidInput(
                f"{self.name}: images have {self.images.shape[1]} channels, "
                f"their preprocessing has {self.preprocessing.channels}"
            )
        if len(self.image_names) != len(self.images) or (
            self.labels is not None and self.labels.shape != self.images.shape[:1]
        ):
            raise InvalidInput(f"{self.name}: every image needs one name and, if any has one, one label")
        for name in self.image_names:
            if not is_text(name):
                raise InvalidInput(
                    f"{self.name}: the name {name!r} cannot be written to a text file; use data.storable"
                )
        if len(set(self.image_names)) != len(self.image_names):
            raise InvalidInput(f"{self.name}: two images share a name; results could not tell them apart")
        if self.labels is not None and self.class_names is not None and len(self.labels):
            low, high = int(self.labels.min()), int(self.labels.max())
            if low < 0 or high >= len(self.class_names):
                raise InvalidInput(f"{self.name}: labels reach {low}..{high} with {len(self.class_names)} classes")

    def __len__(self) -> int:
        return len(self.image_names)

    def subset(self, indices: Sequence[int] | Int64[Tensor, " chosen"]) -> "ImageSet":
        """Return the images at `indices`, in that order.

        Raises:
            InvalidInput: an index outside the set, or one given twice.
        """
        chosen = [int(index) for index in indices]
        if any(not 0 <= index < len(self) for index in chosen):
            raise InvalidInput(f"{self.name} holds images 0..{len(self) - 1}; {chosen} is out of range")
        rows = torch.tensor(chosen, dtype=torch.int64)
        return replace(
            self,
            images=self.images[rows],
            labels=None if self.labels is None else self.labels[rows],
            image_names=tuple(self.image_names[index] for index in chosen),
            shown=None if self.shown is None else self.shown[rows],
        )

    def take_per_class(self, count: int) -> "ImageSet":
        """Return the first `count` images of every class that occurs, class after class.

        Raises:
            InvalidInput: no labels, or a class with fewer images.
        """
        if self.labels is None:
            raise InvalidInput(f"{self.name} has no labels; choose images with subset")
        if count < 1:
            raise InvalidInput(f"count is {count}; it must be at least 1")
        chosen: list[int] = []
        for label in sorted(set(self.labels.tolist())):
            members = (self.labels == label).nonzero().flatten().tolist()
            if len(members) < count:
                class_name = label if self.class_names is None else self.class_names[label]
                raise InvalidInput(f"{self.name}: class {class_name} has {len(members)} images, not {count}")
            chosen += members[:count]
        return self.subset(chosen)

    def pictures(self) -> Float[Tensor, "image channel height width"]:
        """Return the images in [0, 1], for display."""
        return self.preprocessing.undo(self.images) if self.shown is None else self.shown


def is_text(text: str) -> bool:
    """Return True if a string can be written to any text file: it has no NUL and no lone surrogate."""
    return not any(sign == "\0" or unicodedata.category(sign) == "Cs" for sign in text)


def storable(name: str) -> str:
    r"""Escape a file or folder name so that any table, page or terminal can show it; different names stay different.

    Invalid UTF-8 bytes and control characters are escaped as \xff, \x0a or \u2028; a backslash is doubled.
    """
    return "".join(_spelt(sign) for sign in name)


def _spelt(sign: str) -> str:
    if sign == "\\":
        return r"\\"
    if unicodedata.category(sign) not in ("Cc", "Cs", "Zl", "Zp"):
        return sign
    code = ord(sign)
    if 0xDC80 <= code <= 0xDCFF:  # Python's escape for a byte that it cannot decode
        code -= 0xDC00
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
