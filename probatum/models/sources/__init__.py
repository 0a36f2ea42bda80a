"""Where models come from: this package, torchvision, timm, Hugging Face, and code of one's own."""

from probatum.models.sources.base import Source
from probatum.models.sources.hugging_face import HuggingFaceSource
from probatum.models.sources.own import OwnSource
from probatum.models.sources.small import SmallSource
from probatum.models.sources.timm import TimmSource
from probatum.models.sources.torchvision import TorchvisionSource

__all__ = ["HuggingFaceSource", "OwnSource", "SmallSource", "Source", "TimmSource", "TorchvisionSource"]
