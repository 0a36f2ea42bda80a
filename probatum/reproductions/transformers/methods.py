"""The methods that are checked, and what one would expect of them from their sources."""

from probatum.attributions import METHODS

CONTROL = "edge-detector"
IMAGE_METHODS = (
    "gradient",
    "smoothgrad",
    "input-x-gradient",
    "integrated-gradients",
    "integrated-gradients-sg-joint",
    "conservative-propagation",
    "conservative-propagation-local",
    "grad-cam",
    "hires-cam",
    CONTROL,
)
TITLES = {name: METHODS[name].title for name in IMAGE_METHODS}
"""Methods on images, by name."""

TOKEN_METHODS = ("input-x-gradient", "input-x-gradient-sg", "integrated-gradients", "conservative-propagation")
TOKEN_TITLES = {name: METHODS[name].title for name in TOKEN_METHODS}
"""Methods on tokens; the gradient is not among them, for its sum over an embedding behind a layer norm is zero."""

EXPECTED = "expected: a map that explains the trained network is lost with its weights"
