"""The papers' small networks by name."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import nn

from probatum.errors import InvalidInput
from probatum.models.small import MLP, BasicCNN
from probatum.models.sources.base import Source
from probatum.models.spec import ModelSpec
from probatum.models.stages import GRAD_CAM_LAYERS, STAGES
from probatum.preprocessing import Preprocessing

SMALL: dict[str, tuple[Callable[[int], nn.Module], str]] = {
    "basic_cnn": (BasicCNN, "basic CNN"),
    "mlp": (MLP, "MLP"),
}
"""Class and title by name; these are the networks that `probatum train` trains."""

_CLASSES = 10


@dataclass(frozen=True)
class SmallSource(Source):
    """One of `SMALL`."""

    name: str

    @property
    def spec(self) -> ModelSpec:
        """Metadata: MNIST's preprocessing and ten classes."""
        return ModelSpec(
            name=self.name,
            title=SMALL[self.name][1],
            preprocessing=Preprocessing((0.1307,), (0.3081,), resize=28, crop=28),
            num_classes=_CLASSES,
            where=BasicCNN.__module__,
            stages=STAGES[self.name],
            grad_cam_layer=GRAD_CAM_LAYERS.get(self.name),
        )

    def build(self, num_classes: int | None = None, *, initialize: bool = True) -> nn.Module:
        """Build the network with PyTorch's own initializers."""
        return SMALL[self.name][0](num_classes or _CLASSES)

    def load_default(self, num_classes: int | None = None) -> nn.Module:
        """Raise InvalidInput: nobody has published weights."""
        title = SMALL[self.name][1]
        raise InvalidInput(f"{title} has no published weights; train it, give a checkpoint file, or use 'none'")
