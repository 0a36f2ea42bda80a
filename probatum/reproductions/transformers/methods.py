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
    "attention-rollout",
    "grad-cam",
    "grad-cam-plus-plus",
    "hires-cam",
    "layer-cam",
    "occlusion",
    CONTROL,
)
TITLES = {name: METHODS[name].title for name in IMAGE_METHODS}
"""Methods on images, by name; LRP and DeepLIFT have no rule for the softmax of attention and refuse it."""

TOKEN_METHODS = (
    "input-x-gradient",
    "input-x-gradient-sg",
    "integrated-gradients",
    "conservative-propagation",
    "attention-rollout",
)
TOKEN_TITLES = {name: METHODS[name].title for name in TOKEN_METHODS}
"""Methods on tokens; the gradient is not among them, for its sum over an embedding behind a layer norm is zero."""

SHARES = ("attention-rollout",)
"""Those whose scores are all positive: any two have a cosine far above 0, so their ranks are compared instead."""

EXPECTED = "expected: a map that explains the trained network is lost with its weights"
