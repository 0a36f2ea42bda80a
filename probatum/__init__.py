"""Attribution maps for PyTorch classifiers, and the sanity checks that tell which of them deserve trust."""

from probatum.attributions import attribute

__all__ = ["attribute"]
__version__ = "0.1.0"
