"""Attribution maps for PyTorch classifiers, and the sanity checks that tell which of them deserve trust."""

__version__ = "0.1.0"
