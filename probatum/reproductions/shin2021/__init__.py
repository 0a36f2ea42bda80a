"""Shin and Nemeth 2021, "Exploring Visual Explanations for CNNs": SmoothGrad and Grad-CAM on AlexNet and VGG-11.

Differs from the paper:
    1. Every training is repeated three times, where the paper has one: which features a network of 200 or 400 images
       learns depends on its first weights.
    2. The presets "quick" and "cpu" train networks of an eighth of the printed widths with Adam, not SGD.
    3. The photographs of secretaries and CEOs are not public; digits with stripes take their place.
    4. "Works best", of the noise σ, is taken to mean that most of the map lies where the class is.
"""

from probatum.reproductions.base import Experiment, Inputs, Paper
from probatum.reproductions.shin2021 import bias, cascade, label_findings, labels, pictures

_PHOTOGRAPHS = Inputs(photographs=True, networks=("alexnet", "vgg11"))

PAPER = Paper(
    name="shin2021",
    title="Exploring Visual Explanations for CNNs",
    citation="Shin & Nemeth 2021",
    experiments=(
        Experiment(
            "figure1",
            "Grad-CAM of two classes of one image",
            pictures.compute_classes,
            pictures.draw_classes,
            pictures.judge_classes,
            covers={"Figure 1": "*"},
            inputs=_PHOTOGRAPHS,
        ),
        Experiment(
            "figure2",
            "SmoothGrad over samples and noise",
            pictures.compute_grid,
            pictures.draw_grid,
            pictures.judge_grid,
            covers={"Figure 2": "*"},
            inputs=_PHOTOGRAPHS,
        ),
        Experiment(
            "figures3-4",
            "Label randomization",
            labels.compute,
            labels.draw,
            label_findings.judge_labels,
            covers={"Figure 3": "figure3*", "Figure 4": "figure4*"},
            inputs=Inputs(data=("MNIST",)),
        ),
        Experiment(
            "figures5-6",
            "Cascading weight randomization",
            cascade.compute,
            cascade.draw,
            cascade.judge,
            covers={"Figure 5": "figure5*", "Figure 6": "figure6*"},
            inputs=_PHOTOGRAPHS,
        ),
        Experiment(
            "figure7",
            "Maps that reveal a bias",
            bias.compute,
            bias.draw,
            bias.judge,
            covers={"Figure 7": "*"},
            inputs=Inputs(data=("MNIST",), networks=("alexnet",)),
        ),
    ),
    module="probatum.reproductions.shin2021",
)
