"""A source of one model: its metadata, and how it is built."""

from abc import ABC, abstractmethod
from typing import ClassVar

from torch import nn

from probatum.models.spec import ModelSpec


class Source(ABC):
    """A model by name."""

    own_code: ClassVar[bool] = False
    """True if the model is made by code of the user, which may change between runs."""

    @property
    def resizable(self) -> bool:
        """True if `build` takes any number of classes."""
        return True

    @property
    @abstractmethod
    def spec(self) -> ModelSpec:
        """Metadata, which needs no weights."""

    @abstractmethod
    def build(self, num_classes: int | None = None, *, initialize: bool = True) -> nn.Module:
        """Build the network with random weights.

        Args:
            num_classes: outputs of the last layer; None for the network's own number.
            initialize: False if all weights will be overwritten, so that slow initializers may be left out.
        """

    @abstractmethod
    def load_default(self, num_classes: int | None = None) -> nn.Module:
        """Build the network with the weights that it is published with.

        Args:
            num_classes: if it differs from that of the published weights, the last layer is random.

        Raises:
            InvalidInput: there are no such weights.
            ModelError: they cannot be downloaded.
        """
