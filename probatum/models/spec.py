"""Metadata of a model: the inputs that it expects, its stages, the names of its classes."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from probatum.errors import InvalidInput
from probatum.models.stages import Stages
from probatum.preprocessing import Preprocessing


@dataclass(frozen=True)
class ModelSpec:
    """Metadata of a model.

    Args:
        name: as given to `model_spec`.
        title: as written in figures.
        preprocessing: of photographs; None if it is not known.
        num_classes: of the published weights, or by default; None if only the model tells.
        where: the module that defines it.
        stages: (name, module paths) from the output to the input; None for one stage per layer.
        grad_cam_layer: dotted path of the layer that Grad-CAM uses in the papers; None if no paper has this network.
        auxiliary: modules of torchvision's network that are used only in training. They belong to no stage, and
            `load_model` removes them.
        class_names: of the published weights, in the order of the logits, or None.
    """

    name: str
    title: str
    preprocessing: Preprocessing | None
    num_classes: int | None
    where: str
    stages: Stages | None = field(default=None, repr=False)
    grad_cam_layer: str | None = None
    auxiliary: tuple[str, ...] = ()
    class_names: tuple[str, ...] | None = field(default=None, repr=False)

    @property
    def channels(self) -> int | None:
        """Channels of an input image, or None if they are not known."""
        return self.preprocessing.channels if self.preprocessing else None

    @property
    def input_size(self) -> int | None:
        """Height and width of an input image in pixels, or None if they are not known."""
        return self.preprocessing.crop if self.preprocessing else None

    def with_inputs(
        self,
        input_size: int | None = None,
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
        interpolation: str | None = None,
    ) -> "ModelSpec":
        """Return the metadata with parts of the preprocessing replaced; None keeps a part.

        Args:
            input_size: height and width in pixels; the length to which photographs are resized changes in proportion.
            mean: one value per channel, of pixels in [0, 1].
            std: likewise.
            interpolation: "bilinear" or "bicubic".

        Raises:
            InvalidInput: a value out of range, or parts that are not known and not given.
        """
        given: dict[str, Any] = {"mean": mean and tuple(mean), "std": std and tuple(std)}
        given |= {"crop": input_size, "interpolation": interpolation}
        given = {name: value for name, value in given.items() if value is not None}
        if not given:
            return self
        if input_size is not None:
            own = self.preprocessing
            grown = own.resize / own.crop if own and own.resize and own.crop else 1
            given["resize"] = round(input_size * grown)
        if self.preprocessing is not None:
            return replace(self, preprocessing=replace(self.preprocessing, **given))
        if not {"crop", "mean", "std"} <= set(given):
            raise InvalidInput(unknown_preprocessing(self.title))
        return replace(self, preprocessing=Preprocessing(**given))


def unknown_preprocessing(title: str) -> str:
    """Return a message for a model whose preprocessing is not known."""
    return (
        f"the preprocessing of {title} is not known; give --input-size, --mean and --std "
        "(of ImageNet: --mean 0.485,0.456,0.406 --std 0.229,0.224,0.225), or write `preprocessing = ...` in its module"
    )
