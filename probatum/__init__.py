"""Attribution maps for PyTorch classifiers, and the sanity checks that tell which of them deserve trust."""

from probatum.attributions import attribute, attribute_stream

__all__ = ["attribute", "attribute_stream"]
__version__ = "0.1.0"
