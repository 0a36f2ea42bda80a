"""Adebayo et al. 2018, "Sanity Checks for Saliency Maps": do maps depend on what a network has learned?

Differs from the paper:
    1. Layers are re-drawn by PyTorch's initializers; the small networks are randomized several times, not once.
    2. The integral of Integrated Gradients is the midpoint sum.
    3. SSIM is shown under both of the authors' settings, that of their notebook and that of their later answer; HOG has
       cells of 4 pixels on images of 28.
    4. Claims that the paper judges by eye are judged by our rules, which each finding states.
"""

from functools import partial

from probatum.reproductions.adebayo2018 import edges, imagenet, labels, simple, weights
from probatum.reproductions.base import Experiment, Inputs, Paper

_SMALL = Inputs(data=("MNIST", "FashionMNIST"))
_EVERYTHING = Inputs(data=("MNIST", "FashionMNIST"), photographs=True, networks=("inception_v3",))

PAPER = Paper(
    name="adebayo2018",
    title="Sanity Checks for Saliency Maps",
    citation="Adebayo, Gilmer, Muelly, Goodfellow, Hardt & Kim (2018), arXiv:1810.03292",
    experiments=(
        Experiment(
            "edge-detector",
            "Similarity of each method's maps to an edge detector's",
            edges.compute,
            edges.draw,
            edges.judge,
            covers={"Figure 1": "*"},
            inputs=_EVERYTHING,
        ),
        Experiment(
            "imagenet",
            "Cascading randomization of Inception v3",
            imagenet.compute,
            imagenet.draw,
            imagenet.judge,
            covers={"Figure 2": "*-grid-*", "Figure 4": "*"},
            inputs=Inputs(photographs=True, networks=("inception_v3",)),
        ),
        Experiment(
            "cascading",
            "Cascading randomization of a CNN and an MLP",
            partial(weights.compute, "adebayo"),
            weights.draw,
            weights.judge_cascading,
            covers={"Figure 4": "*"},
            inputs=_SMALL,
        ),
        Experiment(
            "independent",
            "Independent randomization of a CNN and an MLP",
            partial(weights.compute, "adebayo-independent"),
            weights.draw,
            weights.judge_independent,
            inputs=_SMALL,
        ),
        Experiment(
            "data-randomization",
            "True and permuted labels, CNN and MLP",
            labels.compute,
            labels.draw,
            labels.judge,
            covers={"Figure 5": "*"},
            inputs=_SMALL,
        ),
        Experiment(
            "simple-models",
            "A linear model, and one random convolution with sum pooling",
            simple.compute,
            simple.draw,
            simple.judge,
            inputs=_SMALL,
        ),
    ),
    module="probatum.reproductions.adebayo2018",
)
