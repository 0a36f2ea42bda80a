"""Shin and Nemeth 2021, "Exploring Visual Explanations for CNNs": SmoothGrad and Grad-CAM on AlexNet and VGG-11.

Differs from the paper:
    1. Every training is repeated three times, where the paper has one: which features a network of 200 or 400 images
       learns depends on its first weights.
    2. The presets "quick" and "cpu" train networks of an eighth of the printed widths with Adam, not SGD.
    3. The photographs of secretaries and CEOs are not public; digits with stripes take their place.
    4. "Works best", of the noise σ, is taken to mean that most of the map lies where the class is.
"""

from probatum.reproductions.base import Paper
from probatum.reproductions.shin2021.bias import BIAS
from probatum.reproductions.shin2021.cascade import CASCADE
from probatum.reproductions.shin2021.labels import LABELS
from probatum.reproductions.shin2021.pictures import FIGURE_1, FIGURE_2

PAPER = Paper(
    name="shin2021",
    title="Exploring Visual Explanations for CNNs",
    citation="Shin & Nemeth 2021",
    experiments=(FIGURE_1, FIGURE_2, LABELS, CASCADE, BIAS),
    module="probatum.reproductions.shin2021",
)
